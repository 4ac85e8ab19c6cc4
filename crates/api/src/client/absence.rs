//! A service that is away: who waits for it can be watched, and can be told to wait no longer.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::{Client, ClientError};

/// What all calls of a client know about their waiting.
#[derive(Debug)]
pub(crate) struct Absence {
    why: watch::Sender<Option<String>>,
    given_up: watch::Sender<bool>,
    met: AtomicBool,
}

impl Absence {
    pub(crate) fn new() -> Self {
        Self {
            why: watch::Sender::new(None),
            given_up: watch::Sender::new(false),
            met: AtomicBool::new(false),
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<String>> {
        self.why.subscribe()
    }

    pub(crate) fn give_up(&self) {
        self.given_up.send_replace(true);
    }

    /// A call failed and will be tried again.
    pub(crate) fn begins(&self, error: &ClientError) {
        let Some(reason) = error.absence() else { return };
        self.why.send_if_modified(|why| match why {
            Some(_) => false,
            None => {
                *why = Some(reason);
                true
            }
        });
    }

    /// The service has answered.
    pub(crate) fn ends(&self) {
        self.met.store(true, Ordering::Relaxed);
        self.why.send_if_modified(|why| why.take().is_some());
    }

    /// Whether the service has ever answered this client.
    pub(crate) fn has_met(&self) -> bool {
        self.met.load(Ordering::Relaxed)
    }

    pub(crate) fn is_given_up(&self) -> bool {
        *self.given_up.borrow()
    }

    /// Returns when nobody wants to wait any more.
    pub(crate) async fn given_up(&self) {
        let mut given_up = self.given_up.subscribe();
        // The sender lives as long as we do.
        let _ = given_up.wait_for(|&given_up| given_up).await;
    }
}

impl Client {
    /// Why the service does not answer, as long as calls of this client or its clones wait for it.
    pub fn absence(&self) -> watch::Receiver<Option<String>> {
        self.shared.absence.watch()
    }

    /// Ends the waiting, in all clones: calls that wait for the service fail now, and later ones are tried once.
    pub fn give_up(&self) {
        self.shared.absence.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_that_is_away_is_told_of_and_once() {
        let absence = Absence::new();
        let away = ClientError::Unreachable {
            url: String::new(),
            why: "refused".to_owned(),
        };
        let mut why = absence.watch();
        absence.begins(&ClientError::Interrupted {
            url: String::new(),
            why: "reset".to_owned(),
        });
        assert!(!why.has_changed().unwrap());
        for _ in 0..3 {
            absence.begins(&away);
        }
        assert_eq!(why.borrow_and_update().as_deref(), Some("refused"));
        absence.begins(&away);
        assert!(!why.has_changed().unwrap());
        absence.ends();
        assert_eq!(*why.borrow_and_update(), None);
    }
}
