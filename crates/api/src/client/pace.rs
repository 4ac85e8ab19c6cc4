//! How fast bytes go: one line each way, which all connections of a client share.

use std::fmt;
use std::time::Duration;

use strongroom_model::{Limit, Limits};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// The most that is handed on at once: one record of TLS. At the lowest limit that takes a quarter of a second, and so a
/// changed limit holds as soon.
pub(crate) const STEP_BYTES: usize = 16 << 10;

/// How far behind its limit a line may catch up: what timers and a busy machine cost.
const SLACK: Duration = Duration::from_millis(200);

/// How often it is asked what the limits are.
const ASK: Duration = Duration::from_secs(1);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// Holds bytes back so that no more go than the limits of the moment allow.
pub struct Pace {
    limits: Box<dyn Fn() -> Limits + Send + Sync>,
    /// What it said last, and when.
    known: std::sync::Mutex<Option<(Instant, Limits)>>,
    up: Mutex<Line>,
    down: Mutex<Line>,
}

impl Pace {
    /// As fast as it goes.
    pub fn unlimited() -> Self {
        Self::new(Limits::default)
    }

    /// No faster than `limits` says. It is asked again and again, but only while something is sent or received, and no more
    /// than once a second: so it may change, and may open a small file.
    pub fn new(limits: impl Fn() -> Limits + Send + Sync + 'static) -> Self {
        Self {
            limits: Box::new(limits),
            known: std::sync::Mutex::new(None),
            up: Mutex::new(Line::default()),
            down: Mutex::new(Line::default()),
        }
    }

    /// Returns when so many bytes may go, or when it is right to go on after they came. Who came first goes first.
    pub(crate) async fn pass(&self, way: Way, mut bytes: usize) {
        while bytes > 0 && self.limit(way).is_some() {
            let step = bytes.min(STEP_BYTES);
            bytes -= step;
            let line = match way {
                Way::Up => &self.up,
                Way::Down => &self.down,
            };
            // Held while waiting, so that the others queue.
            let mut line = line.lock().await;
            if let Some(limit) = self.limit(way) {
                sleep_until(line.take(Instant::now(), step, limit)).await;
            }
        }
    }

    /// The limit of the moment, in bytes per second.
    fn limit(&self, way: Way) -> Option<u64> {
        let mut known = self.known.lock().expect("no thread panicked with it");
        let now = Instant::now();
        let limits = match *known {
            Some((asked, limits)) if now < asked + ASK => limits,
            _ => known.insert((now, (self.limits)())).1,
        };
        let limit: Limit = match way {
            Way::Up => limits.upload,
            Way::Down => limits.download,
        };
        limit.bytes_per_second()
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pace")
    }
}

/// One way, on which bytes go one after the other.
#[derive(Debug, Default)]
struct Line {
    /// When what was let through so far has gone.
    free: Option<Instant>,
}

impl Line {
    /// When the next so many bytes may go. A line that was idle has saved up nothing but [`SLACK`].
    fn take(&mut self, now: Instant, bytes: usize, bytes_per_second: u64) -> Instant {
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        let begin = self.free.unwrap_or(now).max(earliest);
        self.free = Some(begin + Duration::from_secs_f64(bytes as f64 / bytes_per_second as f64));
        begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Bytes that go within a time, if whoever sends is `late` each time.
    fn gone_within(time: Duration, limit: u64, late: Duration) -> u64 {
        let (begin, mut line, mut gone) = (Instant::now(), Line::default(), 0);
        let mut now = begin;
        loop {
            now = line.take(now, STEP_BYTES, limit).max(now) + late;
            if now >= begin + time {
                return gone;
            }
            gone += STEP_BYTES as u64;
        }
    }

    #[test]
    fn a_line_keeps_its_limit() {
        for kbit in [512, 20_000, 1_023_000] {
            let limit = kbit * 125;
            let late = Duration::from_micros(50).min(SECOND * STEP_BYTES as u32 / limit as u32 / 2);
            let rate = gone_within(10 * SECOND, limit, late) as f64 / 10.0 / limit as f64;
            assert!((0.97..1.04).contains(&rate), "{rate} times {kbit} kbit/s");
        }
    }

    #[test]
    fn who_was_late_catches_up_and_who_was_idle_does_not() {
        let (limit, now) = (2_500_000, Instant::now());
        let mut line = Line::default();
        assert_eq!(line.take(now, 250_000, limit), now);
        // A tenth of a second is owed; after 150 ms one may go on at once, and is 50 ms ahead of that.
        let late = now + Duration::from_millis(150);
        assert!(line.take(late, 250_000, limit) <= now + Duration::from_millis(101));
        assert!(line.take(late, 250_000, limit) >= now + Duration::from_millis(199));
        // A minute later there is no minute's worth to go.
        let idle = now + 60 * SECOND;
        assert!(line.take(idle, 250_000, limit) >= idle - SLACK);
    }

    #[tokio::test]
    async fn what_is_unlimited_is_not_held_back() {
        let pace = Pace::unlimited();
        pace.pass(Way::Up, usize::MAX).await;
        pace.pass(Way::Down, usize::MAX).await;
    }

    #[tokio::test]
    async fn a_limit_that_is_lifted_lets_go_what_waits() {
        let lifted = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (asked, slow) = (lifted.clone(), "512kbit".parse().unwrap());
        let pace = Pace::new(move || {
            let upload = match asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
                true => Limit::UNLIMITED,
                false => slow,
            };
            Limits { upload, download: slow }
        });
        // An hour's worth at the first limit.
        let begun = Instant::now();
        pace.pass(Way::Up, 3600 * 64_000).await;
        assert!(begun.elapsed() < 60 * SECOND);
    }
}
