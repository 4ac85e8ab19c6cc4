//! Gates: one task at a time for each name, in this process.

use tokio::sync::{Mutex, MutexGuard};

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
