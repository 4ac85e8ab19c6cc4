//! The open directories from `/` down to the present place of a walk.

use super::entered::Volume;
use super::found::Found;
use super::listing::{Hint, Listing};
use super::meta::Meta;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::ops::Range;
use std::sync::Arc;

pub(super) const HANDLE: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
pub(super) const LISTABLE: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// One of them.
#[derive(Debug)]
pub(super) struct Level {
    /// `None` while it is closed because the tree is too deep.
    pub(super) directory: Option<Arc<OwnedFd>>,
    pub(super) identity: (u64, u64),
    pub(super) volume: Arc<Volume>,
    pub(super) path_length: usize,
    pub(super) listing: Listing,
    /// How many names of the listing have been passed; the last of them is the present one.
    pub(super) passed: usize,
    pub(super) scope: Scope,
    /// The directory itself, while nothing in it is known to be included.
    pub(super) unannounced: Option<Found>,
}

/// How a directory relates to the roots.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// Above these roots: only what leads to them is of interest.
    Above(Range<usize>),
    /// A root or inside of one.
    Inside(Inside),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Inside {
    /// Where in a path the part below the root starts.
    pub(super) below: usize,
    /// The device of the root.
    pub(super) device: u64,
    /// Whether what lies here is included, unless a pattern says otherwise.
    pub(super) is_included: bool,
}

impl Level {
    pub(super) fn present(&self) -> Option<(&CStr, Hint)> {
        self.listing.get(self.passed - 1)
    }

    pub(super) fn handle(&self) -> &Arc<OwnedFd> {
        self.directory
            .as_ref()
            .expect("the directory on top of the stack is open")
    }
}

pub(super) fn components(path: &[u8]) -> Vec<CString> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    parts
        .map(|part| CString::new(part).expect("a selection has no NUL"))
        .collect()
}

/// Another directory may have taken the name since it was looked at.
pub(super) fn check_identity(directory: impl AsFd, expected: (u64, u64)) -> Result<(), Errno> {
    let meta = Meta::of_open(directory)?;
    if (meta.dev, meta.ino) == expected {
        Ok(())
    } else {
        Err(Errno::STALE)
    }
}

/// Opens a directory of the path to the present place again: from the one below it or, if that has
/// been moved elsewhere meanwhile, by its path, one component after the other.
pub(super) fn open_again(below: &OwnedFd, path: &[u8], level: &Level) -> Result<OwnedFd, Errno> {
    if let Ok(directory) = openat(below, c"..", HANDLE, Mode::empty())
        && check_identity(&directory, level.identity).is_ok()
    {
        return Ok(directory);
    }
    let directory = match &level.volume.snapshot {
        Some(inside) => open_below(&inside.start, &path[inside.path_length..])?,
        None => open_path(path)?,
    };
    check_identity(&directory, level.identity)?;
    Ok(directory)
}

/// Opens a directory of the tree by its path relative to `/`.
pub(super) fn open_path(path: &[u8]) -> Result<OwnedFd, Errno> {
    let root = openat(CWD, c"/", HANDLE, Mode::empty())?;
    open_below(root, path)
}

/// Opens a directory by its path below another, one component after the other.
fn open_below(directory: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut below = openat(directory, c".", HANDLE, Mode::empty())?;
    for component in components(path) {
        below = openat(&below, &component, HANDLE, Mode::empty())?;
    }
    Ok(below)
}
