//! Reading, and the files kept open for it.

use std::collections::VecDeque;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{Failed, at};
use crate::Key;
use crate::error::READ;

/// How many files stay open. A descriptor each; searched one by one, which at this length is cheaper than
/// anything cleverer.
const OPEN_FILES_MAX: usize = 64;

/// The files read last. A kept file is used only while its name still leads to it: one that was removed,
/// replaced or swapped behind our back, by an operator or an attacker, is opened anew.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    /// Least recently used first.
    files: Mutex<VecDeque<Arc<OpenFile>>>,
}

/// An object's file, kept open.
#[derive(Debug)]
pub(super) struct OpenFile {
    key: Key,
    file: File,
    identity: Identity,
}

/// Device and inode: which file a name leads to.
type Identity = (u64, u64);

impl OpenFile {
    pub(super) fn as_file(&self) -> &File {
        &self.file
    }
}

impl OpenFiles {
    /// The object's file and its size now.
    pub(super) fn get(&self, key: &Key, path: &Path) -> io::Result<(Arc<OpenFile>, u64)> {
        let now = fs::symlink_metadata(path)?;
        if let Some(kept) = self.find(key, identity(&now)) {
            return Ok((kept, now.len()));
        }
        let (file, meta) = open_regular(path)?;
        let identity = identity(&meta);
        let opened = Arc::new(OpenFile {
            key: key.clone(),
            file,
            identity,
        });
        self.keep(Arc::clone(&opened));
        Ok((opened, meta.len()))
    }

    /// Closes the object's file, so that the space of a deleted one is free at once.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().retain(|kept| kept.key != *key);
    }

    fn find(&self, key: &Key, identity: Identity) -> Option<Arc<OpenFile>> {
        let mut files = self.lock();
        let place = files.iter().rposition(|kept| kept.key == *key)?;
        let kept = files.remove(place)?;
        if kept.identity != identity {
            return None;
        }
        files.push_back(Arc::clone(&kept));
        Some(kept)
    }

    fn keep(&self, opened: Arc<OpenFile>) {
        let mut files = self.lock();
        if files.len() >= OPEN_FILES_MAX {
            files.pop_front();
        }
        files.push_back(opened);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<OpenFile>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino())
}

/// Opens an object's file; its size in bytes.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let (file, meta) = open_regular(path)?;
    Ok((file, meta.len()))
}

/// The size of an object's file in bytes.
pub(super) fn size(path: &Path) -> io::Result<u64> {
    Ok(regular(fs::symlink_metadata(path)?)?.len())
}

/// Neither follows a symbolic link nor waits for the other end of a fifo.
fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let mut options = OpenOptions::new();
    let file = match options.read(true).custom_flags(flags).open(path) {
        Err(cause) if Errno::from_io_error(&cause) == Some(Errno::LOOP) => {
            return Err(io::ErrorKind::NotFound.into());
        }
        opened => opened?,
    };
    let meta = regular(file.metadata()?)?;
    Ok((file, meta))
}

fn regular(meta: Metadata) -> io::Result<Metadata> {
    match meta.is_file() {
        true => Ok(meta),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The bytes `range` of a file of `size` bytes: one positional read, into memory that nobody zeroed first.
pub(super) fn read(file: &File, size: u64, range: Range<u64>) -> Result<Bytes, Failed> {
    if range.start > range.end || range.end > size {
        return Err(Failed::Range { range, size });
    }
    let length = (range.end - range.start) as usize;
    let mut bytes = Vec::new();
    (bytes.try_reserve_exact(length)).map_err(|_| at(READ)(io::ErrorKind::OutOfMemory.into()))?;
    while bytes.len() < length {
        let offset = range.start + bytes.len() as u64;
        let pread = || rustix::io::pread(file, spare_capacity(&mut bytes), offset);
        match rustix::io::retry_on_intr(pread).map_err(|errno| at(READ)(errno.into()))? {
            // Somebody cut the file short since we asked for its size.
            0 => return Err(Failed::Range { range, size: offset }),
            _ => continue,
        }
    }
    bytes.truncate(length);
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_cannot_be_is_an_error_and_no_abort() {
        let nothing = File::open("/dev/null").unwrap();
        let failed = read(&nothing, u64::MAX, 0..u64::MAX).unwrap_err();
        assert!(matches!(failed, Failed::Io { cause, .. } if cause.kind() == io::ErrorKind::OutOfMemory));
        // A file that was cut short after its size was asked for.
        let failed = read(&nothing, 10, 3..10).unwrap_err();
        assert!(matches!(failed, Failed::Range { size: 3, .. }));
    }
}
