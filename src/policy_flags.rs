//! The rules of a policy, as flags.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use jiff::civil::{Date, Time};
use strongroom_model::policy::{
    Daily, Day, DaysOfMonth, Logs, Monthly, Policy, Retention, Schedule, Week, Weekly, Yearly, Zone,
};

use crate::day::day;
use crate::failure::Failure;

/// The rules of a policy. What is not said stays as it is.
#[derive(Debug, Clone, Args)]
pub(crate) struct PolicyFlags {
    /// Take all rules from this file (JSON, as `policy show --json` prints them), or - for the standard input
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    rules: Option<PathBuf>,
    /// Back up at this time of day; may be given several times
    #[arg(long = "at", value_name = "HH:MM", help_heading = "Rules")]
    times: Vec<Time>,
    /// The time zone, such as Europe/Berlin or "W. Europe Standard Time"
    #[arg(long, value_name = "ZONE", help_heading = "Rules")]
    zone: Option<Zone>,
    /// Back up on these days of the week only, such as saturday,sunday
    #[arg(long, value_name = "DAYS", value_delimiter = ',', value_parser = day, help_heading = "Rules")]
    on: Vec<Day>,
    /// Every n-th week only; --first-week says which are meant
    #[arg(long, value_name = "N", requires = "first_week", help_heading = "Rules")]
    every_weeks: Option<u8>,
    /// A day of the first week
    #[arg(long, value_name = "DATE", help_heading = "Rules")]
    first_week: Option<Date>,
    /// Virtual machines: every so many hours, from --at on, for --hours
    #[arg(long, value_name = "N", conflicts_with_all = ["on", "every_weeks"], help_heading = "Rules")]
    every_hours: Option<i8>,
    /// How long the day of hourly backups is
    #[arg(
        long,
        value_name = "N",
        requires = "every_hours",
        default_value_t = 12,
        help_heading = "Rules"
    )]
    hours: i8,
    /// Keep the backups of a day for so many days; 0: no such rule
    #[arg(long, value_name = "N", help_heading = "Rules")]
    keep_daily: Option<u32>,
    /// Keep a backup of each week for so many weeks; 0: no such rule
    #[arg(long, value_name = "N", help_heading = "Rules")]
    keep_weekly: Option<u32>,
    /// Keep a backup of each month for so many months; 0: no such rule
    #[arg(long, value_name = "N", help_heading = "Rules")]
    keep_monthly: Option<u32>,
    /// Keep a backup of each year for so many years; 0: no such rule
    #[arg(long, value_name = "N", help_heading = "Rules")]
    keep_yearly: Option<u32>,
    /// The days of the weekly ones [default: sunday]
    #[arg(long, value_name = "DAYS", value_delimiter = ',', value_parser = day, help_heading = "Rules")]
    weekly_on: Vec<Day>,
    /// The days of the monthly ones: numbers, `last`, or such as first-sunday [default: 1]
    #[arg(long, value_name = "DAYS", value_delimiter = ',', help_heading = "Rules")]
    monthly_on: Vec<MonthDay>,
    /// The days of the yearly ones, as for --monthly-on [default: 1]
    #[arg(long, value_name = "DAYS", value_delimiter = ',', help_heading = "Rules")]
    yearly_on: Vec<MonthDay>,
    /// The months of the yearly ones, 1 to 12 [default: 1]
    #[arg(long, value_name = "MONTHS", value_delimiter = ',', help_heading = "Rules")]
    yearly_in: Vec<i8>,
    /// Virtual machines: keep snapshots on the host for so many days
    #[arg(long, value_name = "N", help_heading = "Rules")]
    snapshot_days: Option<u32>,
    /// Databases: back up their logs every so many minutes
    #[arg(long, value_name = "MINUTES", help_heading = "Rules")]
    logs_every: Option<u32>,
    /// Databases: keep logs for so many days
    #[arg(long, value_name = "N", help_heading = "Rules")]
    logs_keep: Option<u32>,
}

/// A day of a month: by its number, the last one, or the n-th of a day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MonthDay {
    Date(i8),
    Last,
    Nth(Week, Day),
}

impl FromStr for MonthDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("\"{text}\" is no day of a month: say 1 to 28, last, or such as first-sunday");
        if text.eq_ignore_ascii_case("last") {
            return Ok(Self::Last);
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Date(number));
        }
        let (week, weekday) = text.split_once('-').ok_or_else(refused)?;
        let week = match week.to_ascii_lowercase().as_str() {
            "first" => Week::First,
            "second" => Week::Second,
            "third" => Week::Third,
            "fourth" => Week::Fourth,
            "last" => Week::Last,
            _ => return Err(refused()),
        };
        Ok(Self::Nth(week, day(weekday).map_err(|_| refused())?))
    }
}

impl PolicyFlags {
    /// The rules that come of these flags, where `base` holds for what is not said.
    pub(crate) fn over(&self, base: Policy) -> Result<Policy, Failure> {
        if let Some(file) = &self.rules {
            return read_rules(file);
        }
        let mut policy = base;
        if let Some(zone) = &self.zone {
            policy.zone = zone.clone();
        }
        self.schedule(&mut policy);
        self.retention(&mut policy)?;
        policy.snapshot_days = self.snapshot_days.or(policy.snapshot_days);
        if self.logs_every.is_some() || self.logs_keep.is_some() {
            let before = policy.logs.unwrap_or(Logs {
                every_minutes: 60,
                keep_days: 15,
            });
            policy.logs = Some(Logs {
                every_minutes: self.logs_every.unwrap_or(before.every_minutes),
                keep_days: self.logs_keep.unwrap_or(before.keep_days),
            });
        }
        Ok(policy)
    }

    fn schedule(&self, policy: &mut Policy) {
        let before = policy.schedule.times();
        let times = if self.times.is_empty() {
            before.clone()
        } else {
            self.times.clone()
        };
        let first = times.first().copied().unwrap_or_default();
        policy.schedule = match &policy.schedule {
            _ if self.every_hours.is_some() => Schedule::Hourly {
                every_hours: self.every_hours.unwrap_or_default(),
                window_start: first,
                window_hours: self.hours,
            },
            Schedule::Weekly {
                days,
                every_weeks,
                first_week,
                ..
            } => Schedule::Weekly {
                days: if self.on.is_empty() {
                    days.clone()
                } else {
                    self.on.clone()
                },
                times,
                every_weeks: self.every_weeks.unwrap_or(*every_weeks),
                first_week: self.first_week.or(*first_week),
            },
            _ if !self.on.is_empty() => Schedule::Weekly {
                days: self.on.clone(),
                times,
                every_weeks: self.every_weeks.unwrap_or(1),
                first_week: self.first_week,
            },
            Schedule::Hourly { .. } if self.times.is_empty() => return,
            _ => Schedule::Daily { times },
        };
        if policy.schedule.times() != before {
            follow(&mut policy.retention, &policy.schedule);
        }
        if matches!(policy.schedule, Schedule::Weekly { .. }) {
            policy.retention.daily = None;
        }
    }

    fn retention(&self, policy: &mut Policy) -> Result<(), Failure> {
        let all = policy.schedule.times();
        let last: Vec<Time> = all.iter().max().copied().into_iter().collect();
        let scheduled = match &policy.schedule {
            Schedule::Weekly { days, .. } => days.clone(),
            _ => Vec::new(),
        };
        let rules = &mut policy.retention;
        set(&mut rules.daily, self.keep_daily, |before, keep| Daily {
            times: before.map_or(all, |before| before.times),
            keep,
        });
        let days = |before: Option<Vec<Day>>| match (self.weekly_on.is_empty(), before) {
            (false, _) => self.weekly_on.clone(),
            (true, Some(before)) => before,
            (true, None) if scheduled.is_empty() => vec![Day::Sunday],
            (true, None) => scheduled.clone(),
        };
        set(&mut rules.weekly, self.keep_weekly, |before, keep| Weekly {
            days: days(before.as_ref().map(|before| before.days.clone())),
            times: before.map_or(last.clone(), |before| before.times),
            keep,
        });
        if let (None, Some(weekly), false) = (self.keep_weekly, &mut rules.weekly, self.weekly_on.is_empty()) {
            weekly.days = self.weekly_on.clone();
        }
        let (monthly_on, yearly_on) = (month_days(&self.monthly_on)?, month_days(&self.yearly_on)?);
        let usual = || DaysOfMonth::Dates {
            dates: vec![1],
            last: false,
        };
        set(&mut rules.monthly, self.keep_monthly, |before, keep| Monthly {
            on: before.as_ref().map_or_else(usual, |before| before.on.clone()),
            times: before.map_or(last.clone(), |before| before.times),
            keep,
        });
        if let (Some(monthly), Some(on)) = (&mut rules.monthly, monthly_on) {
            monthly.on = on;
        }
        set(&mut rules.yearly, self.keep_yearly, |before, keep| Yearly {
            months: before.as_ref().map_or(vec![1], |before| before.months.clone()),
            on: before.as_ref().map_or_else(usual, |before| before.on.clone()),
            times: before.map_or(last.clone(), |before| before.times),
            keep,
        });
        if let Some(yearly) = &mut rules.yearly {
            if let Some(on) = yearly_on {
                yearly.on = on;
            }
            if !self.yearly_in.is_empty() {
                yearly.months = self.yearly_in.clone();
            }
        }
        Ok(())
    }
}

/// Sets a rule's number, makes the rule, or takes it away.
fn set<T: Clone>(rule: &mut Option<T>, keep: Option<u32>, make: impl FnOnce(Option<T>, u32) -> T) {
    match keep {
        None => {}
        Some(0) => *rule = None,
        Some(keep) => *rule = Some(make(rule.clone(), keep)),
    }
}

/// Rules follow the times of a schedule that has others now.
fn follow(rules: &mut Retention, schedule: &Schedule) {
    let all = schedule.times();
    let last: Vec<Time> = all.iter().max().copied().into_iter().collect();
    if let Some(rule) = &mut rules.daily {
        rule.times = all;
    }
    for times in [
        rules.weekly.as_mut().map(|rule| &mut rule.times),
        rules.monthly.as_mut().map(|rule| &mut rule.times),
        rules.yearly.as_mut().map(|rule| &mut rule.times),
    ]
    .into_iter()
    .flatten()
    {
        *times = last.clone();
    }
}

fn month_days(given: &[MonthDay]) -> Result<Option<DaysOfMonth>, Failure> {
    if given.is_empty() {
        return Ok(None);
    }
    let (mut dates, mut last, mut pairs) = (Vec::new(), false, Vec::new());
    for day in given {
        match *day {
            MonthDay::Date(date) => dates.push(date),
            MonthDay::Last => last = true,
            MonthDay::Nth(week, day) => pairs.push((week, day)),
        }
    }
    if pairs.is_empty() {
        return Ok(Some(DaysOfMonth::Dates { dates, last }));
    }
    let (mut weeks, mut days): (Vec<Week>, Vec<Day>) = pairs.iter().copied().unzip();
    weeks.sort_unstable();
    weeks.dedup();
    days.sort_unstable();
    days.dedup();
    // The rule is weeks × days: first-sunday,last-monday alone would be four days.
    if !dates.is_empty() || last || pairs.len() != weeks.len() * days.len() {
        let why = "a rule names days of the month by number, or every one of some days of the week in every one of some weeks: \
                   first-sunday,last-sunday is one; first-sunday,last-monday and first-sunday,15 are none";
        return Err(Failure::new(why));
    }
    Ok(Some(DaysOfMonth::Weekdays { days, weeks }))
}

fn read_rules(file: &std::path::Path) -> Result<Policy, Failure> {
    let text = match file.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()).context("cannot read the rules from the standard input")?,
        false => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read the rules in {}", file.display()))?
        }
    };
    Ok(serde_json::from_str(&text).with_context(|| format!("{} holds no rules of a policy", file.display()))?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use strongroom_model::policy::{DEFAULT_POLICIES, Tag, Workload};

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        flags: PolicyFlags,
    }

    fn rules(words: &[&str]) -> Result<Policy, String> {
        let words = std::iter::once(&"policy").chain(words);
        let parsed = Words::try_parse_from(words).map_err(|error| error.to_string())?;
        let base = DEFAULT_POLICIES[3].policy();
        parsed.flags.over(base).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn flags_become_rules_that_are_allowed() {
        for words in [
            &[][..],
            &[
                "--at",
                "06:00",
                "--at",
                "22:00",
                "--zone",
                "Europe/Berlin",
                "--keep-daily",
                "7",
            ],
            &["--keep-weekly", "12", "--keep-monthly", "60", "--keep-yearly", "10"],
            &["--on", "sat,sunday", "--keep-weekly", "8"],
            &[
                "--on",
                "sun",
                "--every-weeks",
                "2",
                "--first-week",
                "2026-11-22",
                "--keep-weekly",
                "8",
            ],
            &["--keep-monthly", "12", "--monthly-on", "1,15,last"],
            &["--keep-monthly", "12", "--monthly-on", "first-sunday,last-sunday"],
            &[
                "--keep-yearly",
                "3",
                "--yearly-in",
                "3,12",
                "--yearly-on",
                "last-friday",
            ],
        ] {
            let policy = rules(words).unwrap();
            assert_eq!(policy.violations(Workload::FilesAndFolders), [], "{words:?}");
        }
        let policy = rules(&["--at", "06:00", "--at", "22:00", "--keep-weekly", "4"]).unwrap();
        assert_eq!(policy.retention.daily.as_ref().unwrap().times.len(), 2);
        assert_eq!(
            policy.retention.weekly.as_ref().unwrap().times,
            [jiff::civil::time(22, 0, 0, 0)]
        );
        assert_eq!(
            rules(&["--keep-daily", "0", "--keep-weekly", "4"])
                .unwrap()
                .retention
                .keep(Tag::Daily),
            None
        );
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for (words, named) in [
            (&["--at", "25:00"][..], "25:00"),
            (&["--zone", "Mars"], "Mars"),
            (&["--on", "someday"], "someday"),
            (&["--keep-monthly", "1", "--monthly-on", "fifth-sunday"], "fifth-sunday"),
            (
                &["--keep-monthly", "1", "--monthly-on", "first-sunday,15"],
                "days of the month",
            ),
            (&["--rules", "/nowhere"], "/nowhere"),
        ] {
            let refused = rules(words).unwrap_err();
            assert!(refused.contains(named), "{words:?}: {refused}");
        }
    }
}
