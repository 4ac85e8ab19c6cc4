//! The service's data folder: the only place of this crate that touches the file system.
//!
//! ```text
//! lock  address  admin-password  installation  strongroom.db
//! tls/{ca.pem,ca.key,server.pem,server.key,server.json}   secrets/{token,one-time-passwords}.key   objects/<region>/<vault>/
//! ```

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use strongroom_model::{Region, VaultId};
use strongroom_store::{Disk, StoreError};

/// The longest file of our own that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another `serve` has it.
    #[error(
        "the data folder {folder} is in use by another `strongroom serve`: stop that one, or name another folder with --data"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what we wrote.
    #[error("{path} is damaged: {why}. Restore it from a copy, or remove it to have a new one made")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// A data folder that this process uses: alone, or with other nodes of the same service.
#[derive(Debug)]
pub(crate) struct DataDir {
    root: PathBuf,
    /// Locked as long as it is open; the system unlocks it however the process ends.
    _lock: File,
}

/// How often a lock is tried that another node holds for a moment.
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// Who may use a data folder at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Nobody else: the database is a file in it.
    Alone,
    /// Other nodes, with the same PostgreSQL.
    WithNodes,
}

/// Held while a node prepares what all of them use, such as the authority: one at a time.
pub(crate) struct Preparing {
    _lock: File,
}

impl DataDir {
    /// Makes the folder, if need be, and takes possession of it.
    pub(crate) fn open(root: &Path, sharing: Sharing) -> Result<Self, DataDirError> {
        make_lasting(root)?;
        let root = root.canonicalize().map_err(io_error("find", root))?;
        let lock = lock(&root, sharing)?;
        for folder in ["tls", "secrets", "objects"] {
            make_private(&root.join(folder))?;
        }
        Ok(Self { root, _lock: lock })
    }

    /// Waits until no other node prepares anything in the folder.
    pub(crate) async fn prepare(&self) -> Result<Preparing, DataDirError> {
        let path = self.path("starting.lock");
        let file = open_lock(&path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Preparing { _lock: file }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_LOOK).await,
                Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
            }
        }
    }

    /// The full path of something in the folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The store of a vault's objects.
    pub(crate) fn open_objects(root: &Path, region: &Region, vault: VaultId) -> Result<Disk, StoreError> {
        Disk::open(root.join("objects").join(region.as_str()).join(vault.to_string()))
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The bytes of a file, or `None` when there is none.
    pub(crate) fn read(&self, relative: &str) -> Result<Option<Vec<u8>>, DataDirError> {
        let path = self.path(relative);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(io_error("read", &path))?;
        Ok(Some(bytes))
    }

    /// The text of a file, or `None` when there is none.
    pub(crate) fn read_text(&self, relative: &str) -> Result<Option<String>, DataDirError> {
        let Some(bytes) = self.read(relative)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).map_err(|_| self.damaged(relative, "it is not text"))?;
        Ok(Some(text))
    }

    /// Writes a file that only its owner may read; whole or not at all, and durable on return.
    pub(crate) fn write(&self, relative: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        let path = self.path(relative);
        let temporary = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary).map_err(io_error("create", &temporary))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(io_error("write", &temporary))?;
        std::fs::rename(&temporary, &path).map_err(io_error("rename", &temporary))?;
        let folder = path.parent().unwrap_or(&self.root);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(io_error("write", folder))
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, relative: &str) {
        // What remains of an ended service is only information; the next start writes it anew.
        let _ = std::fs::remove_file(self.path(relative));
    }

    /// Says that a file is not what we wrote.
    pub(crate) fn damaged(&self, relative: &str, why: impl ToString) -> DataDirError {
        DataDirError::Damaged {
            path: self.path(relative),
            why: why.to_string(),
        }
    }
}

fn open_lock(path: &Path) -> Result<File, DataDirError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(io_error("open", path))
}

fn lock(root: &Path, sharing: Sharing) -> Result<File, DataDirError> {
    let path = root.join("lock");
    let file = open_lock(&path)?;
    let locked = match sharing {
        Sharing::Alone => file.try_lock(),
        Sharing::WithNodes => file.try_lock_shared(),
    };
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataDirError::InUse {
            folder: root.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error)),
    }
}

fn make_private(folder: &Path) -> Result<(), DataDirError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(io_error("create the folder", folder))
}

/// Makes a folder and those above it that are missing, each durable before the next.
fn make_lasting(folder: &Path) -> Result<(), DataDirError> {
    let parent = match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => folder,
    };
    if !parent.exists() {
        make_lasting(parent)?;
    }
    make_private(folder)?;
    match File::open(parent).and_then(|parent| parent.sync_all()) {
        // A folder whose parent we may not read was there before us.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(io_error("write", parent)),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let first = DataDir::open(&folder, Sharing::Alone).unwrap();
        let refused = DataDir::open(&folder, Sharing::WithNodes).unwrap_err();
        assert!(matches!(refused, DataDirError::InUse { .. }), "{refused}");
        drop(first);
        let _one = DataDir::open(&folder, Sharing::WithNodes).unwrap();
        let _two = DataDir::open(&folder, Sharing::WithNodes).unwrap();
        DataDir::open(&folder, Sharing::Alone).unwrap_err();
    }

    #[test]
    fn files_are_private_and_replaced_whole() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataDir::open(&parent.path().join("data"), Sharing::Alone).unwrap();
        assert_eq!(folder.read("secrets/x").unwrap(), None);
        folder.write("secrets/x", b"one").unwrap();
        folder.write("secrets/x", b"two").unwrap();
        assert_eq!(folder.read_text("secrets/x").unwrap().as_deref(), Some("two"));
        let mode = |path: &str| std::fs::metadata(folder.path(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("secrets/x"), mode("secrets"), mode("")), (0o600, 0o700, 0o700));
        folder.remove("secrets/x");
        folder.remove("secrets/x");
        assert_eq!(folder.read("secrets/x").unwrap(), None);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join("file"), b"").unwrap();
        let refused = DataDir::open(&parent.path().join("file/data"), Sharing::Alone)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("file/data"), "{refused}");
    }
}
