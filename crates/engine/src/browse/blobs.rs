//! Fetches and opens pages and chunks when somebody wants them, and keeps the last ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::StreamExt as _;
use strongroom_format::entry::Chunk;
use strongroom_model::BlobId;
use strongroom_seal::{DataKeys, Opener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Unreadable;
use super::kept::{Kept, Place};
use super::page::Page;
use crate::chunks;
use crate::remote::{Fetched, VaultReader};

/// Opened pages that are kept: those of some 200,000 names.
const PAGES_BYTES: u64 = 64 << 20;
/// Opened chunks that are kept.
const CHUNKS_BYTES: u64 = 96 << 20;
/// Chunks that were sent for and are not opened yet, in KiB of their contents; sealed they take as much again.
const ON_THEIR_WAY_KIB: u32 = 48 << 10;

/// The blobs of a vault, opened.
pub struct Blobs {
    pub reader: Arc<dyn VaultReader>,
    pub keys: Arc<DataKeys>,
    pages: Kept<Page>,
    chunks: Kept<Vec<u8>>,
    room: Arc<Semaphore>,
    /// So many blobs are opened at a time.
    turns: Arc<Semaphore>,
    /// Those that nobody uses just now; no more than there are turns.
    openers: Mutex<Vec<Opener>>,
}

impl Blobs {
    /// Keeps nothing yet, and opens blobs on so many threads.
    pub fn new(reader: Arc<dyn VaultReader>, keys: Arc<DataKeys>, workers: usize) -> Self {
        Self {
            reader,
            keys,
            pages: Kept::new(PAGES_BYTES),
            chunks: Kept::new(CHUNKS_BYTES),
            room: Arc::new(Semaphore::new(ON_THEIR_WAY_KIB as usize)),
            turns: Arc::new(Semaphore::new(workers.max(1))),
            openers: Mutex::default(),
        }
    }

    /// A page. If it has to be fetched, those of `along` come with it.
    pub async fn page(
        self: &Arc<Self>,
        id: BlobId,
        along: impl FnOnce() -> Vec<BlobId>,
    ) -> Result<Arc<Page>, Unreadable> {
        let (place, is_new) = self.pages.want(id);
        if is_new {
            let others = along().into_iter().filter(|other| self.pages.want(*other).1);
            let wanted = std::iter::once(id).chain(others);
            let owed = wanted.map(|id| (id, Owed::new(self, Self::pages, id))).collect();
            tokio::spawn(fetch(self.clone(), owed, open_page));
        }
        place.wait().await.clone()
    }

    /// Sends for chunks that are not here, as soon as there is room for them; where each one will be.
    pub async fn chunks(self: &Arc<Self>, wanted: &[Chunk]) -> Vec<Place<Vec<u8>>> {
        let (places, new) = self.want_chunks(wanted);
        if !new.is_empty() {
            let needed: Vec<Chunk> = new.iter().map(|(chunk, _)| *chunk).collect();
            let room = self.room.clone().acquire_many_owned(room_for(&needed)).await;
            self.send_for(new, room.expect("the semaphore is never closed"));
        }
        places
    }

    /// Sends for chunks that will be wanted soon, if there is room for them just now.
    pub fn chunks_ahead(self: &Arc<Self>, wanted: &[Chunk]) {
        // Room first: nobody may wait for what is not sent for in the end.
        let Ok(room) = self.room.clone().try_acquire_many_owned(room_for(wanted)) else {
            return;
        };
        let (_, new) = self.want_chunks(wanted);
        if !new.is_empty() {
            self.send_for(new, room);
        }
    }

    fn want_chunks(self: &Arc<Self>, wanted: &[Chunk]) -> (Vec<Place<Vec<u8>>>, Vec<OwedChunk>) {
        let (mut places, mut new) = (Vec::with_capacity(wanted.len()), Vec::new());
        for chunk in wanted {
            let (place, is_new) = self.chunks.want(chunk.id);
            places.push(place);
            if is_new {
                new.push((*chunk, Owed::new(self, Self::chunks_kept, chunk.id)));
            }
        }
        (places, new)
    }

    fn send_for(self: &Arc<Self>, new: Vec<OwedChunk>, room: OwnedSemaphorePermit) {
        let room = Arc::new(room);
        let lengths: HashMap<BlobId, Chunk> = new.iter().map(|(chunk, _)| (chunk.id, *chunk)).collect();
        let owed = new.into_iter().map(|(chunk, mut owed)| {
            owed.room = Some(room.clone());
            (chunk.id, owed)
        });
        let open = move |opener: &mut Opener, id: BlobId, sealed: &[u8]| {
            let plain = chunks::open(opener, lengths[&id], sealed)?;
            let bytes = plain.len() as u64;
            Ok((plain, bytes))
        };
        tokio::spawn(fetch(self.clone(), owed.collect(), open));
    }

    fn pages(&self) -> &Kept<Page> {
        &self.pages
    }

    fn chunks_kept(&self) -> &Kept<Vec<u8>> {
        &self.chunks
    }

    fn with_opener<T>(&self, work: impl FnOnce(&mut Opener) -> T) -> T {
        let idle = self.openers.lock().expect("no thread panicked here").pop();
        let mut opener = idle.unwrap_or_else(|| Opener::new(&self.keys));
        let result = work(&mut opener);
        self.openers.lock().expect("no thread panicked here").push(opener);
        result
    }
}

fn room_for(chunks: &[Chunk]) -> u32 {
    let kib = chunks.iter().map(|chunk| chunk.length.div_ceil(1024));
    kib.fold(0, u32::saturating_add).min(ON_THEIR_WAY_KIB)
}

fn open_page(opener: &mut Opener, id: BlobId, stored: &[u8]) -> Result<(Page, u64), String> {
    let opened = match strongroom_format::blob_id(stored) == id {
        true => Page::open(opener, stored),
        false => Err("the vault sent other bytes than were asked for".to_owned()),
    };
    let page = opened.map_err(|why| format!("page {id} cannot be read: {why}"))?;
    let bytes = page.bytes();
    Ok((page, bytes))
}

/// A chunk that somebody waits for.
type OwedChunk = (Chunk, Owed<Vec<u8>>);

/// A blob that somebody waits for. Whatever becomes of the work on it, he is told.
struct Owed<T: Send + 'static> {
    blobs: Arc<Blobs>,
    kept: fn(&Blobs) -> &Kept<T>,
    id: BlobId,
    room: Option<Arc<OwnedSemaphorePermit>>,
    is_settled: bool,
}

impl<T: Send + 'static> Owed<T> {
    fn new(blobs: &Arc<Blobs>, kept: fn(&Blobs) -> &Kept<T>, id: BlobId) -> Self {
        Self {
            blobs: blobs.clone(),
            kept,
            id,
            room: None,
            is_settled: false,
        }
    }

    fn settle(mut self, result: Result<(T, u64), String>) {
        self.is_settled = true;
        (self.kept)(&self.blobs).settle(self.id, result.map_err(Unreadable::new));
    }
}

impl<T: Send + 'static> Drop for Owed<T> {
    fn drop(&mut self) {
        if !self.is_settled {
            let why = format!("nobody fetches blob {} any more", self.id);
            (self.kept)(&self.blobs).settle(self.id, Err(Unreadable::new(why)));
        }
    }
}

/// Fetches blobs; each is opened on a thread of its own as soon as it is here.
async fn fetch<T, O>(blobs: Arc<Blobs>, mut owed: HashMap<BlobId, Owed<T>>, open: O)
where
    T: Send + Sync + 'static,
    O: Fn(&mut Opener, BlobId, &[u8]) -> Result<(T, u64), String> + Send + Sync + 'static,
{
    let open = Arc::new(open);
    let mut stream = blobs.reader.fetch(owed.keys().copied().collect());
    while let Some(fetched) = stream.next().await {
        match fetched {
            Ok(Fetched::Blob(id, stored)) => {
                if let Some(owed) = owed.remove(&id) {
                    let turn = blobs.turns.clone().acquire_owned().await;
                    let open = open.clone();
                    tokio::task::spawn_blocking(move || {
                        open_owed(owed, &stored, &*open);
                        drop(turn);
                    });
                }
            }
            Ok(Fetched::Lost(id, why)) => {
                if let Some(owed) = owed.remove(&id) {
                    owed.settle(Err(format!("blob {id} cannot be had: {why}")));
                }
            }
            Ok(Fetched::Remark(remark)) => tracing::warn!("{remark}"),
            Err(error) => {
                let why = error.to_string();
                return owed.into_values().for_each(|owed| owed.settle(Err(why.clone())));
            }
        }
    }
    for (id, owed) in owed {
        owed.settle(Err(format!("the vault did not send blob {id}")));
    }
}

fn open_owed<T: Send + 'static>(
    owed: Owed<T>,
    stored: &Bytes,
    open: &impl Fn(&mut Opener, BlobId, &[u8]) -> Result<(T, u64), String>,
) {
    let blobs = owed.blobs.clone();
    let result = blobs.with_opener(|opener| open(opener, owed.id, stored));
    owed.settle(result);
}
