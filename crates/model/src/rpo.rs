//! How old the last good backup of an item is, beside how old it may be: the recovery point objective.

use jiff::{SignedDuration, Timestamp};

use crate::word::words;

words!(
    /// A light: how an item stands against its schedule.
    Rpo, "recovery point objective" {
        /// Its last good backup is as young as its schedule wants.
        Healthy,
        /// One backup is overdue.
        AtRisk,
        /// Two or more are.
        Breached,
    }
);

/// What the light of an item is told from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RpoBasis {
    /// When the last good backup began; before the first one, when the item came under its schedule.
    pub from: Timestamp,
    /// The longest time between two backups of its schedule, in hours.
    pub hours_between: u32,
}

/// A backup takes a while: a light does not turn while the next one runs.
const SLACK_MIN: SignedDuration = SignedDuration::from_hours(1);
const SLACK_MAX: SignedDuration = SignedDuration::from_hours(6);

impl RpoBasis {
    /// The light at a moment.
    pub fn light(self, now: Timestamp) -> Rpo {
        let between = self.between();
        let slack = self.slack();
        let age = now.duration_since(self.from);
        match () {
            () if age <= between + slack => Rpo::Healthy,
            () if age <= between * 2 + slack => Rpo::AtRisk,
            () => Rpo::Breached,
        }
    }

    /// For how long a backup has been overdue; zero if none is.
    pub fn overdue(self, now: Timestamp) -> SignedDuration {
        match self.light(now) {
            Rpo::Healthy => SignedDuration::ZERO,
            _ => now.duration_since(self.from) - self.between(),
        }
    }

    fn between(self) -> SignedDuration {
        SignedDuration::from_hours(self.hours_between.into())
    }

    /// A quarter of the time between two backups, within bounds.
    fn slack(self) -> SignedDuration {
        (self.between() / 4).clamp(SLACK_MIN, SLACK_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lights_by_age_and_schedule() {
        let from: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        for (hours_between, age_hours, light) in [
            (24, -1, Rpo::Healthy),
            (24, 0, Rpo::Healthy),
            (24, 24, Rpo::Healthy),
            (24, 30, Rpo::Healthy),
            (24, 31, Rpo::AtRisk),
            (24, 54, Rpo::AtRisk),
            (24, 55, Rpo::Breached),
            (4, 5, Rpo::Healthy),
            (4, 6, Rpo::AtRisk),
            (4, 9, Rpo::AtRisk),
            (4, 10, Rpo::Breached),
            (168, 174, Rpo::Healthy),
            (168, 175, Rpo::AtRisk),
            (168, 343, Rpo::Breached),
        ] {
            let basis = RpoBasis { from, hours_between };
            let now = from + SignedDuration::from_hours(age_hours);
            assert_eq!(basis.light(now), light, "{age_hours} h of {hours_between} h");
            let overdue = basis.overdue(now) > SignedDuration::ZERO;
            assert_eq!(overdue, light != Rpo::Healthy, "{age_hours} h of {hours_between} h");
        }
    }
}
