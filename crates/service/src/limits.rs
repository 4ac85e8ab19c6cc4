//! How patient the service is with slow clients.

use std::time::Duration;

/// Bounds on what a slow or silent client can occupy. The defaults are right; tests are less patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a client may take for the head of a request; also how long an idle connection stays open.
    pub head: Duration,
    /// How long a client may be silent in the middle of a body, and what slack it has in all.
    pub silence: Duration,
    /// A client that sends a body more slowly than this on average, in bytes per second, is cut off: otherwise a few
    /// could occupy the memory for packs for ever.
    pub bytes_per_second_min: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            silence: Duration::from_secs(30),
            bytes_per_second_min: 16 << 10,
        }
    }
}
