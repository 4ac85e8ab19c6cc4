//! What to do about failures that may pass: try again, ever more slowly, and not for ever.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How long and how often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How long to go on after the first failure. Zero: fail at once.
    pub total: Duration,
    /// The pause after the first failure; each further one is twice as long.
    pub pause_first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl RetryPolicy {
    /// Fails at once: for commands with a person in front of them.
    pub const NONE: Self = Self {
        total: Duration::ZERO,
        pause_first: Duration::ZERO,
        pause_max: Duration::ZERO,
    };

    /// Survives a restart of the service or a short cut of the line: for work that runs alone.
    pub const PATIENT: Self = Self {
        total: Duration::from_secs(120),
        pause_first: Duration::from_millis(100),
        pause_max: Duration::from_secs(10),
    };
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::PATIENT
    }
}

/// The state of one call's attempts.
pub(crate) struct Attempts {
    policy: RetryPolicy,
    pause: Duration,
    /// Runs from the first failure on.
    end: Option<Pin<Box<Sleep>>>,
}

impl Attempts {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            pause: policy.pause_first,
            end: None,
        }
    }

    /// After a failure: waits, at least `at_least`, and says whether to try again.
    pub(crate) async fn again(&mut self, at_least: Duration) -> bool {
        let total = self.policy.total;
        if total.is_zero() || at_least > total {
            return false;
        }
        let pause = jittered(self.pause).max(at_least);
        self.pause = (self.pause * 2).min(self.policy.pause_max);
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(total)));
        tokio::select! {
            biased;
            () = end.as_mut() => false,
            () = sleep(pause) => true,
        }
    }
}

/// Between half of `pause` and all of it, so that clients that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0];
    // Without randomness the pause is merely not jittered.
    let _ = aws_lc_rs::rand::fill(&mut random);
    pause.mul_f64(0.5 + f64::from(random[0]) / 510.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn attempts_end() {
        let quick = RetryPolicy {
            total: Duration::from_millis(20),
            pause_first: Duration::from_micros(100),
            pause_max: Duration::from_millis(2),
        };
        let mut attempts = Attempts::new(quick);
        let mut count = 0;
        while attempts.again(Duration::ZERO).await {
            count += 1;
        }
        assert!((2..200).contains(&count), "{count}");
        assert!(!Attempts::new(RetryPolicy::NONE).again(Duration::ZERO).await);
    }

    #[test]
    fn jitter_stays_within_half_and_all() {
        let pause = Duration::from_secs(10);
        for _ in 0..100 {
            assert!((pause / 2..=pause).contains(&jittered(pause)));
        }
    }
}
