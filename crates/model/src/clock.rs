//! The only source of wall-clock time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Tells the time: the system's in production, a simulated one in tests.
///
/// This crate reads no clock. The program hands its one reading function to [`Clock::from_fn`] at start; whatever needs
/// the time is given the `Clock`.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Function(fn() -> Timestamp),
    Simulated(SimulatedTime),
}

impl Clock {
    /// A clock that calls `read` each time.
    pub fn from_fn(read: fn() -> Timestamp) -> Self {
        Self(Source::Function(read))
    }

    /// A clock that stands still at `start` until the returned handle moves it.
    pub fn simulated(start: Timestamp) -> (Self, SimulatedTime) {
        let time = SimulatedTime(Arc::new(AtomicI64::new(nanoseconds(start))));
        (Self(Source::Simulated(time.clone())), time)
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Function(read) => read(),
            Source::Simulated(time) => time.now(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Function(_) => "Clock(system)",
            Source::Simulated(_) => "Clock(simulated)",
        })
    }
}

/// Moves a simulated [`Clock`]. Covers the years 1678 to 2261 (nanoseconds in 64 bits).
#[derive(Clone, Debug)]
pub struct SimulatedTime(Arc<AtomicI64>);

impl SimulatedTime {
    /// The moment the clock shows.
    pub fn now(&self) -> Timestamp {
        let nanoseconds = self.0.load(Ordering::SeqCst);
        Timestamp::from_nanosecond(nanoseconds.into()).expect("64-bit nanoseconds lie within jiff's range")
    }

    /// Jumps to `moment`, forward or backward.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(nanoseconds(moment), Ordering::SeqCst);
    }

    /// Moves by `by`, which may be negative.
    pub fn advance(&self, by: SignedDuration) {
        self.set(
            self.now()
                .saturating_add(by)
                .expect("a signed duration carries no calendar units"),
        );
    }
}

fn nanoseconds(moment: Timestamp) -> i64 {
    let limit = i128::from(i64::MAX);
    moment.as_nanosecond().clamp(-limit, limit) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_time_moves_only_when_told() {
        let start: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let (clock, time) = Clock::simulated(start);
        assert_eq!(clock.now(), start);
        time.advance(SignedDuration::from_secs(-60));
        assert_eq!(clock.now().to_string(), "2026-11-20T23:59:00Z");
        time.set(start);
        assert_eq!(clock.now(), start);
    }
}
