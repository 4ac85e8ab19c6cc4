//! Files on their way to a name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

use super::folders;
use crate::key::RESERVED;

const LOCK: &str = ".lock";

/// How many names are tried before giving up: far more than there can be leftovers with our process id.
const NAMES_MAX: usize = 10_000;

/// Counts over all stores of the process, so that two `Disk`s on one folder never choose the same name.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// `<root>/tmp/`, with files named `<process id>-<number>`.
#[derive(Debug)]
pub(super) struct TempFolder {
    path: PathBuf,
    /// Locked, shared, while the store is open: "somebody may be writing here".
    _lock: File,
}

impl TempFolder {
    /// Opens the folder, and empties it if nobody else has it open.
    ///
    /// Going from the exclusive to the shared lock is not atomic: another one may come in between and empty
    /// the folder too. That is harmless, since nobody writes before holding the shared lock.
    pub(super) fn open(root: &Path) -> io::Result<TempFolder> {
        let path = root.join(RESERVED);
        folders::make(&path)?;
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        options.mode(0o600).open(path.join(LOCK))?;
        // Held for reading, so that an operator can remount the disk read-only under us.
        let lock = File::open(path.join(LOCK))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            empty(&path)?;
        }
        // Waits for nothing longer than another one's emptying.
        rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockShared))?;
        Ok(TempFolder { path, _lock: lock })
    }

    /// A new, empty file.
    pub(super) fn create(&self) -> io::Result<TempFile> {
        for _ in 0..NAMES_MAX {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = self.path.join(format!("{}-{number}", process::id()));
            let mut options = OpenOptions::new();
            match options.write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok(TempFile { file, path }),
                // A leftover of a dead process with our number, or one in another container.
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(cause),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != LOCK && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A file that is removed unless it is renamed.
pub(super) struct TempFile {
    file: File,
    path: PathBuf,
}

impl TempFile {
    pub(super) fn as_file(&self) -> &File {
        &self.file
    }

    /// One system call, unless the system takes less at once.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)
    }

    /// Gives the file its name. The bytes must have been synced: else a crash can leave the name with
    /// only a part of them.
    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.path.clear();
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // If even this fails, the next one to open the store alone removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}
