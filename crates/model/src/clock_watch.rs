//! How much of the time that a clock shows can be believed. A clock that jumps ahead by a year would let every recovery point
//! expire.
//!
//! A time much later than the one that was seen last means that the service was off, or that the clock jumped: nobody can
//! tell. So the time that passed unseen is doubted until the service has gone on for a day, in which somebody can set the
//! clock right; a day of running in sum, so that what is off every night believes the night after the next day. Meanwhile
//! everything goes on by the time that is not doubted, which is never later than the true one.
//!
//! A time before the last one means that one of the two is wrong. What is believed then is not later than before, nor later
//! than what the clock shows. So nodes whose clocks disagree believe nothing new until one of them is gone.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long the service must go on before it believes the time that passed unseen.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// Jumps that are told from each other; one more counts as one with the last.
const DOUBTS_MAX: usize = 16;

/// How the clock went on since the last look, on whichever node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockStep {
    /// As it should.
    Steady,
    /// It jumped ahead, or the service was off.
    Ahead(SignedDuration),
    /// It was set back.
    Back(SignedDuration),
}

impl ClockStep {
    /// From one time that was seen to the next; more than `jump` is no steady step.
    fn between(last: Timestamp, now: Timestamp, jump: SignedDuration) -> Self {
        let step = now.duration_since(last);
        match step {
            _ if step > jump => Self::Ahead(step),
            _ if step < -jump => Self::Back(-step),
            _ => Self::Steady,
        }
    }
}

/// What all nodes together know of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockWatch {
    /// The time that was seen last.
    seen: Timestamp,
    /// Times that passed unseen, oldest first.
    doubts: Vec<Doubt>,
}

/// A time that passed unseen, if it passed at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Doubt {
    /// How long it was.
    lasted: SignedDuration,
    /// How long the service must go on before it is believed.
    settles_in: SignedDuration,
}

impl ClockWatch {
    /// The first look: there is nothing yet that could go by a wrong clock.
    pub fn begun(now: Timestamp) -> Self {
        Self {
            seen: now,
            doubts: Vec::new(),
        }
    }

    /// Looks at a clock that shows `now`. A step of more than `jump` is not believed; looks must be much closer together.
    pub fn look(&mut self, now: Timestamp, jump: SignedDuration) -> ClockStep {
        let believed = self.believed();
        let step = ClockStep::between(self.seen, now, jump);
        match step {
            ClockStep::Steady => self.settle(now.duration_since(self.seen)),
            ClockStep::Ahead(by) => self.doubt(by),
            ClockStep::Back(_) => self.doubt_at_most(now.duration_since(believed).max(SignedDuration::ZERO)),
        }
        self.seen = now;
        step
    }

    /// The time that is not doubted: what was over then may go.
    pub fn believed(&self) -> Timestamp {
        self.seen.checked_sub(self.doubted()).unwrap_or(Timestamp::MIN)
    }

    /// Whether nothing is doubted.
    pub fn is_settled(&self) -> bool {
        self.doubts.is_empty()
    }

    fn doubted(&self) -> SignedDuration {
        let all = self.doubts.iter().map(|doubt| doubt.lasted);
        all.fold(SignedDuration::ZERO, SignedDuration::saturating_add)
    }

    /// Some time has passed, in many looks; a small step back undoes what the step ahead before it did.
    fn settle(&mut self, passed: SignedDuration) {
        for doubt in &mut self.doubts {
            doubt.settles_in = doubt.settles_in.saturating_sub(passed).min(SETTLED_AFTER);
        }
        self.doubts.retain(|doubt| doubt.settles_in.is_positive());
    }

    fn doubt(&mut self, lasted: SignedDuration) {
        let is_full = self.doubts.len() == DOUBTS_MAX;
        match self.doubts.last_mut().filter(|_| is_full) {
            Some(last) => {
                last.lasted = last.lasted.saturating_add(lasted);
                last.settles_in = SETTLED_AFTER;
            }
            None => self.doubts.push(Doubt {
                lasted,
                settles_in: SETTLED_AFTER,
            }),
        }
    }

    /// Takes back the newest doubts, as far as they are more than that in sum.
    fn doubt_at_most(&mut self, most: SignedDuration) {
        let mut surplus = self.doubted().saturating_sub(most);
        while surplus.is_positive()
            && let Some(last) = self.doubts.last_mut()
        {
            let less = surplus.min(last.lasted);
            last.lasted = last.lasted.saturating_sub(less);
            surplus = surplus.saturating_sub(less);
            if last.lasted.is_zero() {
                self.doubts.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    const YEAR: SignedDuration = SignedDuration::from_hours(24 * 365);

    /// A service that looks every ten minutes.
    struct Watched {
        watch: ClockWatch,
        now: Timestamp,
    }

    impl Watched {
        fn new() -> Self {
            let now = "2026-11-21T12:00:00Z".parse().unwrap();
            let watch = ClockWatch::begun(now);
            Self { watch, now }
        }

        fn jump(&mut self, by: SignedDuration) -> ClockStep {
            self.now += by;
            self.watch.look(self.now, HOUR)
        }

        fn run(&mut self, time: SignedDuration) {
            let end = self.now + time;
            while self.now < end {
                assert_eq!(self.jump(SignedDuration::from_mins(10)), ClockStep::Steady);
            }
        }

        fn lag(&self) -> SignedDuration {
            self.now.duration_since(self.watch.believed())
        }
    }

    #[test]
    fn jumps_are_told_from_steps() {
        let mut watched = Watched::new();
        for (by, step) in [
            (HOUR, ClockStep::Steady),
            (-HOUR, ClockStep::Steady),
            (YEAR, ClockStep::Ahead(YEAR)),
            (-YEAR, ClockStep::Back(YEAR)),
        ] {
            assert_eq!(watched.jump(by), step);
        }
        assert!(watched.watch.is_settled());
    }

    #[test]
    fn what_passed_unseen_is_believed_after_a_day_of_running() {
        let mut watched = Watched::new();
        watched.jump(YEAR);
        let before = watched.watch.believed();
        watched.run(HOUR * 23);
        assert_eq!(watched.watch.believed(), before + HOUR * 23, "what is seen counts");
        assert_eq!(watched.lag(), YEAR);
        watched.run(HOUR);
        assert_eq!(
            (watched.lag(), watched.watch.is_settled()),
            (SignedDuration::ZERO, true)
        );
    }

    #[test]
    fn a_clock_that_is_set_right_is_believed_at_once() {
        let mut watched = Watched::new();
        watched.jump(YEAR);
        watched.run(HOUR * 5);
        watched.jump(-YEAR);
        assert!(watched.watch.is_settled());
        // One that was believed when it was wrong is not believed again.
        watched.jump(YEAR);
        watched.run(DAY);
        watched.jump(-YEAR);
        assert_eq!(watched.lag(), SignedDuration::ZERO);
        watched.jump(YEAR);
        assert_eq!(watched.lag(), YEAR);
    }

    #[test]
    fn what_is_off_every_night_lags_by_two_nights_at_most() {
        let mut watched = Watched::new();
        for _ in 0..30 {
            watched.run(HOUR * 16);
            watched.jump(HOUR * 8);
            assert!(watched.lag() <= HOUR * 16, "{}", watched.lag());
        }
        watched.run(DAY);
        assert!(watched.watch.is_settled());
    }

    /// A jump does not hide behind an earlier one whose day is nearly over.
    #[test]
    fn each_jump_has_its_own_day() {
        let mut watched = Watched::new();
        watched.jump(HOUR * 8);
        watched.run(HOUR * 23);
        watched.jump(YEAR);
        watched.run(HOUR * 23);
        assert_eq!(watched.lag(), YEAR);
        watched.run(HOUR);
        assert_eq!(watched.lag(), SignedDuration::ZERO);
    }

    #[test]
    fn clocks_that_disagree_believe_nothing_new() {
        for apart in [HOUR * 2, YEAR] {
            let mut watched = Watched::new();
            let start = watched.now;
            for look in 0..10_000 {
                watched.jump(if look % 2 == 0 {
                    apart
                } else {
                    SignedDuration::from_mins(10) - apart
                });
                assert!(watched.watch.believed() <= start, "{look}");
                assert!(watched.watch.doubts.len() <= DOUBTS_MAX);
            }
            // The one that is ahead is gone: what the other saw pass settles.
            watched.run(DAY * 2);
            assert_eq!(watched.lag(), SignedDuration::ZERO);
        }
    }

    #[test]
    fn steps_to_and_fro_settle_nothing() {
        let mut watched = Watched::new();
        watched.jump(YEAR);
        for _ in 0..1000 {
            watched.jump(HOUR);
            watched.jump(-HOUR);
        }
        assert_eq!(watched.lag(), YEAR);
    }

    #[test]
    fn more_jumps_than_are_told_apart_are_still_doubted() {
        let mut watched = Watched::new();
        let start = watched.watch.believed();
        for _ in 0..100 {
            watched.jump(HOUR * 2);
        }
        assert_eq!(watched.watch.believed(), start);
        watched.run(DAY);
        assert!(watched.watch.is_settled());
    }
}
