//! Why a disk cannot be read.

use std::io;
use std::time::Duration;

use crate::wire::{Errno, Malformed};

/// Why a disk cannot be read; each is a sentence for the user.
///
/// After [`Connect`](Self::Connect), [`Lost`](Self::Lost), [`Violation`](Self::Violation) and [`Closed`](Self::Closed)
/// nothing more comes over the connection. After the others it goes on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NbdError {
    /// There is no server.
    #[error("cannot connect to {address}: {why}")]
    Connect {
        /// Where.
        address: String,
        /// What the system said.
        why: String,
    },
    /// The server is gone, or the connection to it.
    #[error("the connection to the NBD server is lost: {0}")]
    Lost(String),
    /// We have said goodbye.
    #[error("the connection to the NBD server was closed")]
    Closed,
    /// The server does not want to.
    #[error("the NBD server refuses {option}{}{message} ({code:#x})", if message.is_empty() { "" } else { ": " })]
    Refused {
        /// What was asked for.
        option: String,
        /// One of [`crate::wire::refusal`].
        code: u32,
        /// The server's words; may be empty.
        message: String,
    },
    /// The server does not do what the protocol says, and nothing more is believed.
    #[error("the NBD server breaks the protocol: {0}")]
    Violation(String),
    /// A request failed at the server. On an export of a snapshot, [`Errno::Invalid`] and [`Errno::Io`] mean that it is lost.
    #[error("the NBD server could not {doing} at {offset}: {errno}{}{message}", if message.is_empty() { "" } else { ": " })]
    Server {
        /// A verb phrase.
        doing: &'static str,
        /// The beginning of the request, or where the server says that it failed; in bytes.
        offset: u64,
        /// Why.
        errno: Errno,
        /// The server's words; may be empty.
        message: String,
    },
    /// The caller's limit has passed.
    #[error("the NBD server did not {doing} within {} ms", limit.as_millis())]
    TimedOut {
        /// A verb phrase.
        doing: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// What is asked for is not there.
    #[error("{length} bytes at {offset} are not within the export of {size} bytes")]
    OutOfRange {
        /// In bytes.
        offset: u64,
        /// In bytes.
        length: u64,
        /// Of the export, in bytes.
        size: u64,
    },
    /// The server did not agree to tell of this.
    #[error("the NBD server does not tell the status of blocks in {0}")]
    NoContext(String),
    /// More extents than fit a caller's memory: ask for a shorter range.
    #[error("the range has more than {0} extents")]
    TooManyExtents(usize),
}

impl NbdError {
    pub(crate) fn violation(why: impl ToString) -> Self {
        Self::Violation(why.to_string())
    }
}

/// The one thing that fails with such an error here is the stream of a connection, and any failure of it is the end.
impl From<io::Error> for NbdError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Lost("the server hung up".into()),
            _ => Self::Lost(error.to_string()),
        }
    }
}

impl From<Malformed> for NbdError {
    fn from(malformed: Malformed) -> Self {
        Self::violation(malformed)
    }
}
