//! Many small contents in one chunk.

use crossbeam_channel::Sender;
use strongroom_format::entry::Chunk;

use super::scan::{SMALL_BYTES, Stop};
use super::workers::ChunkJob;
use crate::slot::{Promise, Slot, slot};

/// A bundle of files is closed when it holds so many bytes.
///
/// Measured on a source tree (zstd 3, the vault's size): 1 MiB 203.0 MiB, 2 MiB 199.6, 4 MiB 198.5. Restoring one small
/// file decompresses its whole bundle, so we stop where the gain does.
pub const FILES_BYTES: usize = 2 << 20;
/// A bundle of an image's blocks is closed when it holds so many bytes.
///
/// Measured on a disk image: 1 MiB 1637 MiB, 2 MiB 1587, 4 MiB 1551, all at the same CPU time.
pub const BLOCKS_BYTES: usize = 4 << 20;

/// The open bundle. It is handed to the workers when it is closed.
#[derive(Debug)]
pub struct Bundle {
    jobs: Sender<ChunkJob>,
    plain: Vec<u8>,
    slot: Slot<Chunk>,
    promise: Promise<Chunk>,
}

impl Bundle {
    /// An empty one.
    pub fn new(jobs: Sender<ChunkJob>) -> Self {
        let (slot, promise) = slot();
        Self {
            jobs,
            plain: Vec::new(),
            slot,
            promise,
        }
    }

    /// Where contents are appended; take back what turns out to be known by truncating.
    pub fn plain(&mut self) -> &mut Vec<u8> {
        if self.plain.capacity() == 0 {
            self.plain.reserve(FILES_BYTES + SMALL_BYTES as usize);
        }
        &mut self.plain
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// Whether it should be closed when it may hold `target` bytes.
    pub fn is_full(&self, target: usize) -> bool {
        self.plain.len() >= target
    }

    /// The chunk that it will be.
    pub fn slot(&self) -> &Slot<Chunk> {
        &self.slot
    }

    /// Hands it to the workers and begins a new one.
    pub fn close(&mut self) -> Result<(), Stop> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let (next_slot, next_promise) = slot();
        self.slot = next_slot;
        let promise = std::mem::replace(&mut self.promise, next_promise);
        let plain = std::mem::take(&mut self.plain);
        self.jobs.send(ChunkJob { plain, promise }).map_err(|_| Stop::Broken)
    }

    /// Sends contents as a chunk of their own.
    pub fn send_alone(&self, plain: Vec<u8>) -> Result<Slot<Chunk>, Stop> {
        let (slot, promise) = slot();
        self.jobs.send(ChunkJob { plain, promise }).map_err(|_| Stop::Broken)?;
        Ok(slot)
    }
}
