//! What can go wrong in a restore.

use crate::files::shown::ShownPath;
use rustix::io::Errno;
use std::io;

/// An entry could not be restored. The restore of others can go on, but for
/// [`RestoreError::is_fatal`].
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The disk or the quota is full.
    #[error("no space is left to {action} {}", ShownPath(path))]
    NoSpace {
        /// What was tried, a verb phrase.
        action: &'static str,
        /// Path relative to the target.
        path: Vec<u8>,
    },
    /// The target can only be read.
    #[error("cannot {action} {}: the file system is read-only", ShownPath(path))]
    ReadOnly {
        /// What was tried, a verb phrase.
        action: &'static str,
        /// Path relative to the target.
        path: Vec<u8>,
    },
    /// The path would lead out of the target, or is none.
    #[error("refused to restore \"{}\": {why}", ShownPath(path))]
    Hostile {
        /// The path as it was given.
        path: Vec<u8>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something else is there and may not be replaced.
    #[error("{} exists already", ShownPath(path))]
    Exists {
        /// Path relative to the target.
        path: Vec<u8>,
    },
    /// A directory is there, and directories are never replaced.
    #[error(
        "a folder is in the place of {}, and folders are never replaced: move it away, or restore elsewhere",
        ShownPath(path)
    )]
    Directory {
        /// Path relative to the target.
        path: Vec<u8>,
    },
    /// This process may not do that.
    #[error("cannot {action} {}: {source}", ShownPath(path))]
    Denied {
        /// What was tried, a verb phrase.
        action: &'static str,
        /// Path relative to the target.
        path: Vec<u8>,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else that the system refused.
    #[error("cannot {action} {}: {source}", ShownPath(path))]
    Failed {
        /// What was tried, a verb phrase.
        action: &'static str,
        /// Path relative to the target.
        path: Vec<u8>,
        /// What the system said.
        source: io::Error,
    },
}

/// An entry is there, but not quite as it was: an attribute could not be set, or a device not made.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", ShownPath(path))]
pub struct Warning {
    /// What was tried, a verb phrase.
    pub action: &'static str,
    /// Path relative to the target.
    pub path: Vec<u8>,
    /// What the system said.
    pub source: io::Error,
}

impl RestoreError {
    pub(super) fn new(action: &'static str, path: &[u8], error: Errno) -> RestoreError {
        let (path, source) = (path.to_vec(), io::Error::from(error));
        match error {
            Errno::NOSPC | Errno::DQUOT => RestoreError::NoSpace { action, path },
            Errno::ROFS => RestoreError::ReadOnly { action, path },
            Errno::EXIST => RestoreError::Exists { path },
            Errno::PERM | Errno::ACCESS => RestoreError::Denied { action, path, source },
            _ => RestoreError::Failed { action, path, source },
        }
    }

    /// Whether the next entries will fail for the same reason.
    pub fn is_fatal(&self) -> bool {
        matches!(self, RestoreError::NoSpace { .. } | RestoreError::ReadOnly { .. })
    }

    /// The path of the entry, relative to the target.
    pub fn path(&self) -> &[u8] {
        match self {
            RestoreError::NoSpace { path, .. }
            | RestoreError::ReadOnly { path, .. }
            | RestoreError::Hostile { path, .. }
            | RestoreError::Exists { path }
            | RestoreError::Directory { path }
            | RestoreError::Denied { path, .. }
            | RestoreError::Failed { path, .. } => path,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, RestoreError::Failed { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Puts the context to what a call returned.
pub(super) trait Attempt<T> {
    fn attempt(self, action: &'static str, path: &[u8]) -> Result<T, RestoreError>;
}

impl<T> Attempt<T> for Result<T, Errno> {
    fn attempt(self, action: &'static str, path: &[u8]) -> Result<T, RestoreError> {
        self.map_err(|error| RestoreError::new(action, path, error))
    }
}

/// Takes "is not there" as an answer.
pub(super) trait AbsentIsNone<T> {
    fn absent_is_none(self) -> Result<Option<T>, RestoreError>;
}

impl<T> AbsentIsNone<T> for Result<T, RestoreError> {
    fn absent_is_none(self) -> Result<Option<T>, RestoreError> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
