//! One file being written.

use super::attributes::{Apply, Attributes, Present, Reach};
use super::error::{Attempt, RestoreError};
use super::folder::Folder;
use crate::files::meta::{Kind, Meta};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, fallocate, ftruncate, openat, renameat, unlinkat};
use rustix::io::{Errno, pwrite, retry_on_intr};
use std::sync::Arc;

const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A file of the target that is being written. It can be moved to another thread, and several can be
/// open at once; each holds its file and its directory open, so the caller bounds their number.
///
/// One that is dropped without [`FileWriter::finish`] takes its half-written file with it.
#[derive(Debug)]
pub struct FileWriter {
    fd: OwnedFd,
    folder: Arc<Folder>,
    path: Vec<u8>,
    name_start: usize,
    /// The name under which it is written, if it shall take the place of another file.
    temporary: Option<String>,
    present: Present,
    size: u64,
    /// Where the written part ends.
    end: u64,
    finished: bool,
}

impl FileWriter {
    pub(super) fn begin(
        folder: Arc<Folder>,
        name: &[u8],
        path: &[u8],
        size: u64,
        wanted: &Attributes,
    ) -> Result<FileWriter, RestoreError> {
        let mode = folder.shared().mode_to_create(wanted);
        let (fd, temporary) = match create(&folder, name, mode) {
            Err(Errno::EXIST) => create_beside(&folder, name, path, mode)?,
            result => (result.attempt("create", path)?, None),
        };
        let present = present(&folder, &fd, mode).attempt("stat", path)?;
        folder.begin_writer();
        let (path, name_start) = (path.to_vec(), path.len() - name.len());
        let (end, finished) = (0, false);
        Ok(FileWriter {
            fd,
            folder,
            path,
            name_start,
            temporary,
            present,
            size,
            end,
            finished,
        })
    }

    /// Path relative to the target.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Writes bytes at a place. Ranges may come in any order; what is never written is a hole.
    pub fn write_at(&mut self, mut offset: u64, mut bytes: &[u8]) -> Result<(), RestoreError> {
        while !bytes.is_empty() {
            let length = retry_on_intr(|| pwrite(&self.fd, bytes, offset))
                .and_then(|length| if length == 0 { Err(Errno::IO) } else { Ok(length) })
                .attempt("write", &self.path)?;
            bytes = &bytes[length..];
            offset += length as u64;
            self.end = self.end.max(offset);
        }
        Ok(())
    }

    /// Zeros that took space in the source and shall do so here, without being written. Where the
    /// file system cannot do that they become a hole, which reads the same.
    pub fn allocate_zero(&mut self, offset: u64, len: u64) -> Result<(), RestoreError> {
        if len == 0 {
            return Ok(());
        }
        match retry_on_intr(|| fallocate(&self.fd, FallocateFlags::empty(), offset, len)) {
            Ok(()) => self.end = self.end.max(offset + len),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(RestoreError::new("allocate", &self.path, error)),
        }
        Ok(())
    }

    /// Gives the file its size, its attributes, at last its time, and its name.
    pub fn finish(mut self, wanted: &Attributes) -> Result<(), RestoreError> {
        if self.end != self.size {
            ftruncate(&self.fd, self.size).attempt("set the size of", &self.path)?;
        }
        let apply = Apply {
            wanted,
            kind: Kind::File,
            path: &self.path,
        };
        apply.to(Reach::Open(self.fd.as_fd()), self.present, self.folder.shared());
        if let Some(temporary) = &self.temporary {
            let directory = self.folder.fd();
            renameat(directory, temporary, directory, self.name()).attempt("replace", &self.path)?;
        }
        self.finished = true;
        Ok(())
    }

    fn name(&self) -> &[u8] {
        &self.path[self.name_start..]
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if !self.finished {
            let name = self.temporary.as_ref().map_or(self.name(), String::as_bytes);
            // If it cannot be removed it stays, and its time tells that it is not whole.
            let _ = unlinkat(self.folder.fd(), name, AtFlags::empty());
        }
        self.folder.end_writer();
    }
}

fn create(folder: &Folder, name: &[u8], mode: u32) -> Result<OwnedFd, Errno> {
    openat(folder.fd(), name, NEW_FILE, Mode::from_raw_mode(mode))
}

/// For a name that is taken: a new file under a temporary one. A leftover of that name is from a
/// restore that was cut off at the very same file.
fn create_beside(
    folder: &Folder,
    name: &[u8],
    path: &[u8],
    mode: u32,
) -> Result<(OwnedFd, Option<String>), RestoreError> {
    let there = Meta::of_entry(folder.fd(), name).attempt("look at", path)?;
    if there.kind.is_directory() || !folder.shared().options.overwrite {
        return Err(RestoreError::Exists { path: path.to_vec() });
    }
    let temporary = temporary_name(name);
    if let Err(error) = unlinkat(folder.fd(), &temporary, AtFlags::empty())
        && error != Errno::NOENT
    {
        return Err(RestoreError::new("replace", path, error));
    }
    let fd = create(folder, temporary.as_bytes(), mode).attempt("create", path)?;
    Ok((fd, Some(temporary)))
}

/// The same for the same name, short whatever the name, and different for different names (FNV-1a).
fn temporary_name(name: &[u8]) -> String {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!(".strongroom-{hash:016x}.part")
}

/// What a file that was just made is known to be, without asking where that is possible.
fn present(folder: &Folder, fd: &OwnedFd, mode: u32) -> Result<Present, Errno> {
    if folder.inherits() {
        return Ok(Present::of_existing(&Meta::of_open(fd)?));
    }
    let shared = folder.shared();
    let (uid, gid, mode) = (shared.uid, shared.gid, Some(mode & !shared.umask));
    Ok(Present {
        uid,
        gid,
        mode,
        may_have_xattrs: false,
    })
}
