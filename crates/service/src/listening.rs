//! Since when machines could be heard. A job is silent only where somebody listened: a service that was off, a node that
//! was asleep and a clock that jumped say nothing about what a machine did meanwhile.

use jiff::{SignedDuration, Timestamp};

pub(crate) struct Listening {
    since: Timestamp,
    last: Timestamp,
}

impl Listening {
    pub(crate) fn from(now: Timestamp) -> Self {
        Self { since: now, last: now }
    }

    /// Whether machines could be heard for as long as `silence` up to now. Asked at every round; two rounds that are further
    /// apart than that, or in the wrong order, begin anew.
    pub(crate) fn lasts(&mut self, now: Timestamp, silence: SignedDuration) -> bool {
        if now < self.last || now.duration_since(self.last) >= silence {
            self.since = now;
        }
        self.last = now;
        now.duration_since(self.since) >= silence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unbroken_time_counts() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let silence = SignedDuration::from_mins(5);
        let mut listening = Listening::from(at(0));
        let heard: Vec<bool> = [0, 1, 4, 5, 6, 11, 15, 16, 30, 34, 35, 20, 24, 25]
            .map(|minute| listening.lasts(at(minute), silence))
            .to_vec();
        let (no, yes) = (false, true);
        assert_eq!(
            heard,
            // From 6 to 11 nobody listened, nor from 16 to 30; at 20 the clock was set back.
            [no, no, no, yes, yes, no, no, yes, no, no, yes, no, no, yes]
        );
    }
}
