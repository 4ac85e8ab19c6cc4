//! The memory in which packs arrive: bounded, and used again.
//!
//! Packs are large and come and go quickly. Left to the allocator, their buffers stay behind in the arenas of many
//! threads, and the process grows far above what is in use; handed back to the system each time, every page of them is
//! faulted in anew. So a few buffers are kept for the next packs.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much memory packs may occupy at once, in KiB. At least one pack of the largest size fits.
const MEMORY_KIB: usize = 72 << 10;

/// Buffers for packs of the usual size, in bytes; only what is written to occupies memory.
const BUFFER_BYTES: usize = 20 << 20;

/// Packs below this many bytes get memory of their own: the allocator is good at that.
const POOLED_BYTES_MIN: usize = 1 << 20;

/// How many buffers are kept.
const BUFFERS_MAX: usize = 4;

/// Hands out memory for packs.
#[derive(Clone)]
pub(crate) struct PackMemory {
    /// One permit for each KiB.
    permits: Arc<Semaphore>,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl PackMemory {
    pub(crate) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MEMORY_KIB)),
            free: Arc::default(),
        }
    }

    /// Waits until there is memory for a pack of `length` bytes, which is at most that of the largest pack.
    pub(crate) async fn take(&self, length: usize) -> PackBuffer {
        let kib = u32::try_from(length.div_ceil(1024)).expect("the largest pack has fewer KiB");
        let permit = self.permits.clone().acquire_many_owned(kib).await;
        let is_pooled = (POOLED_BYTES_MIN..=BUFFER_BYTES).contains(&length);
        let bytes = match is_pooled {
            true => self.free().pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES)),
            false => Vec::with_capacity(length),
        };
        PackBuffer {
            bytes,
            length,
            free: is_pooled.then(|| self.clone()),
            _permit: permit.expect("the semaphore is never closed"),
        }
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory for one pack. It goes back when the last reference to the pack is gone.
pub(crate) struct PackBuffer {
    bytes: Vec<u8>,
    length: usize,
    free: Option<PackMemory>,
    _permit: OwnedSemaphorePermit,
}

impl PackBuffer {
    /// Appends a piece, unless that makes more than was asked for.
    pub(crate) fn push(&mut self, piece: &[u8]) -> bool {
        let fits = self.bytes.len() + piece.len() <= self.length;
        if fits {
            self.bytes.extend_from_slice(piece);
        }
        fits
    }

    /// The pack.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PackBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PackBuffer {
    fn drop(&mut self) {
        let Some(memory) = self.free.take() else { return };
        let mut free = memory.free();
        if free.len() < BUFFERS_MAX {
            self.bytes.clear();
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_api::PACK_BYTES_MAX;

    use super::*;

    #[tokio::test]
    async fn buffers_come_back_empty_and_are_used_again() {
        let memory = PackMemory::new();
        let mut buffer = memory.take(2 << 20).await;
        let place = buffer.bytes.as_ptr();
        assert!(buffer.push(b"pack"));
        let pack = buffer.freeze();
        let slice = pack.slice(1..);
        drop(pack);
        assert_eq!((memory.free().len(), &slice[..]), (0, &b"ack"[..]));
        drop(slice);
        let again = memory.take(3 << 20).await;
        assert_eq!((again.bytes.as_ptr(), again.bytes.len()), (place, 0));
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let memory = PackMemory::new();
        let first = memory.take(PACK_BYTES_MAX).await;
        let mut second = Box::pin(memory.take(PACK_BYTES_MAX));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        second.await;
        assert_eq!(memory.permits.available_permits(), MEMORY_KIB);
    }

    #[tokio::test]
    async fn more_than_was_announced_does_not_fit() {
        let mut buffer = PackMemory::new().take(3).await;
        assert!(buffer.push(b"ab") && !buffer.push(b"cd") && buffer.push(b"c"));
    }
}
