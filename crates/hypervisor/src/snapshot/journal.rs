//! What has to be undone, in a file per machine that survives this process.
//!
//! The file is written and synced before what it tells of is done. A lock beside it is held for as long as somebody looks
//! after the point; the system drops it with the process.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::point_id::PointId;
use crate::description::MachineName;
use crate::disk::{NodeName, QomPath};

const VERSION: u32 = 1;

/// More than any entry has.
const ENTRY_BYTES_MAX: u64 = 1024 * 1024;

/// Why the journal does not take an entry, or does not give one.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Somebody takes or reads a point of this machine.
    #[error("a point of the virtual machine {0} is in use")]
    InUse(MachineName),
    /// A point of this machine was left, and is not removed yet.
    #[error("an earlier point of the virtual machine {0} is still to be removed")]
    Left(MachineName),
    /// An entry is not what this version writes.
    #[error("cannot understand {}: {why}", path.display())]
    Unreadable {
        /// The entry.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// A verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How far a point has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// There may be layers, none of which the guest's writes pass.
    Preparing,
    /// The guest may be stopped.
    Stopping,
    /// The guest may be frozen, and stopped.
    Freezing,
    /// The guest runs, through the filters.
    Live,
}

/// All that is needed to undo a point.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) version: u32,
    pub(super) point: PointId,
    pub(super) machine: MachineName,
    pub(super) qmp: PathBuf,
    pub(super) agent: Option<PathBuf>,
    /// Of its fleeces and its socket.
    pub(super) folder: PathBuf,
    /// Whether the guest was running, so that it may be made to.
    pub(super) was_running: bool,
    pub(super) disks: Vec<EntryDisk>,
    pub(super) phase: Phase,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EntryDisk {
    pub(super) device: QomPath,
    pub(super) node: NodeName,
}

impl Entry {
    pub(super) const VERSION: u32 = VERSION;
}

/// An entry whose machine is locked.
#[derive(Debug)]
pub(super) struct Owned {
    pub(super) entry: Entry,
    path: PathBuf,
    _lock: File,
}

pub(super) struct Journal {
    folder: PathBuf,
}

impl Journal {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Writes the first entry of a point.
    pub(super) fn begin(&self, entry: Entry) -> Result<Owned, JournalError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(io_error("make", &self.folder))?;
        let lock = self.lock(&entry.machine)?;
        let path = self.folder.join(format!("{}.json", entry.machine));
        if path.try_exists().map_err(io_error("look for", &path))? {
            return Err(JournalError::Left(entry.machine));
        }
        let owned = Owned {
            entry,
            path,
            _lock: lock,
        };
        owned.write()?;
        Ok(owned)
    }

    /// The entries that nobody looks after. Those that cannot be read are told too.
    pub(super) fn left(&self) -> Result<Vec<Result<Owned, JournalError>>, JournalError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io_error("list", &self.folder))?,
        };
        let mut left = Vec::new();
        for entry in entries {
            let path = entry.map_err(io_error("list", &self.folder))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                left.extend(self.adopt(path).transpose());
            }
        }
        Ok(left)
    }

    /// None if somebody looks after it, or just did.
    fn adopt(&self, path: PathBuf) -> Result<Option<Owned>, JournalError> {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let unreadable = |why: String| JournalError::Unreadable {
            path: path.clone(),
            why,
        };
        let machine: MachineName = stem
            .parse()
            .map_err(|_| unreadable("its name is none of a machine".into()))?;
        let lock = match self.lock(&machine) {
            Err(JournalError::InUse(_)) => return Ok(None),
            lock => lock?,
        };
        let length = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(io_error("look at", &path))?.len(),
        };
        if length > ENTRY_BYTES_MAX {
            return Err(unreadable(format!("it has {length} bytes")));
        }
        let bytes = fs::read(&path).map_err(io_error("read", &path))?;
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if entry.version != VERSION || entry.machine != machine {
            return Err(unreadable("another version wrote it, or it was renamed".into()));
        }
        Ok(Some(Owned {
            entry,
            path,
            _lock: lock,
        }))
    }

    /// The file of the lock stays: if it were removed, two could hold one of the same name.
    fn lock(&self, machine: &MachineName) -> Result<File, JournalError> {
        let path = self.folder.join(format!("{machine}.lock"));
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = file.map_err(io_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse(machine.clone())),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
        }
    }
}

impl Owned {
    /// Notes how far it has come, durably.
    pub(super) fn advance(&mut self, phase: Phase) -> Result<(), JournalError> {
        self.entry.phase = phase;
        self.write()
    }

    /// Forgets the point, which is undone.
    pub(super) fn finish(self) -> Result<(), JournalError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(io_error("remove", &self.path)),
        }
    }

    fn write(&self) -> Result<(), JournalError> {
        let bytes = serde_json::to_vec(&self.entry).expect("an entry is made of texts and numbers");
        let new = self.path.with_extension("new");
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&new);
        let mut file = file.map_err(io_error("make", &new))?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(io_error("write", &new))?;
        fs::rename(&new, &self.path).map_err(io_error("rename", &new))?;
        let folder = self.path.parent().expect("it is a file in a folder");
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(io_error("sync", folder))
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn entry(machine: &str) -> Entry {
        Entry {
            version: VERSION,
            point: PointId::new(Uuid::from_u128(1)),
            machine: machine.parse().unwrap(),
            qmp: "/q".into(),
            agent: None,
            folder: "/f".into(),
            was_running: true,
            disks: Vec::new(),
            phase: Phase::Preparing,
        }
    }

    #[test]
    fn what_is_looked_after_is_not_left() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        assert!(journal.left().unwrap().is_empty());
        let mut owned = journal.begin(entry("a")).unwrap();
        assert!(matches!(journal.begin(entry("a")), Err(JournalError::InUse(_))));
        assert!(journal.left().unwrap().is_empty());
        owned.advance(Phase::Freezing).unwrap();
        drop(owned);
        assert!(matches!(journal.begin(entry("a")), Err(JournalError::Left(_))));
        let left = journal.left().unwrap().pop().unwrap().unwrap();
        assert_eq!(left.entry.phase, Phase::Freezing);
        left.finish().unwrap();
        journal.begin(entry("a")).unwrap();
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_told_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path());
        drop(journal.begin(entry("a")).unwrap());
        let path = folder.path().join("a.json");
        for damaged in [&b""[..], b"{}", b"{\"version\": 2}"] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(
                journal.left().unwrap()[..],
                [Err(JournalError::Unreadable { .. })]
            ));
        }
        assert!(path.exists());
    }
}
