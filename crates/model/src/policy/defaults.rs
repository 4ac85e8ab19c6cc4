//! The policies that every vault has from the beginning, and that come back when somebody deletes them.

use jiff::civil::{Time, time};

use super::{Daily, Logs, Policy, Retention, Schedule, Workload, Zone};
use crate::PolicyName;

/// A policy that every vault has (SEMANTICS.md §2.1; the one for files is ours).
#[derive(Clone, Copy, Debug)]
pub struct DefaultPolicy {
    name: &'static str,
    /// What it is for.
    pub workload: Workload,
    schedule: fn() -> Schedule,
    snapshot_days: Option<u32>,
    logs: Option<Logs>,
}

const RUN: Time = time(22, 0, 0, 0);
const KEEP_DAYS: u32 = 30;

/// All of them.
pub const DEFAULT_POLICIES: [DefaultPolicy; 4] = [
    DefaultPolicy {
        name: "DefaultPolicy",
        workload: Workload::VirtualMachine,
        schedule: daily,
        snapshot_days: Some(2),
        logs: None,
    },
    DefaultPolicy {
        name: "EnhancedPolicy",
        workload: Workload::VirtualMachine,
        schedule: four_hourly,
        snapshot_days: Some(7),
        logs: None,
    },
    DefaultPolicy {
        name: "HourlyLogBackup",
        workload: Workload::Database,
        schedule: daily,
        snapshot_days: None,
        logs: Some(Logs {
            every_minutes: 60,
            keep_days: 30,
        }),
    },
    DefaultPolicy {
        name: "DefaultFilesPolicy",
        workload: Workload::FilesAndFolders,
        schedule: daily,
        snapshot_days: None,
        logs: None,
    },
];

fn daily() -> Schedule {
    Schedule::Daily { times: vec![RUN] }
}

fn four_hourly() -> Schedule {
    Schedule::Hourly {
        every_hours: 4,
        window_start: time(8, 0, 0, 0),
        window_hours: 12,
    }
}

impl DefaultPolicy {
    /// The default of this name, without regard to case.
    pub fn called(name: &PolicyName) -> Option<&'static DefaultPolicy> {
        (DEFAULT_POLICIES.iter()).find(|default| default.name.eq_ignore_ascii_case(name.as_str()))
    }

    /// Its name.
    pub fn name(&self) -> PolicyName {
        self.name.parse().expect("a name of this file")
    }

    /// Its rules: every day, kept for 30 days.
    pub fn policy(&self) -> Policy {
        let schedule = (self.schedule)();
        let daily = Daily {
            times: schedule.times(),
            keep: KEEP_DAYS,
        };
        Policy {
            zone: Zone::utc(),
            retention: Retention {
                daily: Some(daily),
                ..Retention::default()
            },
            schedule,
            snapshot_days: self.snapshot_days,
            logs: self.logs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_allowed() {
        for default in DEFAULT_POLICIES {
            assert_eq!(default.policy().violations(default.workload), [], "{}", default.name);
            let found = DefaultPolicy::called(&default.name()).map(|found| found.name);
            assert_eq!(found, Some(default.name));
        }
    }
}
