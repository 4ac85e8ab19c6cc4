//! Why a backup, restore or verification could not be done at all.

use std::path::PathBuf;

use crate::remote::RemoteError;

/// Why the work ended. What went wrong with single files is an issue in the report instead.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The vault refused or cannot be reached.
    #[error("{0}")]
    Remote(#[from] RemoteError),
    /// The scratch folder cannot be used.
    #[error("cannot {action} the scratch folder {}: {source}", path.display())]
    Scratch {
        /// A verb phrase.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The scratch folder is where none can be.
    #[error("{} cannot be the scratch folder: {why}. Choose another with `strongroom agent settings --scratch DIR`", path.display())]
    ScratchPlace {
        /// Where.
        path: PathBuf,
        /// Why, as a clause.
        why: String,
    },
    /// Another backup of this machine is running.
    #[error("another backup of this machine is running; wait for it, or stop it")]
    Busy,
    /// What to back up is not usable.
    #[error("{0}")]
    Source(String),
    /// The target of a restore is not usable.
    #[error("{0}")]
    Target(String),
    /// An archive cannot be written to where it goes.
    #[error("cannot write the archive: {0}")]
    Output(std::io::Error),
    /// The recovery point has nothing at the paths that were asked for.
    #[error("the recovery point has nothing at {0}: nothing was restored")]
    Absent(String),
    /// A search found more than is listed.
    #[error("more than 100,000 versions fit: give a pattern that says more, or search the points of one machine")]
    TooManyVersions,
    /// Two recovery points have too little in common to be compared.
    #[error("the two recovery points differ in too many places to be compared at once: compare them folder by folder")]
    TooDifferent,
    /// No entry fits the patterns.
    #[error("the patterns leave nothing of the recovery point: nothing was restored")]
    NothingPicked,
    /// The recovery point itself is damaged or was made with other keys.
    #[error("{0}")]
    Point(String),
    /// The user interrupted it. What was sent stays in the vault, what was restored stays on disk.
    #[error("interrupted; what was done so far is kept, and the next run continues from there")]
    Cancelled,
    /// A stage of the pipeline ended without saying why.
    #[error("internal error: {0}")]
    Internal(&'static str),
}
