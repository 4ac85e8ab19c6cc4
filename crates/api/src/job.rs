//! Jobs, as people see them and as machines do them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{
    ContainerId, ItemId, JobError, JobId, JobProgress, JobState, MachineName, Operation, PointId, PolicyName, Task,
    Trigger,
};

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// Names it.
    pub id: JobId,
    /// What it does.
    pub operation: Operation,
    /// How far it is.
    pub state: JobState,
    /// What made it.
    pub trigger: Trigger,
    /// What it is about.
    pub item: ItemId,
    /// The name of its machine.
    pub name: MachineName,
    /// The machine.
    pub container: ContainerId,
    /// The moment that the schedule wanted it at.
    pub due: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// When a machine took it.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// How far its machine says it is.
    pub progress: JobProgress,
    /// The same in percent, if one can tell.
    pub percent: Option<u8>,
    /// Bytes a second, over the whole time.
    pub rate: Option<u64>,
    /// Seconds until it is over, if one can tell.
    pub seconds_left: Option<u64>,
    /// Its parts.
    pub tasks: Vec<Task>,
    /// Why it failed, or what it warns of.
    pub errors: Vec<JobError>,
    /// The recovery point that it made.
    pub point: Option<PointId>,
}

/// Jobs of a vault, newest first: a page of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// What to say as `before` for the next page; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobFilter {
    /// Those of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// At most so many, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// Only those that do this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Only those of this item: its id, or the name of its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Only those made then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only those made before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A machine asks for work, and waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkRequest {
    /// The program that it runs.
    pub program: String,
    /// The jobs that it does just now.
    #[schemars(length(max = RUNNING_MAX))]
    pub running: Vec<JobId>,
    /// For how long it would wait for news, in seconds.
    pub wait_seconds: u64,
    /// The generation of the settings that the machine has seen in the vault; it is answered at once when there is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<u64>,
    /// Whether it is a host that looks for virtual machines when somebody wants that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discovers: bool,
}

/// The longest that a link is held without news, in seconds.
pub const LINK_SECONDS_MAX: u64 = 50;

/// The most jobs that a machine does at a time.
pub const RUNNING_MAX: usize = 16;

/// What a machine is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkAnswer {
    /// Jobs to begin; they are this machine's now.
    pub jobs: Vec<JobView>,
    /// Jobs to stop.
    pub stop: Vec<JobId>,
    /// What the machine's item is under.
    pub protection: Protection,
    /// The generation of its settings in the vault; 0: none are kept.
    #[serde(default)]
    pub settings: u64,
    /// Whether somebody waits for what the machine finds of virtual machines.
    #[serde(default)]
    pub discover: bool,
}

/// What an item is under, as its machine is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Protection {
    /// The state of its item.
    pub state: strongroom_model::ItemState,
    /// The policy.
    pub policy: Option<PolicyName>,
    /// When its next scheduled backup is due.
    pub next_backup: Option<Timestamp>,
}

/// What a machine's item is under, as the machine asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnProtection {
    /// The name of the machine, and of its item.
    pub name: MachineName,
    /// The machine.
    pub container: ContainerId,
    /// What it protects: its files and folders.
    pub item: ItemId,
    /// What that is under.
    pub protection: Protection,
    /// Its newest recovery point.
    pub latest_point: Option<PointId>,
}

/// A machine begins a job that somebody there asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginJob {
    /// `Backup` or `Restore`.
    #[schemars(extend("enum" = ["Backup", "Restore"]))]
    pub operation: Operation,
}

/// How far a machine is with its job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportJob {
    /// In figures.
    pub progress: JobProgress,
    /// In parts.
    #[serde(default)]
    #[schemars(length(max = JOB_TASKS_MAX))]
    pub tasks: Vec<Task>,
}

/// The answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reported {
    /// The job's state: `Cancelling` if the machine is to stop.
    pub state: JobState,
}

/// How a machine's job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishJob {
    /// `Completed`, `CompletedWithWarnings`, `Failed` or `Cancelled`.
    #[schemars(extend("enum" = ["Completed", "CompletedWithWarnings", "Failed", "Cancelled"]))]
    pub state: JobState,
    /// Why it failed, or what it warns of; at most [`JOB_ERRORS_MAX`].
    #[serde(default)]
    #[schemars(length(max = JOB_ERRORS_MAX))]
    pub errors: Vec<JobError>,
    /// In figures.
    pub progress: JobProgress,
    /// In parts.
    #[serde(default)]
    #[schemars(length(max = JOB_TASKS_MAX))]
    pub tasks: Vec<Task>,
}

/// The codes of a machine's own errors. Besides it tells those of the service ([`crate::Code`]); whatever else it says is
/// the last of these.
pub const MACHINE_ERROR_CODES: [&str; 7] = [
    "NothingSelected",
    "NoSnapshot",
    "PreCommandFailed",
    "ServiceUnreachable",
    "VolumeNotAllowed",
    "SomeEntriesWithWarnings",
    "OperationFailed",
];

/// The most errors that a job remembers.
pub const JOB_ERRORS_MAX: usize = 100;

/// The most parts that a job has.
pub const JOB_TASKS_MAX: usize = 16;

/// Asks for a backup session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginSession {
    /// The job that it is for, if it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
}
