//! Jobs: one run of one operation on one item.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::notice::{MESSAGE_MAX, line};
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

/// The most recommendations of an error, and the longest name of a part of a job, in characters.
const RECOMMENDATIONS_MAX: usize = 5;
const TASK_NAME_MAX: usize = 120;

impl JobError {
    /// As a machine may tell it: one line each, of bounded length, and another code if it is none that `is_known`.
    pub fn of_machine(self, is_known: impl Fn(&str) -> bool) -> Self {
        let mut recommendations = self.recommendations;
        recommendations.truncate(RECOMMENDATIONS_MAX);
        Self {
            code: if is_known(&self.code) {
                self.code
            } else {
                "OperationFailed".to_owned()
            },
            message: line(&self.message, MESSAGE_MAX),
            recommendations: recommendations.iter().map(|text| line(text, MESSAGE_MAX)).collect(),
        }
    }
}

impl Task {
    /// As a machine may tell it: with a name of one line, of bounded length.
    pub fn of_machine(self) -> Self {
        let name = line(&self.name, TASK_NAME_MAX);
        Self { name, ..self }
    }
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
    fn what_a_machine_invents_is_one_code_and_short() {
        let error = |code: &str| JobError {
            code: code.to_owned(),
            message: "x\n".repeat(5000),
            recommendations: vec!["y".repeat(5000); 50],
        };
        for (code, becomes) in [
            ("NoSpace", "NoSpace"),
            ("Invented-7", "OperationFailed"),
            ("", "OperationFailed"),
        ] {
            let told = error(code).of_machine(|code| code == "NoSpace");
            assert_eq!(told.code, becomes);
            assert_eq!(told.message.chars().count(), MESSAGE_MAX - 1, "the end is trimmed");
            assert!(!told.message.contains('\n'));
            assert_eq!(told.recommendations, vec!["y".repeat(MESSAGE_MAX); RECOMMENDATIONS_MAX]);
        }
    }

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
