//! Writing entries back below one directory.
//!
//! # What cannot happen
//! Every name is looked up in an open directory, one component at a time and without following
//! links, and no component is `..`: so whatever paths and links a recovery point contains, nothing
//! outside the target is touched. Mount points below the target are crossed, as they are the user's.
//!
//! # What a stopped restore leaves behind
//! The time of last change is the last thing that a file gets. So a file that was cut off, by
//! `kill -9` too, has the time of the restore and not that of its source, and the next restore
//! knows it. A loss of power may also lose contents that were written, unless [`Target::sync`] came
//! back before. Directories are open to their owner alone until they are finished, and sticky, a mode
//! that nobody else has a use for: see [`Target::is_unfinished`].
//!
//! What takes the place of something else is made under a temporary name beside it and renamed: who
//! looks at the name sees the old one or the new one, whole. So it is with new names too if
//! [`RestoreOptions::beside`] says so.

mod attributes;
mod branch;
mod error;
mod folder;
mod path;
mod temporary;
mod writer;

pub use attributes::Attributes;
pub use error::{RestoreError, Warning};
pub use writer::FileWriter;

use super::meta::{Kind, Meta};
use super::reading::{OpenFile, open_entry};
use super::xattrs::path_below;
use attributes::{Apply, Present, Reach};
use branch::Branch;
use error::{AbsentIsNone, Attempt};
use folder::{Duty, Folder, OpenAs};
use path::EntryPath;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, StatVfsMountFlags, chmodat, fstatvfs, linkat, makedev, mkdirat, mknodat,
    open, readlinkat, symlinkat, syncfs, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use temporary::Temporary;

/// How to restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreOptions {
    /// Whether entries get the owner and group they had. Only root can give files away. Without it,
    /// setuid and setgid bits of what belonged to others are left out, with a warning.
    pub owners: bool,
    /// Whether entries get the ACLs they had. Without it what is made has those that its directory
    /// hands down, and what is there keeps its own.
    pub acls: bool,
    /// Whether something else that stands in the way is replaced. Directories never are.
    pub overwrite: bool,
    /// Whether everything but directories gets its name only when it is whole, also where nothing
    /// has that name yet.
    pub beside: bool,
}

impl Default for RestoreOptions {
    /// ACLs, and owners if this process is root; nothing is replaced.
    fn default() -> RestoreOptions {
        RestoreOptions {
            owners: geteuid().is_root(),
            acls: true,
            overwrite: false,
            beside: false,
        }
    }
}

/// What everything below one target shares.
#[derive(Debug)]
struct Shared {
    options: RestoreOptions,
    /// Bits that the system takes from the mode of everything this process makes.
    umask: u32,
    uid: u32,
    gid: u32,
    warnings: Mutex<Vec<Warning>>,
}

/// A directory to restore into. Entries come in path order, directories before their contents.
///
/// Out of order works too, only slower; a directory that was finished before keeps its times. A
/// directory for which no [`Target::make_dir`] came is made as a plain one when something lies in it.
#[derive(Debug)]
pub struct Target {
    shared: Arc<Shared>,
    branch: Branch,
}

impl Target {
    /// Opens a directory for restoring into, and makes it (and those above it) if need be. Its own
    /// attributes are not touched.
    pub fn open(directory: &Path, options: RestoreOptions) -> Result<Target, RestoreError> {
        let path = directory.as_os_str().as_bytes();
        let failed = |error| RestoreError::new("open the target directory", path, error);
        std::fs::create_dir_all(directory)
            .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open(directory, flags, Mode::empty()).map_err(failed)?;
        if fstatvfs(&fd)
            .map_err(failed)?
            .f_flag
            .contains(StatVfsMountFlags::RDONLY)
        {
            return Err(failed(Errno::ROFS));
        }
        let shared = Arc::new(Shared {
            options,
            umask: umask(),
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            warnings: Mutex::new(Vec::new()),
        });
        let base = Folder::base(fd, Arc::clone(&shared)).map_err(failed)?;
        Ok(Target {
            shared,
            branch: Branch::new(base),
        })
    }

    /// Makes a directory, or takes the one that is there. Its attributes are set when the order
    /// leaves it and the last file in it is finished.
    pub fn make_dir(&mut self, path: &[u8], wanted: &Attributes) -> Result<(), RestoreError> {
        let at = EntryPath::parse(path)?;
        let parent = self.branch.enter(at.parent())?;
        let is_new = self.make_one_dir(&parent, &at)?;
        let duty = Duty::Give {
            wanted: Box::new(wanted.clone()),
            may_have_xattrs: !is_new,
        };
        let open_as = if is_new {
            OpenAs::New(duty)
        } else {
            OpenAs::Existing(Some(duty))
        };
        self.branch.push(Folder::open(&parent, at.name(), path, open_as)?);
        Ok(())
    }

    /// Makes a symbolic link. One that is there and leads to the same is kept.
    pub fn make_symlink(&mut self, path: &[u8], leads_to: &[u8], wanted: &Attributes) -> Result<(), RestoreError> {
        let at = EntryPath::parse(path)?;
        let parent = self.branch.enter(at.parent())?;
        let make = |name: &[u8]| symlinkat(leads_to, parent.fd(), name);
        let same = |_: &Meta| readlinkat(parent.fd(), at.name(), Vec::new()).is_ok_and(|is| is.as_bytes() == leads_to);
        let finish = |name: &[u8], is_new| self.apply_by_name(&parent, &at, name, wanted, Kind::Symlink, is_new);
        self.make("make symbolic link", &parent, &at, make, same, finish)
    }

    /// Makes a named pipe, a socket's name or a device. Without the right to make a device, that is
    /// a warning and the entry is left out.
    ///
    /// # Panics
    /// If the kind is a file, a directory or a link: those have methods of their own.
    pub fn make_special(&mut self, path: &[u8], kind: Kind, wanted: &Attributes) -> Result<(), RestoreError> {
        let at = EntryPath::parse(path)?;
        let parent = self.branch.enter(at.parent())?;
        let (file_type, device) = match kind {
            Kind::Fifo => (FileType::Fifo, 0),
            Kind::Socket => (FileType::Socket, 0),
            Kind::CharDevice { major, minor } => (FileType::CharacterDevice, makedev(major, minor)),
            Kind::BlockDevice { major, minor } => (FileType::BlockDevice, makedev(major, minor)),
            Kind::File | Kind::Directory | Kind::Symlink => panic!("{kind:?} is not special"),
        };
        let mode = Mode::from_raw_mode(self.shared.mode_to_create(wanted));
        let make = |name: &[u8]| mknodat(parent.fd(), name, file_type, mode, device);
        let same = |there: &Meta| there.kind == kind;
        let finish = |name: &[u8], is_new| self.apply_by_name(&parent, &at, name, wanted, kind, is_new);
        match self.make("make special file", &parent, &at, make, same, finish) {
            Ok(()) => {}
            // Only root makes devices, and some file systems take no special files at all.
            Err(RestoreError::Denied { source, .. }) if is_perm(&source) => {
                self.shared.warn("make special file", path, source);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives an entry that was made before, and is finished, another name. Works for every kind but
    /// directories.
    pub fn make_hard_link(&mut self, path: &[u8], existing: &[u8]) -> Result<(), RestoreError> {
        let (at, from) = (EntryPath::parse(path)?, EntryPath::parse(existing)?);
        let parent = self.branch.enter(at.parent())?;
        let source = self.branch.find(from.parent())?;
        let link = |name: &[u8]| {
            let flags = AtFlags::empty();
            linkat(source.handle(), from.name(), parent.fd(), name, flags)
        };
        let same = |there: &Meta| Meta::of_entry(source.handle(), from.name()).is_ok_and(|m| m.is_same_inode(there));
        self.make("make hard link", &parent, &at, link, same, |_, _| ())
    }

    /// Starts a file of `size` bytes, all of them zeros that take no space until they are written.
    ///
    /// A new file gets its own name at once, unless [`RestoreOptions::beside`] is set. One that
    /// replaces another is written under a temporary name beside it, and takes its place when it is
    /// finished.
    pub fn begin_file(&mut self, path: &[u8], size: u64, wanted: &Attributes) -> Result<FileWriter, RestoreError> {
        let at = EntryPath::parse(path)?;
        let parent = self.branch.enter(at.parent())?;
        FileWriter::begin(parent, at.name(), path, size, wanted)
    }

    /// What lies at a path of the target, if anything. Links are not followed.
    pub fn existing(&mut self, path: &[u8]) -> Result<Option<Meta>, RestoreError> {
        let at = EntryPath::parse(path)?;
        let Some(parent) = self.branch.find(at.parent()).absent_is_none()? else {
            return Ok(None);
        };
        Meta::of_entry(parent.handle(), at.name())
            .attempt("look at", path)
            .absent_is_none()
    }

    /// Whether what lies at a path is a symbolic link that leads there.
    pub fn has_symlink(&mut self, path: &[u8], leads_to: &[u8]) -> Result<bool, RestoreError> {
        let at = EntryPath::parse(path)?;
        let parent = self.branch.find(at.parent())?;
        Ok(readlinkat(parent.handle(), at.name(), Vec::new()).is_ok_and(|there| there.as_bytes() == leads_to))
    }

    /// Whether this is a directory that a restore has begun and could not finish. It has not got its
    /// attributes yet.
    pub fn is_unfinished(&self, there: &Meta) -> bool {
        there.kind.is_directory() && there.mode == UNFINISHED && there.uid == self.shared.uid
    }

    /// Opens a file of the target for reading, to compare it with what would be restored.
    pub fn open_existing(&mut self, path: &[u8]) -> Result<OpenFile, RestoreError> {
        let at = EntryPath::parse(path)?;
        let parent = self.branch.find(at.parent())?;
        let fd = open_entry(parent.handle(), at.name(), self.shared.uid).attempt("open", path)?;
        OpenFile::with_facts(fd, path.to_vec()).map_err(|error| RestoreError::new("stat", path, error.errno()))
    }

    /// Takes over a file that is there with the right contents: gives it exactly these attributes.
    pub fn keep_file(&mut self, path: &[u8], wanted: &Attributes) -> Result<(), RestoreError> {
        let at = EntryPath::parse(path)?;
        let parent = self.branch.enter(at.parent())?;
        let fd = open_entry(parent.fd(), at.name(), self.shared.uid).attempt("open", path)?;
        let meta = Meta::of_open(&fd).attempt("stat", path)?;
        if meta.kind != Kind::File {
            return Err(RestoreError::Exists { path: path.to_vec() });
        }
        let present = Present::of_existing(&meta);
        Apply {
            wanted,
            kind: Kind::File,
            path,
        }
        .to(Reach::Open(fd.as_fd()), present, &self.shared);
        Ok(())
    }

    /// Leaves all directories, so that they get their attributes. Writers must be finished before.
    pub fn finish(&mut self) {
        self.branch.leave_all();
    }

    /// Waits until the file system of the target has everything on disk.
    pub fn sync(&self) -> Result<(), RestoreError> {
        syncfs(self.branch.base().fd()).attempt("write to disk", b".")
    }

    /// The warnings since the last call. They are collected without a bound: call it now and then.
    pub fn take_warnings(&self) -> Vec<Warning> {
        std::mem::take(&mut *self.shared.lock_warnings())
    }

    /// Makes a directory, unless one is there. Returns whether it is a new one.
    fn make_one_dir(&self, parent: &Folder, at: &EntryPath<'_>) -> Result<bool, RestoreError> {
        let make = || mkdirat(parent.fd(), at.name(), Mode::from_raw_mode(UNFINISHED));
        let action = "make directory";
        match make() {
            Err(Errno::EXIST) => {}
            result => return result.attempt(action, at.path()).map(|()| true),
        }
        let there = Meta::of_entry(parent.fd(), at.name()).attempt("look at", at.path())?;
        if there.kind.is_directory() {
            return Ok(false);
        }
        self.shared.may_replace(&there, at.path())?;
        // Nothing can be renamed over something of another kind.
        unlinkat(parent.fd(), at.name(), AtFlags::empty()).attempt("replace", at.path())?;
        make().attempt(action, at.path()).map(|()| true)
    }

    /// Makes an entry that is no directory with `make`, and gives it its attributes with `finish`, both by name. If
    /// something is there that is not the same, it is replaced if that is allowed.
    fn make(
        &self,
        action: &'static str,
        parent: &Folder,
        at: &EntryPath<'_>,
        make: impl Fn(&[u8]) -> Result<(), Errno>,
        is_same: impl Fn(&Meta) -> bool,
        finish: impl Fn(&[u8], bool),
    ) -> Result<(), RestoreError> {
        if !self.shared.options.beside {
            match make(at.name()) {
                Err(Errno::EXIST) => {}
                result => return result.attempt(action, at.path()).map(|()| finish(at.name(), true)),
            }
        }
        match Meta::of_entry(parent.fd(), at.name()) {
            Err(Errno::NOENT) => {}
            Err(error) => return Err(RestoreError::new("look at", at.path(), error)),
            Ok(there) if is_same(&there) => {
                finish(at.name(), false);
                return Ok(());
            }
            Ok(there) => self.shared.may_replace(&there, at.path())?,
        }
        let temporary = Temporary::beside(parent, at.name(), at.path())?;
        make(temporary.name()).attempt(action, at.path())?;
        finish(temporary.name(), true);
        temporary.rename(parent, at.name(), at.path())
    }

    /// Gives attributes to what is called `name` at present, and shall be called as `at` says.
    fn apply_by_name(
        &self,
        parent: &Folder,
        at: &EntryPath<'_>,
        name: &[u8],
        wanted: &Attributes,
        kind: Kind,
        is_new: bool,
    ) {
        let meta = match Meta::of_entry(parent.fd(), name) {
            Ok(meta) => meta,
            Err(error) => return self.shared.warn("look at", at.path(), error.into()),
        };
        let mut present = Present::of_existing(&meta);
        present.may_have_xattrs = !is_new || parent.inherits();
        let c_name = CString::new(name).expect("neither checked nor temporary names have a NUL");
        let by_path = path_below(parent.fd(), &c_name);
        let reach = Reach::Named {
            directory: parent.fd(),
            name,
            by_path: &by_path,
        };
        Apply {
            wanted,
            kind,
            path: at.path(),
        }
        .to(reach, present, &self.shared);
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.branch.leave_all();
    }
}

impl Shared {
    fn warn(&self, action: &'static str, path: &[u8], source: std::io::Error) {
        self.lock_warnings().push(Warning {
            action,
            path: path.to_vec(),
            source,
        });
    }

    /// A panic while a warning was added cannot have broken the list.
    fn lock_warnings(&self) -> std::sync::MutexGuard<'_, Vec<Warning>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is there may make room.
    fn may_replace(&self, there: &Meta, path: &[u8]) -> Result<(), RestoreError> {
        match there.kind.is_directory() {
            true => Err(RestoreError::Directory { path: path.to_vec() }),
            false if !self.options.overwrite => Err(RestoreError::Exists { path: path.to_vec() }),
            false => Ok(()),
        }
    }

    /// Whether an entry of ours is to be given to somebody else.
    fn gives_away(&self, wanted: &Attributes) -> bool {
        self.options.owners && (wanted.uid, wanted.gid) != (self.uid, self.gid)
    }

    /// Permissions to make an entry with: the final ones, but nothing for group and others as long
    /// as it does not belong to whom it shall, and no setuid, setgid or sticky bit yet.
    fn mode_to_create(&self, wanted: &Attributes) -> u32 {
        let bits = if self.gives_away(wanted) { 0o700 } else { 0o777 };
        // Extended attributes can be set only by who may write.
        let for_xattrs = if wanted.xattrs.is_empty() { 0 } else { 0o600 };
        (wanted.mode & bits) | for_xattrs
    }
}

/// The process's umask, which can be read without setting it only here. If it is not known, all bits
/// are taken as missing, and modes are set once more after the making of each entry.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok())
        .unwrap_or(0o777)
}

/// The mode of a directory that has not got its attributes yet.
const UNFINISHED: u32 = 0o1700;

/// Where directories are opened only to look names up in them.
const HANDLE: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Changes the mode of what a bare handle stands for, which `fchmod` refuses to do.
fn chmod_by_handle(handle: &OwnedFd, mode: u32) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())
}

fn is_perm(error: &std::io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::PERM)
}
