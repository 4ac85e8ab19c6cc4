//! One entry that a walk came upon.

use super::entered::Volume;
use super::meta::{Kind, Meta};
use super::reading::{ReadError, open};
use super::xattrs::{Subject, Xattrs, path_below};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::readlinkat;
use rustix::io::Errno;
use std::ffi::CString;
use std::sync::Arc;

/// An entry, with the open directory that it lies in: it can be read later and in another thread,
/// and a directory that is renamed in between cannot lead the reader to something else.
///
/// As long as it lives it keeps that directory open, so a queue of these must be bounded.
#[derive(Debug, Clone)]
pub struct Found {
    /// Path relative to `/`, components joined by `/`, no slash in front: `usr/lib/x`.
    pub path: Vec<u8>,
    /// What the system said about it.
    pub meta: Meta,
    pub(super) directory: Arc<OwnedFd>,
    pub(super) volume: Arc<Volume>,
    pub(super) name_start: usize,
}

impl Found {
    /// The last component of the path.
    pub fn name(&self) -> &[u8] {
        &self.path[self.name_start..]
    }

    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    pub(super) fn c_name(&self) -> CString {
        CString::new(self.name()).expect("a name that the system gave has no NUL")
    }
}

/// Where a symbolic link leads, as bytes; not resolved in any way.
pub fn read_link(found: &Found) -> Result<Vec<u8>, ReadError> {
    let room = Vec::with_capacity(found.meta.size as usize + 1);
    readlinkat(found.directory(), found.name(), room)
        .map(CString::into_bytes)
        .map_err(|error| ReadError::new("read link", &found.path, error))
}

/// The extended attributes of an entry that need not be opened: one call if it has none.
///
/// Kept are `user.*`, `trusted.*` (visible to root only), `security.*` and POSIX ACLs. Needs
/// `/proc`; without it, files and directories are opened instead and other kinds have none.
pub fn xattrs(found: &Found) -> Result<Xattrs, ReadError> {
    let path = path_below(found.directory(), &found.c_name());
    let result = Subject::<OwnedFd>::Path(&path).read_all();
    match (result, found.meta.kind) {
        (Err(Errno::NOENT), Kind::File | Kind::Directory) => open(found)?.xattrs(),
        (Err(Errno::NOENT), _) => still_there(found).map(|()| Xattrs::new()),
        (result, _) => result.map_err(|error| failed(found, error)),
    }
}

/// Tells an entry that has vanished from a missing `/proc`.
fn still_there(found: &Found) -> Result<(), ReadError> {
    Meta::of_entry(found.directory(), found.name())
        .map(|_| ())
        .map_err(|e| failed(found, e))
}

fn failed(found: &Found, error: Errno) -> ReadError {
    ReadError::new("read extended attributes of", &found.path, error)
}
