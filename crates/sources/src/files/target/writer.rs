//! One file being written.

use super::attributes::{Apply, Attributes, Present, Reach};
use super::error::{Attempt, RestoreError};
use super::folder::Folder;
use super::temporary::Temporary;
use crate::files::meta::{Kind, Meta};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, fallocate, ftruncate, openat, unlinkat};
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
    /// The name under which it is written, if not its own.
    temporary: Option<Temporary>,
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
        let (fd, temporary) = match folder.shared().options.beside {
            true => create_beside(&folder, name, path, mode)?,
            false => match create(&folder, name, mode) {
                Err(Errno::EXIST) => create_beside(&folder, name, path, mode)?,
                result => (result.attempt("create", path)?, None),
            },
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
            temporary.rename(&self.folder, self.name(), &self.path)?;
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
            let name = self.temporary.as_ref().map_or(self.name(), Temporary::name);
            // If it cannot be removed it stays, and its time tells that it is not whole.
            let _ = unlinkat(self.folder.fd(), name, AtFlags::empty());
        }
        self.folder.end_writer();
    }
}

fn create(folder: &Folder, name: &[u8], mode: u32) -> Result<OwnedFd, Errno> {
    openat(folder.fd(), name, NEW_FILE, Mode::from_raw_mode(mode))
}

/// A new file under a temporary name. What has its own name may have to make room.
fn create_beside(
    folder: &Folder,
    name: &[u8],
    path: &[u8],
    mode: u32,
) -> Result<(OwnedFd, Option<Temporary>), RestoreError> {
    match Meta::of_entry(folder.fd(), name) {
        Ok(there) => folder.shared().may_replace(&there, path)?,
        Err(Errno::NOENT) => {}
        Err(error) => return Err(RestoreError::new("look at", path, error)),
    }
    let temporary = Temporary::beside(folder, name, path)?;
    let fd = create(folder, temporary.name(), mode).attempt("create", path)?;
    Ok((fd, Some(temporary)))
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
        mtime: None,
        may_have_xattrs: false,
    })
}
