//! Policies: when an item is backed up, and how long its recovery points are kept.
//!
//! All rules are pure functions of what they are given; no clock is read. [`Schedule::next`] is (zone, now) → next;
//! [`Owed::pay`] is (what was missed, policy, moment) → tags; [`verdicts`] is (points, policy, now) → keep or expire, with
//! the reason. The semantics are Azure Backup's (SEMANTICS.md §11), with what it leaves open decided in
//! docs/decisions/2026-11-21-retention.md.

mod calendar;
mod check;
mod defaults;
mod expiry;
mod grant;
mod logs;
mod lowering;
mod owed;
mod retention;
mod schedule;
mod workload;
mod zone;

pub use calendar::{Day, DaysOfMonth, Week};
pub use check::Violation;
pub use defaults::{DEFAULT_POLICIES, DefaultPolicy};
pub use expiry::{Aging, Expire, Keep, Kept, Verdict, promises, verdicts};
pub use grant::{Grant, MadeFor};
pub use logs::Logs;
pub use owed::Owed;
pub use retention::{Daily, Monthly, Retention, Tag, Tags, Weekly, Yearly};
pub use schedule::Schedule;
pub use workload::Workload;
pub use zone::{Zone, ZoneError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When an item is backed up, and how long its recovery points are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Whose clocks and calendar count.
    pub zone: Zone,
    /// When backups are due.
    pub schedule: Schedule,
    /// How long their points are kept.
    pub retention: Retention,
    /// Virtual machines: for how many days a snapshot stays on the host, to restore from at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_days: Option<u32>,
    /// Databases: their logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
}

impl Policy {
    /// Everything that is wrong with it, for things of this kind; empty if it may be used.
    pub fn violations(&self, workload: Workload) -> Vec<Violation> {
        check::violations(self, workload)
    }

    /// Whether a point due at `due` fulfils the daily rule. The other tags come from [`Owed::pay`].
    pub fn is_daily(&self, due: jiff::Timestamp) -> bool {
        let before = due.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(due);
        self.retention
            .occurs(Tag::Daily, &self.schedule, &self.zone, before, due)
    }
}
