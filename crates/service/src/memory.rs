//! The memory in which request bodies arrive: bounded, shared fairly, and used again.
//!
//! Packs are large and come and go quickly. Left to the allocator, their buffers stay behind in the arenas of many
//! threads, and the process grows far above what is in use; handed back to the system each time, every page of them is
//! faulted in anew. So a few buffers are kept for the next packs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use strongroom_model::ContainerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much memory bodies may occupy at once, in KiB.
const MEMORY_KIB: usize = 72 << 10;

/// How much of it one machine may occupy, in KiB: one that sends slowly delays only itself. A pack of the largest size
/// fits.
const SHARE_KIB: usize = 40 << 10;

/// Bodies up to so many bytes are admitted at once: connections are bounded, and signing in must not wait for packs.
const UNCOUNTED_BYTES_MAX: usize = 64 << 10;

/// Buffers for packs of the usual size, in bytes; only what is written to occupies memory.
const BUFFER_BYTES: usize = 20 << 20;

/// Bodies below this many bytes get memory of their own: the allocator is good at that.
const POOLED_BYTES_MIN: usize = 1 << 20;

/// How many buffers are kept.
const BUFFERS_MAX: usize = 4;

/// Machines that are remembered before those that send nothing now are forgotten.
const SHARES_KEPT: usize = 1024;

/// Hands out memory for bodies.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Inner>);

struct Inner {
    /// One permit for each KiB.
    permits: Arc<Semaphore>,
    /// One permit for each KiB of a machine's share.
    shares: Mutex<HashMap<ContainerId, Weak<Semaphore>>>,
    free: Mutex<Vec<Vec<u8>>>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            permits: Arc::new(Semaphore::new(MEMORY_KIB)),
            shares: Mutex::default(),
            free: Mutex::default(),
        }))
    }

    /// Waits until there is memory for a body of `length` bytes, which is at most that of the largest pack.
    pub(crate) async fn take(&self, length: usize, sender: Option<ContainerId>) -> Buffer {
        let mut permits = Vec::new();
        if length > UNCOUNTED_BYTES_MAX {
            // The share first: who waits for his own share occupies nothing that others wait for.
            if let Some(sender) = sender {
                permits.push(acquire(self.share(sender), length).await);
            }
            permits.push(acquire(self.0.permits.clone(), length).await);
        }
        let is_pooled = (POOLED_BYTES_MIN..=BUFFER_BYTES).contains(&length);
        let bytes = match is_pooled {
            true => lock(&self.0.free)
                .pop()
                .unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES)),
            false => Vec::with_capacity(length),
        };
        Buffer {
            bytes,
            length,
            home: is_pooled.then(|| self.clone()),
            _permits: permits,
        }
    }

    fn share(&self, sender: ContainerId) -> Arc<Semaphore> {
        let mut shares = lock(&self.0.shares);
        if let Some(share) = shares.get(&sender).and_then(Weak::upgrade) {
            return share;
        }
        if shares.len() >= SHARES_KEPT {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = Arc::new(Semaphore::new(SHARE_KIB));
        shares.insert(sender, Arc::downgrade(&share));
        share
    }
}

async fn acquire(semaphore: Arc<Semaphore>, length: usize) -> OwnedSemaphorePermit {
    let kib = u32::try_from(length.div_ceil(1024)).expect("the largest body has fewer KiB");
    let permit = semaphore.acquire_many_owned(kib).await;
    permit.expect("the semaphore is never closed")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory for one body. It goes back when the last reference to the body is gone.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    home: Option<Memory>,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Buffer {
    /// Appends a piece, unless that makes more than was asked for.
    pub(crate) fn push(&mut self, piece: &[u8]) -> bool {
        let fits = self.bytes.len() + piece.len() <= self.length;
        if fits {
            self.bytes.extend_from_slice(piece);
        }
        fits
    }

    /// The body.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let mut free = lock(&home.0.free);
        if free.len() < BUFFERS_MAX {
            self.bytes.clear();
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use strongroom_api::PACK_BYTES_MAX;

    use super::*;

    fn machine(byte: u8) -> Option<ContainerId> {
        Some(ContainerId::from_bytes([byte; 16]))
    }

    #[tokio::test]
    async fn buffers_come_back_empty_and_are_used_again() {
        let memory = Memory::new();
        let mut buffer = memory.take(2 << 20, None).await;
        let place = buffer.bytes.as_ptr();
        assert!(buffer.push(b"pack"));
        let pack = buffer.freeze();
        let slice = pack.slice(1..);
        drop(pack);
        assert_eq!((lock(&memory.0.free).len(), &slice[..]), (0, &b"ack"[..]));
        drop(slice);
        let again = memory.take(3 << 20, None).await;
        assert_eq!((again.bytes.as_ptr(), again.bytes.len()), (place, 0));
    }

    #[tokio::test]
    async fn memory_is_bounded_and_no_machine_gets_all_of_it() {
        let memory = Memory::new();
        let first = memory.take(PACK_BYTES_MAX, machine(1)).await;
        let mut greedy = Box::pin(memory.take(1 << 20, machine(1)));
        assert!((&mut greedy).now_or_never().is_none());
        let other = memory.take(16 << 20, machine(2)).await;
        let mut more = Box::pin(memory.take(PACK_BYTES_MAX, machine(3)));
        assert!((&mut more).now_or_never().is_none());
        memory.take(1000, machine(1)).await;
        drop(first);
        drop((greedy.await, more.await, other));
        assert_eq!(memory.0.permits.available_permits(), MEMORY_KIB);
    }

    #[tokio::test]
    async fn more_than_was_announced_does_not_fit() {
        let mut buffer = Memory::new().take(3, None).await;
        assert!(buffer.push(b"ab") && !buffer.push(b"cd") && buffer.push(b"c"));
    }

    #[tokio::test]
    async fn machines_that_are_gone_are_forgotten() {
        let memory = Memory::new();
        for number in 0..2000u128 {
            let machine = ContainerId::from_bytes(number.to_le_bytes());
            memory.take(100_000, Some(machine)).await;
        }
        assert!(lock(&memory.0.shares).len() <= SHARES_KEPT);
    }
}
