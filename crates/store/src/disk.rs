//! Objects as files in a folder.

mod files;
mod folders;
mod listing;
mod syncs;
mod temp;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::files::OpenFiles;
use self::folders::Folders;
use self::syncs::Syncs;
use self::temp::TempFolder;
use crate::error::READ;
use crate::key::folder_of_prefix;
use crate::{Key, Listed, Store, StoreError};

/// A [`Store`] in a folder of a local file system: the object `packs/aa/1` is the file `packs/aa/1`.
///
/// A put writes a file of its own in `<root>/tmp/`, syncs it, renames it into place and syncs the folder;
/// a folder that this `Disk` has not used before is first synced into its parent. Files are made with mode
/// 0600, folders with 0700. What is no regular file with the name of a key is not seen.
///
/// Once a sync has failed with anything but a full disk, nobody knows what the disk holds: this `Disk`
/// then refuses every further put and delete until it is opened anew, and goes on reading.
///
/// Several processes may have the same folder open. Each holds a shared lock on `<root>/tmp/.lock` while
/// it lives; one that opens the folder and is alone empties `tmp/` of what dead ones left.
#[derive(Clone, Debug)]
pub struct Disk {
    root: Arc<Root>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    /// Absent in a store that was opened for reading only.
    temp: Option<TempFolder>,
    folders: Folders,
    files: OpenFiles,
    syncs: Syncs,
}

impl Disk {
    /// Opens the store in the folder `root`, which is made if there is none, and removes leftovers of
    /// interrupted puts. Blocks for some milliseconds: there are syncs in it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Disk, StoreError> {
        let path = root.into();
        let syncs = Syncs::default();
        folders::make_root(&path, &syncs).map_err(|cause| cannot("make", &path, cause))?;
        let temp = TempFolder::open(&path).map_err(|cause| cannot("write to", &path, cause))?;
        Ok(Disk::new(path, Some(temp), syncs))
    }

    /// Opens the store in the folder `root` without changing anything in it: for a rescue from a read-only
    /// medium. Every put and delete fails.
    pub fn open_read_only(root: impl Into<PathBuf>) -> Result<Disk, StoreError> {
        let path = root.into();
        std::fs::read_dir(&path).map_err(|cause| cannot("read", &path, cause))?;
        Ok(Disk::new(path, None, Syncs::default()))
    }

    fn new(path: PathBuf, temp: Option<TempFolder>, syncs: Syncs) -> Disk {
        Disk {
            root: Arc::new(Root {
                path,
                temp,
                folders: Folders::default(),
                files: OpenFiles::default(),
                syncs,
            }),
        }
    }

    /// Does `work` where blocking is allowed: one hop per operation. Work that has begun is finished even
    /// if the future is dropped.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        let root = Arc::clone(&self.root);
        match tokio::task::spawn_blocking(move || work(&root)).await {
            Ok(result) => result,
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(stopped) => Err(at("begin work on")(io::Error::other(stopped))),
            },
        }
    }
}

fn cannot(action: &'static str, root: &Path, cause: io::Error) -> StoreError {
    StoreError::Open {
        root: root.to_owned(),
        action,
        cause,
    }
}

/// A failure before it knows the key it belongs to.
#[derive(Debug)]
enum Failed {
    Io { action: &'static str, cause: io::Error },
    Range { range: Range<u64>, size: u64 },
}

fn at(action: &'static str) -> impl FnOnce(io::Error) -> Failed {
    move |cause| Failed::Io { action, cause }
}

impl Failed {
    fn of(self, key: &Key) -> StoreError {
        match self {
            Failed::Io { action, cause } => StoreError::from_io(key, action, cause),
            Failed::Range { range, size } => StoreError::Truncated {
                key: key.clone(),
                range,
                size,
            },
        }
    }
}

#[async_trait]
impl Store for Disk {
    async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let name = key.clone();
        let put = self.run(move |root| root.put(&name, &bytes));
        put.await.map_err(|failed| failed.of(key))
    }

    async fn get(&self, key: &Key) -> Result<Bytes, StoreError> {
        let name = key.clone();
        let get = self.run(move |root| {
            // Not through the open files: who reads whole objects seldom comes back to one.
            let (file, size) = files::open(&root.path_of(&name)).map_err(at(READ))?;
            files::read(&file, size, 0..size)
        });
        get.await.map_err(|failed| failed.of(key))
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, StoreError> {
        let name = key.clone();
        let get = self.run(move |root| {
            let (file, size) = root.file(&name)?;
            files::read(file.as_file(), size, range)
        });
        get.await.map_err(|failed| failed.of(key))
    }

    async fn get_ranges(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, StoreError> {
        let name = key.clone();
        let ranges = ranges.to_vec();
        let get = self.run(move |root| {
            let (file, size) = root.file(&name)?;
            let read = |range| files::read(file.as_file(), size, range);
            ranges.into_iter().map(read).collect()
        });
        get.await.map_err(|failed| failed.of(key))
    }

    async fn size(&self, key: &Key) -> Result<u64, StoreError> {
        let name = key.clone();
        let size = self.run(move |root| files::size(&root.path_of(&name)).map_err(at(READ)));
        size.await.map_err(|failed| failed.of(key))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let folder = folder_of_prefix(prefix).map_err(StoreError::Prefix)?;
        let folder = folder.to_owned();
        let list = self.run(move |root| listing::list(&root.path, &folder).map_err(at(READ)));
        list.await.map_err(|failed| match failed {
            Failed::Io { cause, .. } => StoreError::List {
                prefix: prefix.to_owned(),
                cause,
            },
            Failed::Range { .. } => unreachable!("a listing reads no range"),
        })
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let name = key.clone();
        let delete = self.run(move |root| root.delete(&name));
        delete.await.map_err(|failed| failed.of(key))
    }
}

impl Root {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), Failed> {
        let temp = self.writable().map_err(at("write"))?;
        let path = self.path_of(key);
        let folder = folder_of(&path);
        let file = temp.create().map_err(at("make a temporary file for"))?;
        file.write(bytes).map_err(at("write"))?;
        self.syncs.file(file.as_file()).map_err(at("sync"))?;
        (self.folders.ensure(&self.path, folder, &self.syncs)).map_err(at("make the folder of"))?;
        if let Err(cause) = file.rename(&path) {
            // Somebody may have removed an empty folder below us: the next put looks again.
            self.folders.forget();
            return Err(at("put into place")(cause));
        }
        self.files.forget(key);
        (self.syncs.folder(folder)).map_err(at("sync the folder of"))
    }

    fn delete(&self, key: &Key) -> Result<(), Failed> {
        self.writable().map_err(at("delete"))?;
        let path = self.path_of(key);
        self.files.forget(key);
        match std::fs::remove_file(&path) {
            Err(cause) if !is_absent(&cause) => return Err(at("delete")(cause)),
            _ => {}
        }
        // Even if it was gone: the one who removed it may have been killed before this sync.
        match self.syncs.folder(folder_of(&path)) {
            Err(cause) if !is_absent(&cause) => Err(at("sync the folder of")(cause)),
            _ => Ok(()),
        }
    }

    fn writable(&self) -> io::Result<&TempFolder> {
        self.syncs.check()?;
        let closed = || {
            let why = "the store was opened for reading only";
            io::Error::new(io::ErrorKind::ReadOnlyFilesystem, why)
        };
        self.temp.as_ref().ok_or_else(closed)
    }

    fn file(&self, key: &Key) -> Result<(Arc<files::OpenFile>, u64), Failed> {
        self.files.get(key, &self.path_of(key)).map_err(at(READ))
    }

    /// Stays inside the root by the rules of [`Key`].
    fn path_of(&self, key: &Key) -> PathBuf {
        self.path.join(key.as_str())
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().expect("the path of a key is below its root")
}

/// No such object: nothing there, a folder there, or a file where a folder of it would be.
fn is_absent(cause: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(cause.kind(), NotFound | NotADirectory | IsADirectory)
}
