//! Why a repository, or one thing in it, cannot be used.

use std::io;
use std::path::PathBuf;

/// Why a repository, or one thing in it, cannot be used; each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum ResticError {
    /// The folder is something else.
    #[error(
        "{} is no restic repository in a local folder (it has no {missing}): name the folder that `restic init` made; copy a repository that lies elsewhere to a folder first, with `restic copy` or rclone",
        folder.display()
    )]
    NoRepository {
        /// The folder.
        folder: PathBuf,
        /// What a repository would have.
        missing: &'static str,
    },
    /// A newer restic made it.
    #[error("the repository has format version {0}; this program reads versions 1 and 2: use a newer strongroom")]
    Version(u32),
    /// The password opens none of its keys.
    #[error("the password is wrong: it opens none of the {0} keys of the repository")]
    WrongPassword(usize),
    /// A file cannot be read.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// A verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something is not what it should be.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// What, with its id.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// A blob is in no pack.
    #[error("blob {0} is in no pack of the repository (`restic check` says more)")]
    NoBlob(crate::Id),
}

impl ResticError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn damaged(what: impl ToString, why: impl ToString) -> Self {
        Self::Damaged {
            what: what.to_string(),
            why: why.to_string(),
        }
    }
}
