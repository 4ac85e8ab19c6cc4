//! Folders that are sure to be there after a crash.

use std::collections::HashSet;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::syncs::Syncs;

/// The folders known to be durable: made, and synced into their parents by this process.
///
/// That a folder *exists* proves nothing: another put, or a process killed since, may have made it and not
/// have synced it yet. So each folder is synced once per process, whoever made it. Bounded by the number
/// of folders of the store.
#[derive(Debug, Default)]
pub(super) struct Folders {
    durable: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    /// Makes `folder` and what is missing between it and `root`, durably.
    pub(super) fn ensure(&self, root: &Path, folder: &Path, syncs: &Syncs) -> io::Result<()> {
        if folder == root || self.lock().contains(folder) {
            return Ok(());
        }
        let parent = parent_of(folder);
        self.ensure(root, parent, syncs)?;
        make(folder)?;
        // Not under the lock: two that do this at once both sync, and neither waits for the other.
        syncs.folder(parent)?;
        self.lock().insert(folder.to_owned());
        Ok(())
    }

    /// Looks at every folder again.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes `path` and its missing parents, each durable before the next: then of those that an interrupted
/// predecessor made, only the last can be unsynced, and that one is synced again here.
pub(super) fn make_root(path: &Path, syncs: &Syncs) -> io::Result<()> {
    match make(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && path.parent().is_some() => {
            make_root(parent_of(path), syncs)?;
            make(path)?;
        }
        made => made?,
    }
    match syncs.folder(parent_of(path)) {
        // A folder whose parent we may not read was there before us.
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// Makes one folder, only for its owner, unless there is one.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            if path.is_dir() {
                Ok(())
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }
        made => made,
    }
}

/// The folder that `path` is in: `.` for a relative name of one part, itself for the root of all.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}
