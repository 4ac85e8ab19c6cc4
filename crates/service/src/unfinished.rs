//! What is done although its caller hung up: dropped in the middle, a change would have no line in the audit log, and a pack
//! would lie in the store without a row that knows it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::shared::Shared;

/// Requests that are done to their end at once: more than there are connections.
const REQUESTS_MAX: u32 = 1 << 20;

/// Packs and points that are taken in at once, by whoever; more wait.
const OBJECTS_MAX: usize = 64;

/// What has begun and is not finished.
pub(crate) struct Unfinished {
    requests: Arc<Semaphore>,
    objects: Semaphore,
}

impl Unfinished {
    pub(crate) fn new() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(REQUESTS_MAX as usize)),
            objects: Semaphore::new(OBJECTS_MAX),
        }
    }

    /// Waits until all of it is done, but not for ever. Nothing new begins from then on.
    pub(crate) async fn finished(&self, patience: Duration) {
        let all = self.requests.acquire_many(REQUESTS_MAX);
        match timeout(patience, all).await {
            Ok(Ok(permits)) => permits.forget(),
            _ => tracing::warn!("what was under way is not waited for any more; whoever asked for it asks again"),
        }
    }

    /// A place for an object to be taken in.
    pub(crate) async fn object(&self) -> SemaphorePermit<'_> {
        self.objects.acquire().await.expect("the semaphore is never closed")
    }
}

/// Does the work, whether or not the caller waits for it.
pub(crate) async fn to_the_end<T: Send + 'static>(
    shared: &Shared,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let permit = shared.unfinished.requests.clone().acquire_owned().await;
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
