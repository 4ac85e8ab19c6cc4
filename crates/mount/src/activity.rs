//! When something was asked last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::LONGEST;

/// Remembers when something was asked last.
#[derive(Debug)]
pub struct Activity {
    began: Instant,
    /// Milliseconds after the beginning.
    last: AtomicU64,
}

impl Activity {
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    /// Something is being asked, or was answered.
    pub fn note(&self) {
        let now = self.began.elapsed().as_millis() as u64;
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// Returns when nothing was noted for so long, or [`LONGEST`] after the beginning.
    pub async fn idle(&self, limit: Duration) {
        loop {
            let end = self.end(limit);
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }

    fn end(&self, limit: Duration) -> Instant {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.began + (last + limit).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn what_is_looked_at_stays_for_a_day_and_what_is_not_for_the_limit() {
        for (looked_at, limit, ends) in [(0, 6, 6), (5, 6, 11), (18, 6, 24), (23, 6, 24), (0, 24, 24)] {
            let activity = Activity::begin();
            let last = (looked_at * HOUR).as_millis() as u64;
            activity.last.store(last, Ordering::Relaxed);
            assert_eq!(
                activity.end(limit * HOUR),
                activity.began + ends * HOUR,
                "{looked_at} {limit}"
            );
        }
    }
}
