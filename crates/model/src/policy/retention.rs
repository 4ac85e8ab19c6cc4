//! How long recovery points are kept: four rules in any combination.

use std::fmt;

use jiff::civil::{Date, Time};
use jiff::{Span, Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar::{Day, DaysOfMonth};
use super::schedule::Schedule;
use super::zone::Zone;

/// How long recovery points are kept. A point that fulfils several rules is kept as long as the longest says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// For days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<Daily>,
    /// For weeks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Weekly>,
    /// For months.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Monthly>,
    /// For years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yearly: Option<Yearly>,
}

/// Keeps each day's points of these times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Daily {
    /// Times of the schedule.
    pub times: Vec<Time>,
    /// Days.
    pub keep: u32,
}

/// Keeps one or more points of a week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weekly {
    /// The days,
    pub days: Vec<Day>,
    /// and times of the schedule.
    pub times: Vec<Time>,
    /// Weeks.
    pub keep: u32,
}

/// Keeps one or more points of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Monthly {
    /// The days,
    pub on: DaysOfMonth,
    /// and times of the schedule.
    pub times: Vec<Time>,
    /// Months.
    pub keep: u32,
}

/// Keeps one or more points of a year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Yearly {
    /// The months, 1 to 12,
    pub months: Vec<i8>,
    /// the days in each,
    pub on: DaysOfMonth,
    /// and times of the schedule.
    pub times: Vec<Time>,
    /// Years.
    pub keep: u32,
}

/// A rule, and what a recovery point bears that fulfils it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum Tag {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

impl Tag {
    /// All, shortest first.
    pub const ALL: [Tag; 4] = [Tag::Daily, Tag::Weekly, Tag::Monthly, Tag::Yearly];
    /// Those that a later point takes over when their own was missed.
    pub const LONG_TERM: [Tag; 3] = [Tag::Weekly, Tag::Monthly, Tag::Yearly];

    fn bit(self) -> u8 {
        1 << self as u8
    }

    /// So many of its units.
    fn span(self, count: u32) -> Span {
        let count = i64::from(count.min(9999));
        match self {
            Tag::Daily => count.days(),
            Tag::Weekly => count.weeks(),
            Tag::Monthly => count.months(),
            Tag::Yearly => count.years(),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Tag::Daily => "daily",
            Tag::Weekly => "weekly",
            Tag::Monthly => "monthly",
            Tag::Yearly => "yearly",
        })
    }
}

/// A set of [`Tag`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<Tag>", into = "Vec<Tag>")]
pub struct Tags(u8);

impl Tags {
    /// Puts one in.
    pub fn insert(&mut self, tag: Tag) {
        self.0 |= tag.bit();
    }

    /// Takes one out.
    pub fn remove(&mut self, tag: Tag) {
        self.0 &= !tag.bit();
    }

    /// Whether one is in.
    pub fn contains(self, tag: Tag) -> bool {
        self.0 & tag.bit() != 0
    }

    /// Whether none is in.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in, shortest first.
    pub fn iter(self) -> impl Iterator<Item = Tag> {
        Tag::ALL.into_iter().filter(move |tag| self.contains(*tag))
    }

    /// As a number, for the database: bit n is the n-th of [`Tag::ALL`].
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From a number; other bits are none of ours.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1111)
    }
}

impl FromIterator<Tag> for Tags {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        let mut set = Self::default();
        tags.into_iter().for_each(|tag| set.insert(tag));
        set
    }
}

impl From<Vec<Tag>> for Tags {
    fn from(tags: Vec<Tag>) -> Self {
        tags.into_iter().collect()
    }
}

impl From<Tags> for Vec<Tag> {
    fn from(tags: Tags) -> Self {
        tags.iter().collect()
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// One of the four rules, whichever.
#[derive(Clone, Copy)]
pub(super) enum Rule<'a> {
    Daily(&'a Daily),
    Weekly(&'a Weekly),
    Monthly(&'a Monthly),
    Yearly(&'a Yearly),
}

impl<'a> Rule<'a> {
    pub(super) fn times(self) -> &'a [Time] {
        match self {
            Rule::Daily(rule) => &rule.times,
            Rule::Weekly(rule) => &rule.times,
            Rule::Monthly(rule) => &rule.times,
            Rule::Yearly(rule) => &rule.times,
        }
    }

    pub(super) fn keep(self) -> u32 {
        match self {
            Rule::Daily(rule) => rule.keep,
            Rule::Weekly(rule) => rule.keep,
            Rule::Monthly(rule) => rule.keep,
            Rule::Yearly(rule) => rule.keep,
        }
    }

    /// How many points of a day, week, month or year it keeps.
    pub(super) fn points(self) -> usize {
        let days = match self {
            Rule::Daily(_) => 1,
            Rule::Weekly(rule) => rule.days.len(),
            Rule::Monthly(rule) => rule.on.count(),
            Rule::Yearly(rule) => rule.months.len() * rule.on.count(),
        };
        days * self.times().len()
    }

    /// Whether it wants a point of this day. Days without a backup count too for months and years: the next backup takes
    /// the tag.
    fn wants(self, schedule: &Schedule, date: Date) -> bool {
        match self {
            Rule::Daily(_) => schedule.runs_on(date),
            Rule::Weekly(rule) => rule.days.contains(&Day::of(date)) && schedule.runs_on(date),
            Rule::Monthly(rule) => rule.on.has(date),
            Rule::Yearly(rule) => rule.months.contains(&date.month()) && rule.on.has(date),
        }
    }
}

impl Retention {
    pub(super) fn rule(&self, tag: Tag) -> Option<Rule<'_>> {
        match tag {
            Tag::Daily => self.daily.as_ref().map(Rule::Daily),
            Tag::Weekly => self.weekly.as_ref().map(Rule::Weekly),
            Tag::Monthly => self.monthly.as_ref().map(Rule::Monthly),
            Tag::Yearly => self.yearly.as_ref().map(Rule::Yearly),
        }
    }

    /// How many days, weeks, months or years points with this tag are kept; `None` without such a rule.
    pub fn keep(&self, tag: Tag) -> Option<u32> {
        self.rule(tag).map(Rule::keep)
    }

    /// Until when this rule keeps a point of `created`; `None` without such a rule.
    pub fn until(&self, tag: Tag, zone: &Zone, created: Timestamp) -> Option<Timestamp> {
        self.keep(tag).map(|keep| zone.later(created, tag.span(keep)))
    }

    /// Whether a rule wants a point of a moment in (`after`, `until`].
    pub(super) fn occurs(
        &self,
        tag: Tag,
        schedule: &Schedule,
        zone: &Zone,
        after: Timestamp,
        until: Timestamp,
    ) -> bool {
        let Some(rule) = self.rule(tag) else {
            return false;
        };
        let wanted = |date: Date| {
            let mut moments = rule.times().iter().map(|time| zone.instant(date, *time));
            rule.wants(schedule, date) && moments.any(|at| after < at && at <= until)
        };
        // Backwards, as it is the latest days that most likely have one. From tomorrow on: where clocks go back over
        // midnight, a time of tomorrow may have come already.
        let today = zone.date_of(until);
        let last = today.tomorrow().unwrap_or(today);
        let first = zone.date_of(after);
        let days = last.series(-1.day()).take_while(|date| *date >= first);
        days.take(DAYS_LOOKED_BACK).any(wanted)
    }
}

/// Every rule has an occurrence within a year, on whatever days of whatever months.
const DAYS_LOOKED_BACK: usize = 400;
