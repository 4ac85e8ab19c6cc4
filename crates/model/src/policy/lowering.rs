//! Whether a change of policy protects less than before.

use jiff::civil::Time;

use super::calendar::Day;
use super::retention::Tag;
use super::schedule::Schedule;
use super::{Logs, Policy, Retention};

impl Policy {
    /// What `next` protects less than this, as words for a sentence: what multi-user authorisation and immutability guard
    /// against (SEMANTICS.md §11.6). Empty if nothing does.
    pub fn lowered_by(&self, next: &Policy) -> Vec<String> {
        let mut lowered = self.retention.lowered_by(&next.retention);
        let (before, after) = (self.schedule.hours_between(), next.schedule.hours_between());
        if after > before {
            lowered.push(format!(
                "the time between two backups grows from {before} to {after} hours"
            ));
        }
        let (before, after) = (self.snapshot_days.unwrap_or(0), next.snapshot_days.unwrap_or(0));
        if after < before {
            lowered.push(format!("snapshots are kept for {after} days instead of {before}"));
        }
        lowered.extend(self.logs.and_then(|logs| logs.lowered_by(next.logs)));
        lowered
    }
}

impl Logs {
    fn lowered_by(self, next: Option<Logs>) -> Option<String> {
        let Some(next) = next else {
            return Some("logs are not backed up any more".to_owned());
        };
        let less = next.every_minutes > self.every_minutes || next.keep_days < self.keep_days;
        less.then(|| {
            format!(
                "logs are taken every {} minutes and kept for {} days instead of {} and {}",
                next.every_minutes, next.keep_days, self.every_minutes, self.keep_days
            )
        })
    }
}

impl Retention {
    fn lowered_by(&self, next: &Retention) -> Vec<String> {
        let tags = Tag::ALL.into_iter().filter_map(|tag| {
            let before = self.keep(tag)?;
            match next.keep(tag) {
                None => Some(format!("the {tag} retention goes")),
                Some(after) if after < before => Some(format!("the {tag} retention falls from {before} to {after}")),
                Some(_) => None,
            }
        });
        let fewer = Tag::ALL.into_iter().filter_map(|tag| {
            let (before, after) = (self.rule(tag)?.points(), next.rule(tag)?.points());
            (after < before).then(|| format!("the {tag} retention keeps {after} points where it kept {before}"))
        });
        tags.chain(fewer).collect()
    }
}

impl Schedule {
    /// The longest time between two backups of an undisturbed schedule, in whole hours, rounded up. (Azure's clients count
    /// whole days for daily and weekly schedules, and so miss that three backups a day became one.)
    pub fn hours_between(&self) -> u32 {
        let (days, days_in_cycle) = match self {
            Self::Daily { .. } | Self::Hourly { .. } => (vec![0], 1),
            Self::Weekly { days, every_weeks, .. } => {
                let days = Day::ALL.into_iter().enumerate().filter(|(_, day)| days.contains(day));
                (
                    days.map(|(day, _)| day as u32).collect(),
                    7 * u32::from((*every_weeks).max(1)),
                )
            }
        };
        let times = self.times();
        let minute = |day: u32, time: Time| day * 1440 + time.hour() as u32 * 60 + time.minute() as u32;
        let cycle = days_in_cycle * 1440;
        let mut runs: Vec<u32> = days
            .iter()
            .flat_map(|day| times.iter().map(|time| minute(*day, *time)))
            .collect();
        runs.sort_unstable();
        // Around the cycle: the first run comes again after the last.
        runs.extend(runs.first().map(|first| first + cycle));
        let longest = runs.windows(2).map(|pair| pair[1] - pair[0]).max();
        longest.unwrap_or(cycle).div_ceil(60)
    }
}
