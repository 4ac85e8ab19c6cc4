//! Work that is done although its caller hung up: dropped between an object and its row, it would leave an object that
//! nobody knows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::shared::Shared;

/// Packs and points that are taken in at once, by whoever; more wait.
const AT_ONCE: u32 = 64;

/// What has begun and is not finished.
pub(crate) struct Unfinished(Arc<Semaphore>);

impl Unfinished {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE as usize)))
    }

    /// Waits until all of it is done, but not for ever. Nothing new begins from then on.
    pub(crate) async fn finished(&self, patience: Duration) {
        let all = self.0.acquire_many(AT_ONCE);
        match timeout(patience, all).await {
            Ok(Ok(permits)) => permits.forget(),
            _ => tracing::warn!("packs that arrived are not taken in any more; their senders send them again"),
        }
    }
}

/// Does the work, whether or not the caller waits for it.
pub(crate) async fn to_the_end<T: Send + 'static>(
    shared: Arc<Shared>,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let permit = shared.unfinished.0.clone().acquire_owned().await;
    drop(shared);
    let task = tokio::spawn(async move {
        let done = work.await;
        drop(permit);
        done
    });
    match task.await {
        Ok(done) => done,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}
