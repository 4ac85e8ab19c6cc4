//! What to do about failures that may pass: try again, ever more slowly, and not for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::ClientError;
use super::absence::Absence;

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
    /// Fails at once.
    pub const NONE: Self = Self {
        total: Duration::ZERO,
        pause_first: Duration::ZERO,
        pause_max: Duration::ZERO,
    };

    /// Survives a quick restart of the service: for commands with a person in front of them.
    pub const BRIEF: Self = Self {
        total: Duration::from_secs(5),
        pause_first: Duration::from_millis(100),
        pause_max: Duration::from_secs(1),
    };

    /// Survives an upgrade of the service or a line that is cut for minutes: for work that runs alone. The lease of a backup
    /// lasts longer.
    pub const PATIENT: Self = Self {
        total: Duration::from_secs(600),
        pause_first: Duration::from_millis(200),
        pause_max: Duration::from_secs(20),
    };

    /// As patient as that, for so long.
    pub fn lasting(self, total: Duration) -> Self {
        Self { total, ..self }
    }
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
    /// What the last attempt failed with.
    last: Option<ClientError>,
    absence: Arc<Absence>,
}

impl Attempts {
    pub(crate) fn new(policy: RetryPolicy, absence: Arc<Absence>) -> Self {
        Self {
            policy,
            pause: policy.pause_first,
            end: None,
            last: None,
            absence,
        }
    }

    /// Makes one attempt. The first is made in any case, the others only as long as the client does not give up.
    pub(crate) async fn run<T>(&self, attempt: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let Some(last) = &self.last else {
            return attempt.await;
        };
        tokio::select! {
            biased;
            result = attempt => result,
            () = self.absence.given_up() => Err(last.clone()),
        }
    }

    /// After a failure: waits, at least `at_least`, and says whether to try again.
    pub(crate) async fn again(&mut self, error: &ClientError, at_least: Duration) -> bool {
        let total = self.policy.total;
        if total.is_zero() || at_least > total || self.absence.is_given_up() {
            return false;
        }
        self.absence.begins(error);
        self.last = Some(error.clone());
        let pause = jittered(self.pause).max(at_least);
        self.pause = (self.pause * 2).min(self.policy.pause_max);
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(total)));
        tokio::select! {
            biased;
            () = end.as_mut() => false,
            () = self.absence.given_up() => false,
            () = sleep(pause) => true,
        }
    }
}

/// Something between nothing and `pause` ("full jitter"), so that clients that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0xff; 4];
    // Without randomness the pause is merely not jittered.
    let _ = aws_lc_rs::rand::fill(&mut random);
    pause.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> ClientError {
        ClientError::Unreachable {
            url: "https://localhost".to_owned(),
            why: "refused".to_owned(),
        }
    }

    fn trying(policy: RetryPolicy) -> Attempts {
        Attempts::new(policy, Arc::new(Absence::new()))
    }

    #[tokio::test]
    async fn attempts_end() {
        let quick = RetryPolicy {
            total: Duration::from_millis(500),
            pause_first: Duration::from_millis(1),
            pause_max: Duration::from_millis(50),
        };
        let mut attempts = trying(quick);
        let mut count = 0;
        while attempts.again(&away(), Duration::ZERO).await {
            count += 1;
        }
        assert!((2..200).contains(&count), "{count}");
        assert!(!trying(RetryPolicy::NONE).again(&away(), Duration::ZERO).await);
    }

    #[tokio::test]
    async fn who_gives_up_waits_no_longer() {
        let absence = Arc::new(Absence::new());
        let endless = RetryPolicy {
            total: Duration::MAX,
            pause_first: Duration::from_secs(1_000_000),
            pause_max: Duration::from_secs(1_000_000),
        };
        let mut attempts = Attempts::new(endless, absence.clone());
        let giving_up = async {
            let mut why = absence.watch();
            why.wait_for(Option::is_some).await.unwrap();
            absence.give_up();
        };
        let error = away();
        let (again, ()) = tokio::join!(attempts.again(&error, Duration::ZERO), giving_up);
        assert!(!again);
        let never = std::future::pending::<Result<(), ClientError>>();
        assert!(matches!(
            attempts.run(never).await,
            Err(ClientError::Unreachable { .. })
        ));
        let mut later = Attempts::new(endless, absence);
        assert!(
            later.run(std::future::ready(Ok(()))).await.is_ok(),
            "what comes later is tried once"
        );
        assert!(!later.again(&error, Duration::ZERO).await);
    }

    #[test]
    fn jitter_is_anything_up_to_the_pause() {
        let pause = Duration::from_secs(10);
        let pauses: Vec<Duration> = (0..200).map(|_| jittered(pause)).collect();
        assert!(pauses.iter().all(|jittered| *jittered <= pause));
        assert!(pauses.iter().any(|jittered| *jittered < pause / 4));
        assert!(pauses.iter().any(|jittered| *jittered > pause * 3 / 4));
    }
}
