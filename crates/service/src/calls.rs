//! Who waits on the link, and how he is called.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_model::ContainerId;
use tokio::sync::Notify;

/// The machines that wait for work at this node.
#[derive(Default)]
pub(crate) struct Calls {
    waiting: Mutex<HashMap<ContainerId, Waiting>>,
}

struct Waiting {
    bell: Arc<Notify>,
    /// How many links of the machine hear it.
    links: usize,
}

/// One link's place: whoever holds it hears calls from the moment at which he took it.
pub(crate) struct Place<'a> {
    calls: &'a Calls,
    container: ContainerId,
    bell: Arc<Notify>,
}

impl Calls {
    /// Takes a place. To be done before looking for work: a call between is not lost.
    pub(crate) fn wait(&self, container: ContainerId) -> Place<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = waiting.entry(container).or_insert_with(|| Waiting {
            bell: Arc::default(),
            links: 0,
        });
        entry.links += 1;
        Place {
            calls: self,
            container,
            bell: entry.bell.clone(),
        }
    }

    /// Calls a machine, if it waits here.
    pub(crate) fn call(&self, container: ContainerId) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = waiting.get(&container) {
            entry.bell.notify_one();
        }
    }

    /// How many machines wait here.
    pub(crate) fn count(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Place<'_> {
    /// Returns when the machine is called, at once if it was meanwhile.
    pub(crate) async fn called(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.calls.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = waiting.get_mut(&self.container) {
            entry.links -= 1;
            if entry.links == 0 {
                waiting.remove(&self.container);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_call_before_the_wait_is_heard() {
        let (calls, machine) = (Calls::default(), ContainerId::from_bytes([1; 16]));
        calls.call(machine);
        let place = calls.wait(machine);
        let short = Duration::from_millis(20);
        assert!(
            timeout(short, place.called()).await.is_err(),
            "nobody waited when it was called"
        );
        calls.call(machine);
        timeout(short, place.called()).await.unwrap();
        let second = calls.wait(machine);
        assert_eq!(calls.count(), 1);
        drop(place);
        assert_eq!(calls.count(), 1);
        drop(second);
        assert_eq!(calls.count(), 0);
    }
}
