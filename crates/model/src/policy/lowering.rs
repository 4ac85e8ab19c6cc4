//! Whether a change of policy protects less than before.

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::calendar::Day;
use super::retention::Tag;
use super::schedule::Schedule;
use super::{Policy, Retention};

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
        lowered
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
        tags.collect()
    }
}

impl Schedule {
    /// The longest time between two backups of an undisturbed schedule, in hours, as Azure's clients count it: by whole days
    /// for daily and weekly schedules.
    pub fn hours_between(&self) -> u32 {
        match self {
            Self::Daily { .. } => 24,
            Self::Hourly {
                every_hours,
                window_hours,
                ..
            } => match window_hours {
                24.. => u32::from(every_hours.unsigned_abs()),
                hours => 24 - u32::from(hours.unsigned_abs()),
            },
            Self::Weekly { days, every_weeks, .. } => {
                24 * days_between(days) + 168 * u32::from(every_weeks.saturating_sub(1))
            }
        }
    }
}

/// The largest gap between two of these days, around the week.
fn days_between(days: &[Day]) -> u32 {
    let sunday = Date::constant(2026, 1, 4);
    let runs: Vec<u32> = (0..14)
        .filter(|ahead| {
            sunday
                .checked_add((*ahead).days())
                .is_ok_and(|date| days.contains(&Day::of(date)))
        })
        .map(|ahead: i32| ahead.unsigned_abs())
        .collect();
    runs.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(7)
}
