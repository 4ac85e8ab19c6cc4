//! Days of the week and of the month, as policies name them.

use jiff::civil::{Date, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum Day {
    Sunday,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
}

impl Day {
    /// All, in the order in which Azure lists them.
    pub const ALL: [Day; 7] = [
        Day::Sunday,
        Day::Monday,
        Day::Tuesday,
        Day::Wednesday,
        Day::Thursday,
        Day::Friday,
        Day::Saturday,
    ];

    /// The day of the week of a date.
    pub fn of(date: Date) -> Day {
        match date.weekday() {
            Weekday::Sunday => Day::Sunday,
            Weekday::Monday => Day::Monday,
            Weekday::Tuesday => Day::Tuesday,
            Weekday::Wednesday => Day::Wednesday,
            Weekday::Thursday => Day::Thursday,
            Weekday::Friday => Day::Friday,
            Weekday::Saturday => Day::Saturday,
        }
    }
}

/// Which of a month's Mondays (Tuesdays, …).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum Week {
    First,
    Second,
    Third,
    Fourth,
    Last,
}

impl Week {
    /// Whether a date is this one of its month.
    pub fn has(self, date: Date) -> bool {
        let nth = (date.day() - 1) / 7;
        match self {
            Week::First => nth == 0,
            Week::Second => nth == 1,
            Week::Third => nth == 2,
            Week::Fourth => nth == 3,
            Week::Last => date.day() + 7 > date.days_in_month(),
        }
    }
}

/// Days of a month, in one of Azure's two formats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DaysOfMonth {
    /// By their numbers.
    Dates {
        /// 1 to 28.
        dates: Vec<i8>,
        /// The last day too, whatever its number.
        #[serde(default)]
        last: bool,
    },
    /// By days of the week: the second and last Sunday.
    Weekdays {
        /// The days,
        days: Vec<Day>,
        /// and which of each.
        weeks: Vec<Week>,
    },
}

impl DaysOfMonth {
    /// Whether a date is one of them.
    pub fn has(&self, date: Date) -> bool {
        match self {
            Self::Dates { dates, last } => dates.contains(&date.day()) || (*last && date.day() == date.days_in_month()),
            Self::Weekdays { days, weeks } => days.contains(&Day::of(date)) && weeks.iter().any(|week| week.has(date)),
        }
    }

    /// The length of its longest list.
    pub(super) fn longest(&self) -> usize {
        match self {
            Self::Dates { dates, .. } => dates.len(),
            Self::Weekdays { days, weeks } => days.len().max(weeks.len()),
        }
    }

    /// How many days of a month that has them all.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Dates { dates, last } => dates.len() + usize::from(*last),
            Self::Weekdays { days, weeks } => days.len() * weeks.len(),
        }
    }

    /// The days of the week that it names, if it does.
    pub fn weekdays(&self) -> &[Day] {
        match self {
            Self::Dates { .. } => &[],
            Self::Weekdays { days, .. } => days,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn found(days: &DaysOfMonth, year: i16, month: i8) -> Vec<i8> {
        let first = date(year, month, 1);
        let all = first
            .series(jiff::Span::new().days(1))
            .take(first.days_in_month() as usize);
        all.filter(|date| days.has(*date)).map(|date| date.day()).collect()
    }

    #[test]
    fn dates_and_the_last_day() {
        let days = DaysOfMonth::Dates {
            dates: vec![1, 15],
            last: true,
        };
        assert_eq!(found(&days, 2026, 2), [1, 15, 28]);
        assert_eq!(found(&days, 2028, 2), [1, 15, 29]);
        assert_eq!(found(&days, 2026, 12), [1, 15, 31]);
    }

    #[test]
    fn the_nth_weekday() {
        let days = |weeks: &[Week]| DaysOfMonth::Weekdays {
            days: vec![Day::Saturday],
            weeks: weeks.to_vec(),
        };
        // May 2026 has five Saturdays, February 2026 has four.
        assert_eq!(found(&days(&[Week::First, Week::Fourth]), 2026, 5), [2, 23]);
        assert_eq!(found(&days(&[Week::Second, Week::Third]), 2026, 5), [9, 16]);
        assert_eq!(found(&days(&[Week::Last]), 2026, 5), [30]);
        assert_eq!(found(&days(&[Week::Fourth, Week::Last]), 2026, 2), [28]);
    }
}
