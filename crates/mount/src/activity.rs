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

    #[tokio::test(start_paused = true)]
    async fn what_is_looked_at_stays_for_a_day_and_what_is_not_for_the_limit() {
        let activity = Activity::begin();
        activity.idle(6 * HOUR).await;
        assert_eq!(activity.began.elapsed().as_secs() / 3600, 6);
        let activity = Activity::begin();
        let looking = async {
            loop {
                tokio::time::sleep(HOUR).await;
                activity.note();
            }
        };
        tokio::select! {
            () = activity.idle(6 * HOUR) => {}
            () = looking => {}
        }
        assert_eq!(activity.began.elapsed(), LONGEST);
    }
}
