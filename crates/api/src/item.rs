//! Protected items, as they are listed and changed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::policy::{Tags, Verdict, Workload};
use strongroom_model::{ContainerId, ItemId, ItemState, JobState, MachineName, PointId, PolicyName, Rpo};

use crate::{JobView, PointView};

/// A protected item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemView {
    /// Names it.
    pub id: ItemId,
    /// The name of its machine.
    pub name: MachineName,
    /// The machine.
    pub container: ContainerId,
    /// When the machine was unregistered, if it was; its name may be another one's since.
    pub unregistered: Option<Timestamp>,
    /// What kind of thing it is.
    pub workload: Workload,
    /// Its state.
    pub state: ItemState,
    /// The policy that it is under.
    pub policy: Option<PolicyName>,
    /// When its next scheduled backup is due.
    pub next_backup: Option<Timestamp>,
    /// How its last backup ended.
    pub last_backup: Option<LastBackup>,
    /// Its newest recovery point.
    pub latest_point: Option<PointId>,
    /// How it stands against its schedule; none while nothing is scheduled.
    pub rpo: Option<Rpo>,
    /// When it was soft-deleted, if it is.
    pub deleted: Option<Timestamp>,
    /// When it goes for good, if it is.
    pub purged_at: Option<Timestamp>,
    /// Grows with each change that a person makes; also in the header `ETag`.
    pub version: u64,
}

/// How a backup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastBackup {
    /// How.
    pub state: JobState,
    /// When.
    pub at: Timestamp,
}

/// Items of a vault, by name: a page of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemList {
    /// The items.
    pub items: Vec<ItemView>,
    /// What to say as `after` for the next page; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which items to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemFilter {
    /// Those whose names come after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Only those under this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ItemState>,
    /// Only those that are soft-deleted, or only those that are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

/// Puts an item under a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProtectItem {
    /// The policy.
    pub policy: PolicyName,
}

/// Stops the backups of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopItem {
    /// What becomes of its recovery points.
    pub data: StopData,
}

/// What becomes of the recovery points of an item whose backups stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StopData {
    /// They stay for ever.
    Retain,
    /// They age as the policy says, but for the last.
    RetainByPolicy,
    /// They go: into soft delete while the vault has that on.
    Delete,
}

/// Asks for a backup now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackUpItem {
    /// Until when its recovery point is kept; the policy says so if nobody else does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<Timestamp>,
}

/// A change of an item, and the job that tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemChange {
    /// The item as it is now; none if it is gone.
    pub item: Option<ItemView>,
    /// The job.
    pub job: JobView,
}

/// A recovery point of an item, and how long it stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptPoint {
    /// The point.
    #[serde(flatten)]
    pub point: PointView,
    /// The rules of its policy that it fulfils.
    pub tags: Tags,
    /// Whether it stays or goes, and why.
    pub verdict: Verdict,
    /// The same as a sentence.
    pub why: String,
}

/// The recovery points of an item, newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptPointList {
    /// The points.
    pub points: Vec<KeptPoint>,
}
