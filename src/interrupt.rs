//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

/// Is ready when the user or the system asks the process to stop, from this call on.
pub(crate) fn requested() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
