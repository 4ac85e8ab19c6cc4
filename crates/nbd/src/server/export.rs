//! What is shown.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use crate::wire::Errno;

/// A disk that can be read, and never changes.
#[async_trait]
pub trait Export: Send + Sync {
    /// In bytes; always the same.
    fn size(&self) -> u64;

    /// For a person who lists exports.
    fn description(&self) -> String {
        String::new()
    }

    /// All bytes of a range that is within the export, 32 MiB at most.
    async fn read(&self, offset: u64, length: u32) -> Result<Bytes, ExportError>;

    /// What is in a range that is within the export and not empty, from its beginning on: at least one stretch, whose
    /// length is not zero. They may end before the range does, if it would take long to say more; what goes beyond it is
    /// left out.
    ///
    /// It is asked for each read too, so that zeros are neither read nor sent.
    async fn extents(&self, range: Range<u64>) -> Result<Vec<Stretch>, ExportError>;
}

/// A stretch of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// In bytes; not zero.
    pub length: u64,
    /// Whether it reads as zeros.
    pub zero: bool,
}

/// Why an export cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message} ({errno})")]
pub struct ExportError {
    /// What the client is told.
    pub errno: Errno,
    /// What a person at the client is told, if it shows that; nothing about our insides.
    pub message: String,
}

impl ExportError {
    /// Something could not be read.
    pub fn io(message: impl ToString) -> Self {
        Self {
            errno: Errno::Io,
            message: message.to_string(),
        }
    }
}
