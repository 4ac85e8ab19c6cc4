//! What a walk comes to.

use super::found::Found;
use super::left_out::LeftOut;
use super::shown::ShownPath;

/// Something that the walk could not look at, or should not. The walk goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("/{}: {why}", ShownPath(path))]
pub struct WalkIssue {
    /// Path relative to `/`.
    pub path: Vec<u8>,
    /// What a caller may decide by.
    pub kind: IssueKind,
    /// For the operator.
    pub why: String,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueKind {
    /// It was listed, but was gone when it was looked at; or a selected root does not exist.
    Vanished,
    /// It cannot be looked at, or a directory cannot be listed. A directory's own entry has come.
    Unreadable,
    /// A volume ought to be mounted there, and is not.
    NotMounted,
    /// A volume is mounted there that is not backed up unless somebody says so.
    NotAllowed,
    /// There is no snapshot of a volume, and without one it is not to be read: there can be no backup.
    NoSnapshot,
}

/// What a walk comes to.
#[derive(Debug)]
pub enum Step {
    /// Something that is taken.
    Found(Found),
    /// Something that could not be looked at, or is not what it seems.
    Issue(WalkIssue),
    /// Something that a rule left out.
    LeftOut(LeftOut),
}
