//! Compressing and sealing, on as many threads as there are processors.

use crossbeam_channel::Receiver;
use strongroom_format::entry::Chunk;
use strongroom_format::pack::BlobKind;
use strongroom_seal::{DataKeys, Level, SealKind, Sealer};
use tokio::sync::mpsc::Sender;

use super::upload::SealedBlob;
use crate::slot::Promise;

/// Contents on their way to become a chunk.
#[derive(Debug)]
pub struct ChunkJob {
    /// At most four MiB.
    pub plain: Vec<u8>,
    /// Who waits to know its identity.
    pub promise: Promise<Chunk>,
}

/// Works until there are no more jobs, or nobody takes the results.
pub fn work(keys: &DataKeys, level: Level, jobs: &Receiver<ChunkJob>, sealed: &Sender<SealedBlob>) {
    let mut sealer = Sealer::new(keys, level);
    for job in jobs {
        let mut bytes = Vec::new();
        sealer.seal(SealKind::Chunk, &[], &job.plain, &mut bytes);
        // Compressing needed more room than the result, which may wait for a while.
        bytes.shrink_to_fit();
        let id = strongroom_format::blob_id(&bytes);
        job.promise.keep(Chunk {
            id,
            length: job.plain.len() as u32,
        });
        if sealed
            .blocking_send(SealedBlob {
                kind: BlobKind::Chunk,
                id,
                bytes,
            })
            .is_err()
        {
            return;
        }
    }
}
