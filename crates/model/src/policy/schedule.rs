//! When backups are due.

use jiff::civil::{Date, Time};
use jiff::{Span, Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar::Day;
use super::zone::Zone;

/// When an item's backups are due, by the clocks of the policy's [`Zone`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "frequency", deny_unknown_fields)]
pub enum Schedule {
    /// Every day at these times.
    Daily {
        /// Whole minutes, each once.
        times: Vec<Time>,
    },
    /// On these days of every n-th week at these times.
    Weekly {
        /// The days.
        days: Vec<Day>,
        /// Whole minutes, each once.
        times: Vec<Time>,
        /// 1 is every week.
        #[serde(default = "every_week")]
        every_weeks: u8,
        /// A day of a week in which backups are due; weeks begin on Sunday. Needed if not every week has backups.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_week: Option<Date>,
    },
    /// Several times a day in a window: at its start, and every so many hours until its end. The end counts, but for a
    /// window of the whole day.
    Hourly {
        /// 4, 6, 8, 12 or 24.
        every_hours: i8,
        /// When the window begins.
        window_start: Time,
        /// How long it is, in hours: 4 to 24.
        window_hours: i8,
    },
}

fn every_week() -> u8 {
    1
}

impl Schedule {
    /// At which times of a day backups are due, on days that have any; in order.
    pub fn times(&self) -> Vec<Time> {
        let mut times = match self {
            Self::Daily { times } | Self::Weekly { times, .. } => times.clone(),
            Self::Hourly {
                every_hours,
                window_start,
                window_hours,
            } => {
                let step = (*every_hours).max(1);
                let offsets = (0..24).step_by(usize::from(step.unsigned_abs()));
                let inside = offsets.take_while(|offset| offset <= window_hours);
                inside.map(|offset| window_start.wrapping_add(offset.hours())).collect()
            }
        };
        times.sort_unstable();
        times.dedup();
        times
    }

    /// Whether backups are due on a day.
    pub fn runs_on(&self, date: Date) -> bool {
        match self {
            Self::Daily { .. } | Self::Hourly { .. } => true,
            Self::Weekly {
                days,
                every_weeks,
                first_week,
                ..
            } => {
                let weeks = week_of(date) - first_week.map_or(0, week_of);
                days.contains(&Day::of(date)) && weeks.rem_euclid(i32::from((*every_weeks).max(1))) == 0
            }
        }
    }

    /// The first backup that is due after `after`; `None` only at the end of time, or if no day or time is named.
    pub fn next(&self, zone: &Zone, after: Timestamp) -> Option<Timestamp> {
        let dates = days_from(zone, after, 1.day());
        dates.take(self.gap_days()).find_map(|date| {
            let due = self.due_on(zone, date);
            due.into_iter().find(|at| *at > after)
        })
    }

    /// The last backup that was due until `until`, itself included.
    pub fn last(&self, zone: &Zone, until: Timestamp) -> Option<Timestamp> {
        let dates = days_from(zone, until, -1.day());
        dates.take(self.gap_days()).find_map(|date| {
            let due = self.due_on(zone, date);
            due.into_iter().rev().find(|at| *at <= until)
        })
    }

    /// The instants of a day's backups, in order. Times that daylight saving skips fall together.
    fn due_on(&self, zone: &Zone, date: Date) -> Vec<Timestamp> {
        if !self.runs_on(date) {
            return Vec::new();
        }
        let mut due: Vec<Timestamp> = self.times().into_iter().map(|time| zone.instant(date, time)).collect();
        due.dedup();
        due
    }

    /// How many days to look at until there must have been one with a backup.
    fn gap_days(&self) -> usize {
        match self {
            Self::Daily { .. } | Self::Hourly { .. } => 4,
            Self::Weekly { every_weeks, .. } => 7 * usize::from(*every_weeks) + 8,
        }
    }
}

/// The days around `at`, beginning a day too early for the direction: a zone's day may end before it began elsewhere.
fn days_from(zone: &Zone, at: Timestamp, step: Span) -> impl Iterator<Item = Date> {
    let today = zone.date_of(at);
    let first = today.checked_sub(step).unwrap_or(today);
    first.series(step)
}

/// Weeks since the one of Sunday, 4 January 1970.
fn week_of(date: Date) -> i32 {
    let sunday = Date::constant(1970, 1, 4);
    let days = date.since(sunday).map_or(0, |span| span.get_days());
    days.div_euclid(7)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// All that is due in (`from`, `to`], by walking forth; and by walking back.
    fn due(schedule: &Schedule, zone: &str, from: &str, to: &str) -> Vec<String> {
        let zone: Zone = zone.parse().unwrap();
        let (from, to) = (at(from), at(to));
        let next = |after: &Timestamp| schedule.next(&zone, *after).filter(|next| *next <= to);
        let forth: Vec<_> = std::iter::successors(next(&from), next).collect();
        let last = |until: Timestamp| schedule.last(&zone, until).filter(|last| *last > from);
        let before = |later: &Timestamp| last(*later - jiff::SignedDuration::from_nanos(1));
        let mut back: Vec<_> = std::iter::successors(last(to), before).collect();
        back.reverse();
        assert_eq!(forth, back);
        forth.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn several_times_a_day() {
        let schedule = Schedule::Daily {
            times: vec![time(22, 0, 0, 0), time(6, 30, 0, 0)],
        };
        assert_eq!(
            due(
                &schedule,
                "Asia/Kolkata",
                "2026-02-28T01:00:00Z",
                "2026-03-01T16:30:00Z"
            ),
            ["2026-02-28T16:30:00Z", "2026-03-01T01:00:00Z", "2026-03-01T16:30:00Z"]
        );
    }

    #[test]
    fn every_second_week() {
        let schedule = Schedule::Weekly {
            days: vec![Day::Saturday, Day::Sunday],
            times: vec![time(0, 0, 0, 0)],
            every_weeks: 2,
            // A Wednesday: the week from 4 to 10 January.
            first_week: Some(date(2026, 1, 7)),
        };
        assert_eq!(
            due(&schedule, "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            [
                "2026-01-04T00:00:00Z",
                "2026-01-10T00:00:00Z",
                "2026-01-18T00:00:00Z",
                "2026-01-24T00:00:00Z",
                "2026-02-01T00:00:00Z"
            ]
        );
        // Before the first week it goes on in the same rhythm.
        assert_eq!(
            due(&schedule, "UTC", "2025-12-20T00:00:00Z", "2026-01-03T00:00:00Z"),
            ["2025-12-21T00:00:00Z", "2025-12-27T00:00:00Z"]
        );
    }

    #[test]
    fn windows() {
        let schedule = |every_hours, window_hours| Schedule::Hourly {
            every_hours,
            window_start: time(8, 0, 0, 0),
            window_hours,
        };
        let hours =
            |every, window| -> Vec<i8> { schedule(every, window).times().iter().map(|time| time.hour()).collect() };
        assert_eq!(hours(4, 12), [8, 12, 16, 20]);
        assert_eq!(hours(4, 24), [0, 4, 8, 12, 16, 20]);
        assert_eq!(hours(6, 20), [2, 8, 14, 20]);
        assert_eq!(hours(24, 24), [8]);
        assert_eq!(hours(12, 4), [8]);
    }

    #[test]
    fn daylight_saving_neither_loses_nor_doubles() {
        let schedule = Schedule::Daily {
            times: vec![time(2, 0, 0, 0), time(2, 30, 0, 0), time(3, 0, 0, 0)],
        };
        // In spring all three fall on the first instant after the gap.
        assert_eq!(
            due(
                &schedule,
                "Europe/Berlin",
                "2026-03-29T00:00:00Z",
                "2026-03-30T00:00:00Z"
            ),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]
        );
        assert_eq!(
            due(
                &schedule,
                "Europe/Berlin",
                "2026-10-24T22:00:00Z",
                "2026-10-25T22:00:00Z"
            ),
            ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"]
        );
    }

    #[test]
    fn a_schedule_without_days_is_never_due() {
        let schedule = Schedule::Weekly {
            days: vec![],
            times: vec![],
            every_weeks: 0,
            first_week: None,
        };
        assert_eq!(schedule.next(&Zone::utc(), Timestamp::UNIX_EPOCH), None);
        assert_eq!(schedule.last(&Zone::utc(), Timestamp::UNIX_EPOCH), None);
        let daily = Schedule::Daily {
            times: vec![time(0, 0, 0, 0)],
        };
        assert_eq!(daily.next(&Zone::utc(), Timestamp::MAX), None);
    }
}
