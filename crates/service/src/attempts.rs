//! Failed sign-ins: after a few, each further one costs the caller more patience.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use jiff::Timestamp;

/// How many failures are free.
const FREE_FAILURES: u32 = 5;

/// The longest wait, in seconds.
const WAIT_SECONDS_MAX: i64 = 60;

/// Failures are forgotten after so many seconds without one.
const MEMORY_SECONDS: i64 = 3600;

/// How many callers are remembered; behind that the one who failed longest ago is forgotten.
const CALLERS_MAX: usize = 4096;

/// Remembers failed sign-ins by user and address: a stranger elsewhere cannot lock the administrator out.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    callers: Mutex<HashMap<Caller, Failures>>,
}

/// Who failed: the address, and a hash of the name, which may be as long as the caller likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    address: IpAddr,
    name: [u8; 16],
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: i64,
}

impl Caller {
    pub(crate) fn new(address: IpAddr, name: &str) -> Self {
        // Users are found whatever the case: guesses are counted so too.
        let hash = blake3::hash(name.to_ascii_lowercase().as_bytes());
        let name = hash.as_bytes()[..16].try_into().expect("16 of 32 bytes");
        Self { address, name }
    }
}

impl Attempts {
    /// How many seconds the caller must wait before the next attempt; zero: none.
    pub(crate) fn wait_seconds(&self, caller: &Caller, now: Timestamp) -> u64 {
        let callers = self.callers.lock().expect("no holder panics");
        let Some(failures) = callers.get(caller) else {
            return 0;
        };
        let wait = match failures.count.checked_sub(FREE_FAILURES) {
            None => 0,
            Some(more) => (1i64 << more.min(6)).min(WAIT_SECONDS_MAX),
        };
        let passed = now.as_second().saturating_sub(failures.last);
        // A clock that jumped back must not make the wait longer than it was meant to be.
        u64::try_from(wait - passed.max(0)).unwrap_or(0)
    }

    pub(crate) fn failed(&self, caller: Caller, now: Timestamp) {
        let now = now.as_second();
        let mut callers = self.callers.lock().expect("no holder panics");
        callers.retain(|_, failures| now.saturating_sub(failures.last) < MEMORY_SECONDS);
        if callers.len() >= CALLERS_MAX && !callers.contains_key(&caller) {
            let oldest = callers
                .iter()
                .min_by_key(|(_, failures)| failures.last)
                .map(|(caller, _)| *caller);
            oldest.and_then(|oldest| callers.remove(&oldest));
        }
        let failures = callers.entry(caller).or_insert(Failures { count: 0, last: now });
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    pub(crate) fn succeeded(&self, caller: &Caller) {
        self.callers.lock().expect("no holder panics").remove(caller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn caller(name: &str) -> Caller {
        Caller::new("127.0.0.1".parse().unwrap(), name)
    }

    #[test]
    fn patience_grows_and_ends() {
        let attempts = Attempts::default();
        let waits: Vec<u64> = (0..13)
            .map(|_| {
                attempts.failed(caller("admin"), at(0));
                attempts.wait_seconds(&caller("admin"), at(0))
            })
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(attempts.wait_seconds(&caller("admin"), at(60)), 0);
        assert_eq!(attempts.wait_seconds(&caller("admin"), at(-1_000_000)), 60);
        assert_eq!(attempts.wait_seconds(&caller("other"), at(0)), 0);
        assert_eq!(attempts.wait_seconds(&caller("aDMIN"), at(0)), 60);
        attempts.succeeded(&caller("admin"));
        assert_eq!(attempts.wait_seconds(&caller("admin"), at(0)), 0);
    }

    #[test]
    fn memory_is_bounded_and_fades() {
        let attempts = Attempts::default();
        for i in 0..CALLERS_MAX as i64 + 10 {
            attempts.failed(caller(&i.to_string()), at(i / 100));
        }
        assert_eq!(attempts.callers.lock().unwrap().len(), CALLERS_MAX);
        attempts.failed(caller("late"), at(100_000));
        assert_eq!(attempts.callers.lock().unwrap().len(), 1);
    }
}
