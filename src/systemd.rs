//! What systemd is told, if it started this.

use sd_notify::NotifyState;

/// Tells it how this is.
pub(crate) fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::debug!(%error, "could not tell systemd");
    }
}
