//! Failed sign-ins: after a few, each further one costs the caller more patience.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use jiff::Timestamp;

use crate::network::Network;

/// How many failures are free.
const FREE_FAILURES: u32 = 5;

/// The same where all people behind one address are counted together.
const FREE_FAILURES_OF_MANY: u32 = 100;

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

/// Who failed: the network, and a hash of the name, which may be as long as the caller likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    network: Network,
    name: [u8; 16],
    free: u32,
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
        let network = Network::of_customer(address);
        let free = FREE_FAILURES;
        Self { network, name, free }
    }

    /// Everybody at this address, for what is not said by name.
    pub(crate) fn of_many(address: IpAddr, name: &str) -> Self {
        let free = FREE_FAILURES_OF_MANY;
        Self {
            free,
            ..Self::new(address, name)
        }
    }

    /// Whoever guesses this, from wherever: for guesses that only somebody who knows another secret already can make.
    pub(crate) fn from_anywhere(name: &str) -> Self {
        Self::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), name)
    }
}

impl Attempts {
    /// Counts an attempt before it is known how it ends, so that many at once are bound like one after the other.
    ///
    /// # Errors
    /// How many seconds the caller must wait before the next attempt; this one is not counted.
    pub(crate) fn begin(&self, caller: Caller, now: Timestamp) -> Result<(), u64> {
        let mut callers = self.callers.lock().expect("no holder panics");
        match wait_seconds(callers.get(&caller), caller.free, now) {
            0 => {
                count(&mut callers, caller, now);
                Ok(())
            }
            seconds => Err(seconds),
        }
    }

    /// The attempt ended well: all is forgiven.
    pub(crate) fn succeeded(&self, caller: &Caller) {
        self.callers.lock().expect("no holder panics").remove(caller);
    }
}

fn wait_seconds(failures: Option<&Failures>, free: u32, now: Timestamp) -> u64 {
    let Some(failures) = failures else {
        return 0;
    };
    let wait = match failures.count.checked_sub(free) {
        None => 0,
        Some(more) => (1i64 << more.min(6)).min(WAIT_SECONDS_MAX),
    };
    let passed = now.as_second().saturating_sub(failures.last);
    // A clock that jumped back must not make the wait longer than it was meant to be.
    u64::try_from(wait - passed.max(0)).unwrap_or(0)
}

fn count(callers: &mut HashMap<Caller, Failures>, caller: Caller, now: Timestamp) {
    let now = now.as_second();
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
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..13 {
            attempts.begin(caller("admin"), at(now)).unwrap();
            let wait = attempts.begin(caller("admin"), at(now)).err().unwrap_or(0);
            waits.push(wait);
            match wait {
                // The second attempt was counted: forget both and count the first again.
                0 => {
                    attempts.succeeded(&caller("admin"));
                    for _ in 0..waits.len() {
                        attempts.begin(caller("admin"), at(now)).unwrap();
                    }
                }
                _ => now += wait as i64,
            }
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        attempts.begin(caller("admin"), at(now)).unwrap();
        assert_eq!(attempts.begin(caller("admin"), at(-1_000_000)), Err(60));
        assert_eq!(attempts.begin(caller("other"), at(now)), Ok(()));
        assert_eq!(attempts.begin(caller("aDMIN"), at(now)), Err(60));
        attempts.succeeded(&caller("admin"));
        assert_eq!(attempts.begin(caller("admin"), at(now)), Ok(()));
    }

    #[test]
    fn many_together_may_fail_more_often() {
        let attempts = Attempts::default();
        let many = Caller::of_many("127.0.0.1".parse().unwrap(), "admin");
        for _ in 0..FREE_FAILURES_OF_MANY {
            attempts.begin(many, at(0)).unwrap();
        }
        assert_eq!(attempts.begin(many, at(0)), Err(1));
        assert_eq!(attempts.begin(caller("admin"), at(0)), Ok(()));
    }

    #[test]
    fn a_network_of_the_sixth_version_is_one_caller() {
        let of = |address: &str| Caller::new(address.parse().unwrap(), "admin");
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    #[test]
    fn memory_is_bounded_and_fades() {
        let attempts = Attempts::default();
        for i in 0..CALLERS_MAX as i64 + 10 {
            attempts.begin(caller(&i.to_string()), at(i / 100)).unwrap();
        }
        assert_eq!(attempts.callers.lock().unwrap().len(), CALLERS_MAX);
        attempts.begin(caller("late"), at(100_000)).unwrap();
        assert_eq!(attempts.callers.lock().unwrap().len(), 1);
    }
}
