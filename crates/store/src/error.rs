//! What can go wrong with an object.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use crate::{Key, KeyError};

/// A failed operation of a store. Every sentence names the object and contains its cause, so that
/// `to_string()` is enough for a log or a report; there is no hidden chain.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No object has this name.
    #[error("object {key} is not in the store")]
    NotFound {
        /// The object.
        key: Key,
    },
    /// The store is full: blocks, inodes or quota. Nothing was changed; freeing space is the way out.
    #[error("no space left in the store for object {key}")]
    NoSpace {
        /// The object that did not fit.
        key: Key,
    },
    /// The wanted bytes do not lie inside the object: it is shorter than its reader believes.
    #[error("object {key} has {size} bytes, but bytes {}..{} were wanted", range.start, range.end)]
    Truncated {
        /// The object.
        key: Key,
        /// The bytes that were wanted.
        range: Range<u64>,
        /// The bytes that are there.
        size: u64,
    },
    /// The store could not do it, for a reason no caller decides by. After a failed put or delete the
    /// object is as it was before or as it was to become, and may change to the other in a crash.
    #[error("could not {action} object {key}: {cause}")]
    Io {
        /// The object.
        key: Key,
        /// What was tried, a verb: `write`, `sync`, `read`.
        action: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// The store could not be listed.
    #[error("could not list the objects under {prefix:?}: {cause}")]
    List {
        /// The prefix as given.
        prefix: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The prefix of a listing is no prefix of legal names.
    #[error(transparent)]
    Prefix(KeyError),
    /// The folder of a store could not be opened.
    #[error("could not {action} the store in {}: {cause}", root.display())]
    Open {
        /// The folder.
        root: PathBuf,
        /// What was tried, a verb.
        action: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// The simulated machine has stopped; see [`sim`](crate::sim). No other store answers this.
    #[error("the simulated machine stopped")]
    Crashed,
}

impl StoreError {
    /// The error of one step on one object, sorted into the kinds that callers decide by.
    pub(crate) fn from_io(key: &Key, action: &'static str, cause: io::Error) -> StoreError {
        let key = key.clone();
        match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if action == READ => StoreError::NotFound { key },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoSpace { key },
            _ => StoreError::Io { key, action, cause },
        }
    }
}

/// The one action whose "no such file" means that the object is not there.
pub(crate) const READ: &str = "read";

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    fn check(action: &'static str, errno: Errno, expected: &str) {
        let key = Key::new("packs/aa/1").unwrap();
        let error = StoreError::from_io(&key, action, errno.into());
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn sentences() {
        let missing = "object packs/aa/1 is not in the store";
        check(READ, Errno::NOENT, missing);
        check(READ, Errno::NOTDIR, missing);
        let full = "no space left in the store for object packs/aa/1";
        check("write", Errno::NOSPC, full);
        check("sync", Errno::DQUOT, full);
        let io = "could not sync object packs/aa/1: Input/output error (os error 5)";
        check("sync", Errno::IO, io);
        // A vanished temporary folder must not look like a missing object.
        let gone = "could not write object packs/aa/1: No such file or directory (os error 2)";
        check("write", Errno::NOENT, gone);
    }

    #[test]
    fn a_short_object_says_what_was_wanted() {
        let error = StoreError::Truncated {
            key: Key::new("k").unwrap(),
            range: 90..100,
            size: 95,
        };
        let expected = "object k has 95 bytes, but bytes 90..100 were wanted";
        assert_eq!(error.to_string(), expected);
    }
}
