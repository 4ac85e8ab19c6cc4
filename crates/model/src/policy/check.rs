//! Which policies are allowed.

use std::collections::HashSet;
use std::hash::Hash;

use jiff::civil::Time;

use super::calendar::DaysOfMonth;
use super::retention::{Rule, Tag};
use super::schedule::Schedule;
use super::{Policy, Workload};
use crate::POINTS_PER_ITEM_MAX;

/// A sentence for somebody whose policy is refused: what is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

/// What a check looks at, and what it found.
struct Check<'a> {
    policy: &'a Policy,
    workload: Workload,
    found: Vec<Violation>,
}

/// Everything that is wrong with a policy (SEMANTICS.md §2.6, §11.1).
pub(super) fn violations(policy: &Policy, workload: Workload) -> Vec<Violation> {
    let mut check = Check {
        policy,
        workload,
        found: Vec::new(),
    };
    if let Some(long) = policy.lists().into_iter().find(|length| *length > LIST_MAX) {
        let sentence = format!("A list in the policy has {long} members: no list needs more than {LIST_MAX}");
        return vec![Violation(sentence)];
    }
    check.schedule();
    check.retention();
    check.snapshots();
    check.logs();
    check.found
}

/// Days of a month, minutes of a day: nobody needs more.
const LIST_MAX: usize = 48;

impl Policy {
    /// The lengths of all lists.
    fn lists(&self) -> Vec<usize> {
        let mut lengths = match &self.schedule {
            Schedule::Daily { times } => vec![times.len()],
            Schedule::Weekly { days, times, .. } => vec![days.len(), times.len()],
            Schedule::Hourly { .. } => vec![],
        };
        for rule in Tag::ALL.into_iter().filter_map(|tag| self.retention.rule(tag)) {
            lengths.push(rule.times().len());
            lengths.extend(match rule {
                Rule::Daily(_) => [0, 0],
                Rule::Weekly(rule) => [rule.days.len(), 0],
                Rule::Monthly(rule) => [rule.on.longest(), 0],
                Rule::Yearly(rule) => [rule.on.longest(), rule.months.len()],
            });
        }
        lengths
    }
}

impl Check<'_> {
    fn refuse(&mut self, wrong: bool, sentence: impl FnOnce() -> String) {
        if wrong {
            self.found.push(Violation(sentence()));
        }
    }

    // The schedule.

    fn schedule(&mut self) {
        match &self.policy.schedule {
            Schedule::Daily { times } => self.run_times(times),
            Schedule::Weekly {
                days,
                times,
                every_weeks,
                first_week,
            } => {
                self.run_times(times);
                self.refuse(*every_weeks > 1 && first_week.is_none(), || {
                    format!("A schedule of every {every_weeks} weeks needs a day of its first week")
                });
                self.refuse(days.is_empty(), || {
                    "A weekly schedule needs at least one day of the week".to_owned()
                });
                self.once(days, "a day of the week", "the schedule");
                self.refuse(!(1..=4).contains(every_weeks), || {
                    format!("A weekly schedule runs every 1 to 4 weeks, not every {every_weeks}")
                });
            }
            Schedule::Hourly {
                every_hours,
                window_start,
                window_hours,
            } => {
                self.refuse(self.workload != Workload::VirtualMachine, || {
                    "Only virtual machines have hourly schedules: use a daily one with several times".to_owned()
                });
                self.refuse(![4, 6, 8, 12, 24].contains(every_hours), || {
                    format!("An hourly schedule runs every 4, 6, 8, 12 or 24 hours, not every {every_hours}")
                });
                self.refuse(!(4..=24).contains(window_hours), || {
                    format!("The window of an hourly schedule is 4 to 24 hours long, not {window_hours}")
                });
                self.whole_minutes(&[*window_start]);
            }
        }
    }

    fn run_times(&mut self, times: &[Time]) {
        let (most, noun) = (self.workload.times_per_day_max(), self.workload.noun());
        self.refuse(times.is_empty(), || {
            "The schedule needs at least one time of day".to_owned()
        });
        self.refuse(times.len() > most, || {
            format!(
                "{noun} are backed up at most {most} times a day, and the schedule has {} times",
                times.len()
            )
        });
        self.once(times, "a time", "the schedule");
        self.whole_minutes(times);
    }

    fn whole_minutes(&mut self, times: &[Time]) {
        let odd = times
            .iter()
            .find(|time| time.second() != 0 || time.subsec_nanosecond() != 0);
        if let Some(time) = odd {
            self.refuse(true, || format!("Times are whole minutes, and {time} is not"));
        }
    }

    fn once<T: Eq + Hash>(&mut self, values: &[T], what: &str, whose: &str) {
        let distinct: HashSet<&T> = values.iter().collect();
        self.refuse(distinct.len() < values.len(), || {
            format!("{whose} names {what} twice: once is enough").capitalised()
        });
    }

    // What only some workloads have.

    fn snapshots(&mut self) {
        let Some(days) = self.policy.snapshot_days else { return };
        self.refuse(self.workload != Workload::VirtualMachine, || {
            "Only virtual machines have snapshots to restore from at once".to_owned()
        });
        // Azure's Standard and Enhanced policies.
        let most = match self.policy.schedule {
            Schedule::Hourly { .. } => 30,
            _ => 5,
        };
        self.refuse(!(1..=most).contains(&days), || {
            format!("Snapshots are kept for 1 to {most} days, not {days}")
        });
    }

    fn logs(&mut self) {
        let Some(logs) = self.policy.logs else { return };
        self.refuse(self.workload != Workload::Database, || {
            "Only databases have backups of their logs".to_owned()
        });
        self.refuse(!(15..=1440).contains(&logs.every_minutes), || {
            format!(
                "Logs are backed up every 15 to 1440 minutes, not every {}",
                logs.every_minutes
            )
        });
        self.refuse(!(7..=35).contains(&logs.keep_days), || {
            format!("Logs are kept for 7 to 35 days, not {}", logs.keep_days)
        });
    }

    // The retention.

    fn retention(&mut self) {
        let retention = &self.policy.retention;
        let rules: Vec<_> = (Tag::ALL.into_iter())
            .filter_map(|tag| retention.rule(tag).map(|rule| (tag, rule)))
            .collect();
        self.refuse(rules.is_empty(), || {
            "The policy keeps nothing: it needs a daily, weekly, monthly or yearly retention".to_owned()
        });
        for (tag, rule) in rules {
            self.keep(tag, rule);
            self.rule_times(tag, rule);
            self.rule_days(tag, rule);
        }
    }

    fn keep(&mut self, tag: Tag, rule: Rule<'_>) {
        let (least, most, units) = match tag {
            Tag::Daily => (self.workload.daily_keep_min(), 9999, "days"),
            Tag::Weekly => (self.workload.weekly_keep_min(), 5163, "weeks"),
            Tag::Monthly => (self.workload.monthly_keep_min(), 1188, "months"),
            Tag::Yearly => (1, 99, "years"),
        };
        self.refuse(!(least..=most).contains(&rule.keep()), || {
            format!("The {tag} retention is {least} to {most} {units}, not {}", rule.keep())
        });
        // What several rules keep together may be fewer than the sum, so each is looked at alone. The item's own limit holds
        // in any case.
        let points = u64::from(rule.keep()).saturating_mul(rule.points() as u64);
        self.refuse(rule.keep() <= most && points > POINTS_PER_ITEM_MAX, || {
            format!(
                "The {tag} retention keeps {points} recovery points of an item, which has at most {POINTS_PER_ITEM_MAX}: \
                 keep them for less long, or fewer of them"
            )
        });
    }

    fn rule_times(&mut self, tag: Tag, rule: Rule<'_>) {
        let runs = self.policy.schedule.times();
        self.refuse(rule.times().is_empty(), || {
            format!("The {tag} retention needs at least one time of the schedule")
        });
        self.once(rule.times(), "a time", &format!("the {tag} retention"));
        for time in rule.times().iter().filter(|time| !runs.contains(time)) {
            self.refuse(true, || {
                format!("The {tag} retention keeps the backup of {time}, and the schedule has none at that time")
            });
        }
    }

    fn rule_days(&mut self, tag: Tag, rule: Rule<'_>) {
        let weekly_schedule = match &self.policy.schedule {
            Schedule::Weekly { days, .. } => Some(days.as_slice()),
            _ => None,
        };
        let days = match rule {
            Rule::Daily(_) => {
                self.refuse(weekly_schedule.is_some(), || {
                    "A weekly schedule has no daily retention: use the weekly one".to_owned()
                });
                return;
            }
            Rule::Weekly(rule) => {
                self.refuse(rule.days.is_empty(), || {
                    "The weekly retention needs at least one day of the week".to_owned()
                });
                self.once(&rule.days, "a day of the week", "the weekly retention");
                &rule.days[..]
            }
            Rule::Monthly(rule) => {
                self.days_of_month(tag, &rule.on);
                rule.on.weekdays()
            }
            Rule::Yearly(rule) => {
                self.refuse(rule.months.is_empty(), || {
                    "The yearly retention needs at least one month".to_owned()
                });
                self.once(&rule.months, "a month", "the yearly retention");
                let odd = rule.months.iter().find(|month| !(1..=12).contains(*month));
                self.refuse(odd.is_some(), || {
                    "The months of the yearly retention are 1 to 12".to_owned()
                });
                self.days_of_month(tag, &rule.on);
                rule.on.weekdays()
            }
        };
        for day in days
            .iter()
            .filter(|day| weekly_schedule.is_some_and(|runs| !runs.contains(day)))
        {
            self.refuse(true, || {
                format!("The {tag} retention keeps the backup of a {day:?}, and the schedule has none on that day")
            });
        }
    }

    fn days_of_month(&mut self, tag: Tag, on: &DaysOfMonth) {
        match on {
            DaysOfMonth::Dates { dates, last } => {
                self.refuse(dates.is_empty() && !last, || {
                    format!("The {tag} retention needs at least one day of the month")
                });
                self.once(dates, "a day of the month", &format!("the {tag} retention"));
                for date in dates.iter().filter(|date| !(1..=28).contains(*date)) {
                    self.refuse(true, || {
                        format!("The {tag} retention names day {date}: use 1 to 28, or the last day of the month")
                    });
                }
            }
            DaysOfMonth::Weekdays { days, weeks } => {
                self.refuse(days.is_empty() || weeks.is_empty(), || {
                    format!("The {tag} retention needs at least one day of the week and one week of the month")
                });
                self.once(days, "a day of the week", &format!("the {tag} retention"));
                self.once(weeks, "a week of the month", &format!("the {tag} retention"));
            }
        }
    }
}

trait Capitalised {
    fn capitalised(self) -> String;
}

impl Capitalised for String {
    fn capitalised(mut self) -> String {
        if let Some(first) = self.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        self
    }
}
