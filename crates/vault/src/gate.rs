//! Gates: one task at a time for each name, in this process; and corridors, which one can wait to be empty.

use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

const GATES: usize = 64;

/// A fixed number of locks; names share them by their last byte, which is random in every id.
pub(crate) struct Gates([Mutex<()>; GATES]);

impl Gates {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }

    /// Waits until nobody else has the name.
    pub(crate) async fn enter(&self, name: &[u8; 16]) -> MutexGuard<'_, ()> {
        self.0[usize::from(name[15]) % GATES].lock().await
    }
}

/// Like [`Gates`], but any number of tasks may be inside.
pub(crate) struct Corridors([RwLock<()>; GATES]);

impl Corridors {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| RwLock::new(())))
    }

    /// Goes in, after those who wait for it to be empty.
    pub(crate) async fn enter(&self, name: &[u8; 16]) -> RwLockReadGuard<'_, ()> {
        self.of(name).read().await
    }

    /// Waits until all who are inside now have left.
    pub(crate) async fn emptied(&self, name: &[u8; 16]) {
        drop(self.of(name).write().await);
    }

    fn of(&self, name: &[u8; 16]) -> &RwLock<()> {
        &self.0[usize::from(name[15]) % GATES]
    }
}
