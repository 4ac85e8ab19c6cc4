//! How often the service looks after things, and how long it waits for machines.

use std::time::Duration;

use jiff::SignedDuration;

/// The rhythm of the service's own work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// How often due schedules and called machines are looked for.
    pub tick: Duration,
    /// How often the rest is done: silent jobs, expiry, the clock.
    pub round: Duration,
    /// A job of which nothing was heard for so long has failed.
    pub job_silence: SignedDuration,
    /// How long the history of jobs is kept.
    pub job_history: SignedDuration,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(1),
            round: Duration::from_secs(20),
            job_silence: SignedDuration::from_mins(5),
            job_history: SignedDuration::from_hours(90 * 24),
        }
    }
}
