//! Jobs: one run of one operation on one item.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::word::words;

words!(
    /// What a job does (SEMANTICS.md §8; the names are Azure's).
    Operation, "operation" {
        /// Makes a recovery point.
        Backup,
        /// Brings one back.
        Restore,
        /// Puts an item under a policy, or under another one.
        ConfigureBackup,
        /// Stops protection and keeps the data.
        DisableBackup,
        /// Stops protection and soft-deletes the data.
        DeleteBackupData,
        /// Takes that back.
        Undelete,
        /// Registers a machine.
        Register,
        /// Unregisters it.
        UnRegister,
    }
);

words!(
    /// How far a job is. Azure's names, but for [`JobState::Queued`], which Azure calls in progress.
    JobState, "job state" {
        /// Waits for the machine that will do it.
        Queued,
        /// Somebody does it.
        InProgress,
        /// Somebody who does it was told to stop.
        Cancelling,
        /// Done.
        Completed,
        /// Done, but some things could not be taken as they should have been.
        CompletedWithWarnings,
        /// Not done.
        Failed,
        /// Not done, because somebody wanted so.
        Cancelled,
    }
);

words!(
    /// What made a job.
    Trigger, "trigger" {
        /// A policy's schedule.
        Schedule,
        /// A person, through the service.
        OnDemand,
        /// The machine itself: somebody sat at it.
        Machine,
    }
);

words!(
    /// How far a part of a job is.
    TaskState, "task state" {
        /// Its turn has not come.
        NotStarted,
        /// It is being done.
        InProgress,
        /// Done.
        Completed,
        /// Not done.
        Failed,
        /// Not needed.
        Skipped,
    }
);

/// A part of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// What it does, such as "Transfer data to vault".
    pub name: String,
    /// How far it is.
    pub state: TaskState,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// How far a job is, by the words of the machine that does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct JobProgress {
    /// Entries that were looked at.
    pub entries: u64,
    /// Bytes that were looked at.
    pub bytes: u64,
    /// Bytes that were sent or fetched.
    pub moved_bytes: u64,
    /// Bytes in all, as far as one can tell; zero: one cannot.
    pub expected_bytes: u64,
}

/// Why a job failed, or what it warns of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobError {
    /// For programs; one of Azure's where there is one.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recommendations: Vec<String>,
}

impl JobProgress {
    /// In percent, if one can tell; 100 only when it is over.
    pub fn percent(&self) -> Option<u8> {
        let share = self.bytes.saturating_mul(100).checked_div(self.expected_bytes)?;
        Some(u8::try_from(share.min(99)).expect("at most 99"))
    }
}

impl JobState {
    /// Whether it is not over: while a job is, no other of its operation begins on the same item.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress | Self::Cancelling)
    }

    /// Whether a job may go from this state to `next`.
    pub fn may_become(self, next: JobState) -> bool {
        use JobState::*;
        match self {
            Queued => matches!(next, InProgress | Cancelled | Failed),
            InProgress => matches!(
                next,
                Cancelling | Completed | CompletedWithWarnings | Failed | Cancelled
            ),
            // What was done before the word reached it is done.
            Cancelling => matches!(next, Completed | CompletedWithWarnings | Failed | Cancelled),
            Completed | CompletedWithWarnings | Failed | Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over() {
        for &state in JobState::ALL {
            let ends = JobState::ALL.iter().all(|&next| !state.may_become(next));
            assert_eq!(ends, !state.is_open(), "{state}");
            assert_eq!(state.as_str().parse::<JobState>().unwrap(), state);
        }
        assert!(!JobState::Queued.may_become(JobState::Completed));
        let refused = "Done".parse::<JobState>().unwrap_err().to_string();
        assert!(
            refused.contains("\"Done\" is no job state") && refused.contains("Queued, InProgress"),
            "{refused}"
        );
    }
}
