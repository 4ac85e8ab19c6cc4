//! The stage that talks to the vault: asks what it lacks, fills packs, sends them.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use strongroom_format::pack::{BlobKind, PACK_BYTES_TARGET, PackBuilder};
use strongroom_model::BlobId;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use crate::progress::Progress;
use crate::remote::{RemoteError, VaultWriter};

/// A blob as it will lie in the vault.
#[derive(Debug)]
pub struct SealedBlob {
    pub kind: BlobKind,
    pub id: BlobId,
    pub bytes: Vec<u8>,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub blobs: u64,
    pub bytes: u64,
}

/// Questions on their way at once. With [`ASK_BYTES`] this bounds the memory that latency costs.
const QUESTIONS_MAX: usize = 3;
/// A question waits for no more blobs when those it has are so many bytes.
const ASK_BYTES: usize = 4 << 20;
/// Blobs in one question.
const ASK_BLOBS: usize = 256;
/// Packs on their way at once.
const PACKS_MAX: usize = 2;

/// Takes sealed blobs until there are no more, and returns when all are durable.
pub async fn upload(
    writer: Arc<dyn VaultWriter>,
    sealed: Receiver<SealedBlob>,
    progress: Progress,
) -> Result<Sent, RemoteError> {
    let packs = Packs {
        writer: writer.clone(),
        chunks: <_>::default(),
        pages: <_>::default(),
        sending: JoinSet::new(),
    };
    let (seen, sent) = (HashSet::new(), Sent::default());
    Upload {
        writer,
        progress,
        packs,
        seen,
        sent,
    }
    .run(sealed)
    .await
}

struct Upload {
    writer: Arc<dyn VaultWriter>,
    progress: Progress,
    packs: Packs,
    /// What the last questions were about: equal contents may be sealed twice in one run.
    seen: HashSet<BlobId>,
    sent: Sent,
}

impl Upload {
    async fn run(mut self, mut sealed: Receiver<SealedBlob>) -> Result<Sent, RemoteError> {
        let mut questions = FuturesOrdered::new();
        let mut open = true;
        while open || !questions.is_empty() {
            tokio::select! {
                batch = next_batch(&mut sealed), if open && questions.len() < QUESTIONS_MAX => {
                    open = !batch.is_empty();
                    let batch = self.unseen(batch);
                    if !batch.is_empty() {
                        questions.push_back(ask(self.writer.clone(), batch));
                    }
                }
                Some(answered) = questions.next() => self.place(answered?).await?,
            }
        }
        self.packs.finish().await?;
        Ok(self.sent)
    }

    fn unseen(&mut self, batch: Vec<SealedBlob>) -> Vec<SealedBlob> {
        if self.seen.len() > 64 << 10 {
            // Forgetting is harmless: the vault takes a blob twice and keeps it once.
            self.seen.clear();
        }
        batch.into_iter().filter(|blob| self.seen.insert(blob.id)).collect()
    }

    async fn place(&mut self, missing: Vec<SealedBlob>) -> Result<(), RemoteError> {
        for blob in missing {
            self.sent.blobs += 1;
            self.sent.bytes += blob.bytes.len() as u64;
            self.progress.add_new_bytes(blob.bytes.len() as u64);
            self.packs.push(blob).await?;
        }
        Ok(())
    }
}

/// As many blobs as are there, up to the bounds; empty when there will be no more.
async fn next_batch(sealed: &mut Receiver<SealedBlob>) -> Vec<SealedBlob> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut next = sealed.recv().await;
    while let Some(blob) = next {
        bytes += blob.bytes.len();
        batch.push(blob);
        if bytes >= ASK_BYTES || batch.len() >= ASK_BLOBS {
            break;
        }
        next = sealed.try_recv().ok();
    }
    batch
}

/// Those of a batch that the vault lacks.
async fn ask(writer: Arc<dyn VaultWriter>, batch: Vec<SealedBlob>) -> Result<Vec<SealedBlob>, RemoteError> {
    let ids: Vec<BlobId> = batch.iter().map(|blob| blob.id).collect();
    let missing = writer.missing(&ids).await?;
    let lacking = batch.into_iter().zip(missing).filter(|(_, missing)| *missing);
    Ok(lacking.map(|(blob, _)| blob).collect())
}

/// The open packs, one for each kind, and those on their way.
struct Packs {
    writer: Arc<dyn VaultWriter>,
    chunks: PackBuilder,
    pages: PackBuilder,
    sending: JoinSet<Result<(), RemoteError>>,
}

impl Packs {
    async fn push(&mut self, blob: SealedBlob) -> Result<(), RemoteError> {
        let builder = match blob.kind {
            BlobKind::Chunk => &mut self.chunks,
            BlobKind::Page => &mut self.pages,
        };
        let full = (builder.len_bytes() + blob.bytes.len() > PACK_BYTES_TARGET).then(|| std::mem::take(builder));
        builder.push(blob.kind, blob.id, &blob.bytes);
        match full {
            Some(pack) => self.send(pack).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, pack: PackBuilder) -> Result<(), RemoteError> {
        if pack.is_empty() {
            return Ok(());
        }
        while self.sending.len() >= PACKS_MAX {
            self.one_done().await?;
        }
        let writer = self.writer.clone();
        self.sending.spawn(async move {
            let (name, bytes, _) = pack.finish();
            writer.put_pack(name, Bytes::from(bytes)).await
        });
        Ok(())
    }

    async fn finish(mut self) -> Result<(), RemoteError> {
        let (chunks, pages) = (std::mem::take(&mut self.chunks), std::mem::take(&mut self.pages));
        self.send(chunks).await?;
        self.send(pages).await?;
        while !self.sending.is_empty() {
            self.one_done().await?;
        }
        Ok(())
    }

    async fn one_done(&mut self) -> Result<(), RemoteError> {
        match self.sending.join_next().await {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(RemoteError::Failed(format!("sending a pack failed: {error}"))),
        }
    }
}
