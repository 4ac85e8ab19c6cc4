//! What can go wrong.

use std::io;

/// Why something on a disk could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// What the volume holds, or a feature of it, is not read here.
    #[error("{0}")]
    Unsupported(String),
    /// The bytes contradict themselves, or a bound.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// There is nothing of this name.
    #[error("there is nothing of this name")]
    NotFound,
    /// Names were asked of something that is not a folder. Symbolic links are not followed, so they are none.
    #[error("it is not a folder")]
    NotAFolder,
    /// Contents were asked of something that has none.
    #[error("it is not a regular file")]
    NotAFile,
    /// The disk itself could not be read, or ends before.
    #[error("read {length} bytes at {offset} of the disk: {source}")]
    Read {
        /// Where, from the beginning of the volume, in bytes.
        offset: u64,
        /// How many bytes.
        length: usize,
        /// What the disk said.
        source: io::Error,
    },
}

pub(crate) type Result<T> = std::result::Result<T, VolumeError>;

pub(crate) fn unsupported<T>(what: impl Into<String>) -> Result<T> {
    Err(VolumeError::Unsupported(what.into()))
}

pub(crate) fn damaged<T>(what: &'static str) -> Result<T> {
    Err(VolumeError::Damaged(what))
}
