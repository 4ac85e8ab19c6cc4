//! Reading the contents of files.

use super::found::Found;
use super::meta::Meta;
use super::shown::ShownPath;
use super::xattrs::{Subject, Xattrs};
use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Advice, Mode, OFlags, SeekFrom, fadvise, openat, seek};
use rustix::io::{Errno, pread, retry_on_intr};
use std::io;
use std::sync::OnceLock;

/// From this size on the kernel is told that the file is read from start to end.
const READ_AHEAD_BYTES: u64 = 1 << 20;

/// Something could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} /{}: {source}", ShownPath(path))]
pub struct ReadError {
    /// What was tried, a verb phrase such as `open`.
    pub action: &'static str,
    /// Path relative to `/`.
    pub path: Vec<u8>,
    /// What a caller may decide by.
    pub kind: ReadErrorKind,
    /// What the system said.
    pub source: io::Error,
}

/// Why something could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadErrorKind {
    /// It is no longer there.
    Vanished,
    /// Something else has taken its name since the walk saw it.
    Replaced,
    /// This process may not read it.
    Denied,
    /// Anything else, such as a broken disk.
    Failed,
}

impl ReadError {
    pub(super) fn new(action: &'static str, path: &[u8], error: Errno) -> ReadError {
        let kind = match error {
            Errno::NOENT | Errno::STALE => ReadErrorKind::Vanished,
            // A link or a socket where a file was.
            Errno::LOOP | Errno::NXIO | Errno::NOTDIR => ReadErrorKind::Replaced,
            Errno::ACCESS | Errno::PERM => ReadErrorKind::Denied,
            _ => ReadErrorKind::Failed,
        };
        ReadError {
            action,
            path: path.to_vec(),
            kind,
            source: error.into(),
        }
    }

    /// The number behind what the system said.
    pub(super) fn errno(&self) -> Errno {
        Errno::from_io_error(&self.source).unwrap_or(Errno::IO)
    }

    fn replaced(path: &[u8]) -> ReadError {
        let source = io::Error::other("something else has taken its place");
        ReadError {
            action: "open",
            path: path.to_vec(),
            kind: ReadErrorKind::Replaced,
            source,
        }
    }
}

/// A file (or directory) that is open for reading, with the facts at the moment of opening.
#[derive(Debug)]
pub struct OpenFile {
    fd: OwnedFd,
    path: Vec<u8>,
    meta: Meta,
    position: u64,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Bytes that are stored. They may be zeros.
    Data {
        /// Where it starts.
        offset: u64,
        /// How many bytes, never 0.
        len: u64,
    },
    /// Bytes that are not stored and read as zeros.
    Hole {
        /// Where it starts.
        offset: u64,
        /// How many bytes, never 0.
        len: u64,
    },
    /// Bytes that are as the recovery point has them with which the source compares itself. They can be read all the same.
    Kept {
        /// Where it starts.
        offset: u64,
        /// How many bytes, never 0.
        len: u64,
    },
}

/// Opens what a walk found. It is the very same inode, or this fails with `Replaced`.
///
/// Opening never blocks, never follows a link, and leaves the time of last access alone where the
/// system allows that (owner or root).
pub fn open(found: &Found) -> Result<OpenFile, ReadError> {
    let fd = open_unchecked(found)?;
    let file = OpenFile::with_facts(fd, found.path.clone())?;
    if !file.meta.is_same_inode(&found.meta) {
        return Err(ReadError::replaced(&found.path));
    }
    if file.meta.size >= READ_AHEAD_BYTES {
        // Advice only; some file systems know nothing of it.
        let _ = fadvise(&file.fd, 0, None, Advice::Sequential);
    }
    Ok(file)
}

/// A small file that was read whole.
#[derive(Debug)]
pub struct SmallFile {
    /// Still open, for its extended attributes; its facts are those *after* reading.
    pub file: OpenFile,
    /// Whether size and times are still those that the walk saw, so that the bytes read are one
    /// consistent state. If not, the caller reads again.
    pub unchanged: bool,
}

/// Appends the whole contents of a small file to `into`: open, one read, one look whether it
/// changed meanwhile. Not more than the size seen by the walk plus one byte is read, so a file that
/// grows cannot flood the caller; it is reported as changed.
pub fn read_small(found: &Found, into: &mut Vec<u8>) -> Result<SmallFile, ReadError> {
    let fd = open_unchecked(found)?;
    let length = read_up_to(&fd, found.meta.size, into).map_err(|error| ReadError::new("read", &found.path, error))?;
    let file = OpenFile::with_facts(fd, found.path.clone())?;
    if !file.meta.is_same_inode(&found.meta) {
        return Err(ReadError::replaced(&found.path));
    }
    let unchanged = length == found.meta.size && file.meta.unchanged_since(&found.meta);
    Ok(SmallFile { file, unchanged })
}

fn open_unchecked(found: &Found) -> Result<OwnedFd, ReadError> {
    open_entry(found.directory(), found.name(), found.meta.uid)
        .map_err(|error| ReadError::new("open", &found.path, error))
}

/// Opens an entry for reading: without following links, without waiting for the other end of a pipe.
pub(super) fn open_entry(directory: impl AsFd, name: &[u8], owner: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open_quietly(directory, name, flags, owner)
}

/// With `O_NOATIME` if this process may use that, as only the owner and root can.
pub(super) fn open_quietly(directory: impl AsFd, name: &[u8], flags: OFlags, owner: u32) -> Result<OwnedFd, Errno> {
    // Asked once: a later change of user costs a call more per file, as the first one is refused.
    static USER: OnceLock<u32> = OnceLock::new();
    let user = *USER.get_or_init(|| rustix::process::geteuid().as_raw());
    if user == 0 || user == owner {
        match openat(&directory, name, flags | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => {}
            result => return result,
        }
    }
    openat(directory, name, flags, Mode::empty())
}

/// Appends `size` bytes, or fewer if the file has become shorter, or some more if it has grown and
/// there happens to be room. Returns how many there were.
fn read_up_to(fd: &OwnedFd, size: u64, into: &mut Vec<u8>) -> Result<u64, Errno> {
    let start = into.len();
    into.reserve(usize::try_from(size).map_err(|_| Errno::FBIG)? + 1);
    loop {
        let offset = (into.len() - start) as u64;
        let fresh = retry_on_intr(|| pread(fd, spare_capacity(into), offset))?;
        let done = (into.len() - start) as u64;
        // With room for more, a read that ends right at the size has seen the end.
        if fresh == 0 || done >= size {
            return Ok(done);
        }
    }
}

impl OpenFile {
    pub(super) fn with_facts(fd: OwnedFd, path: Vec<u8>) -> Result<OpenFile, ReadError> {
        match Meta::of_open(&fd) {
            Ok(meta) => Ok(OpenFile {
                fd,
                path,
                meta,
                position: 0,
            }),
            Err(error) => Err(ReadError::new("stat", &path, error)),
        }
    }

    /// The facts at the moment of opening.
    pub fn stat(&self) -> Meta {
        self.meta
    }

    /// Path relative to `/` (or to the target's directory, if it was opened there).
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Reads on from where the last `read` ended. 0 means the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let length = self.read_at(self.position, buffer)?;
        self.position += length as u64;
        Ok(length)
    }

    /// Reads at a place, at most as much as the buffer holds. 0 means the end (or an empty buffer).
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        retry_on_intr(|| pread(&self.fd, &mut *buffer, offset)).map_err(|e| self.failed("read", e))
    }

    /// Fills the buffer from a place, as far as the file goes. Returns how much there was.
    pub fn fill_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(offset + done as u64, &mut buffer[done..])? {
                0 => break,
                length => done += length,
            }
        }
        Ok(done)
    }

    /// Data and holes, in order, without gaps, from 0 to the size at opening. The file system is
    /// asked only if less is allocated than the file is long. Independent of `read`.
    ///
    /// In a file that has holes, ranges that were reserved and never written count as holes too:
    /// file systems do not tell them apart here.
    pub fn segments(&self) -> Segments<'_> {
        Segments {
            file: self,
            offset: 0,
            hole_known: None,
            ask: self.meta.may_have_holes(),
        }
    }

    /// Whether size and times are still those of `earlier`, and the inode too. Asks the system.
    pub fn unchanged_since(&self, earlier: &Meta) -> Result<bool, ReadError> {
        let now = Meta::of_open(&self.fd).map_err(|error| self.failed("stat", error))?;
        Ok(now.unchanged_since(earlier))
    }

    /// The extended attributes; cheaper than [`super::xattrs()`] as the file is open.
    pub fn xattrs(&self) -> Result<Xattrs, ReadError> {
        let read = Subject::Open(&self.fd).read_all();
        read.map_err(|error| self.failed("read extended attributes of", error))
    }

    fn failed(&self, action: &'static str, error: Errno) -> ReadError {
        ReadError::new(action, &self.path, error)
    }
}

/// Iterator over data and holes, see [`OpenFile::segments`].
#[derive(Debug)]
pub struct Segments<'a> {
    file: &'a OpenFile,
    offset: u64,
    /// Where the data starts that ends the hole at `offset`.
    hole_known: Option<u64>,
    ask: bool,
}

impl Iterator for Segments<'_> {
    type Item = Result<Segment, ReadError>;

    fn next(&mut self) -> Option<Result<Segment, ReadError>> {
        let (offset, size) = (self.offset, self.file.meta.size);
        if offset >= size {
            return None;
        }
        if !self.ask {
            self.offset = size;
            return Some(Ok(Segment::Data {
                offset,
                len: size - offset,
            }));
        }
        let segment = self.ask_for_next(offset, size);
        if segment.is_err() {
            self.offset = size;
        }
        Some(segment)
    }
}

impl Segments<'_> {
    fn ask_for_next(&mut self, offset: u64, size: u64) -> Result<Segment, ReadError> {
        let data = match self.hole_known.take() {
            Some(data) => data,
            None => self.seek_to(SeekFrom::Data(offset))?.unwrap_or(size).min(size),
        };
        if data > offset {
            self.offset = data;
            self.hole_known = (data < size).then_some(data);
            return Ok(Segment::Hole {
                offset,
                len: data - offset,
            });
        }
        // The file may be shortened while it is read; a segment is never empty all the same.
        let hole = self
            .seek_to(SeekFrom::Hole(offset))?
            .unwrap_or(size)
            .clamp(offset + 1, size);
        self.offset = hole;
        Ok(Segment::Data {
            offset,
            len: hole - offset,
        })
    }

    /// `None` is the end of the file. A file system that knows no holes says that all is data.
    fn seek_to(&self, what: SeekFrom) -> Result<Option<u64>, ReadError> {
        match seek(&self.file.fd, what) {
            Ok(offset) => Ok(Some(offset)),
            Err(Errno::NXIO) => Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => match what {
                SeekFrom::Data(offset) => Ok(Some(offset)),
                _ => Ok(None),
            },
            Err(error) => Err(self.file.failed("find holes in", error)),
        }
    }
}
