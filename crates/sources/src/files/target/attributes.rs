//! What an entry is given when its contents are there.

use super::{HANDLE, Shared, chmod_by_handle};
use crate::files::meta::{Kind, Meta};
use crate::files::xattrs::{ACL_ACCESS, ACL_DEFAULT, Subject, Xattrs, is_kept};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod, fchown, futimens, openat,
    utimensat,
};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::io;

/// The attributes that a restored entry gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The twelve bits of the mode. Symbolic links have none of their own.
    pub mode: u32,
    /// Owner, by number on this machine.
    pub uid: u32,
    /// Group, by number on this machine.
    pub gid: u32,
    /// Last change of the contents: seconds since 1970 (may be negative) and nanoseconds.
    pub mtime: (i64, u32),
    /// Extended attributes, all of them: others that an existing entry has are removed, but for
    /// labels that the system itself hands out (`security.*` other than capabilities).
    pub xattrs: Xattrs,
}

impl Attributes {
    /// Those of an entry that was found, together with its extended attributes.
    pub fn of(meta: &Meta, xattrs: Xattrs) -> Attributes {
        let Meta {
            mode, uid, gid, mtime, ..
        } = *meta;
        Attributes {
            mode,
            uid,
            gid,
            mtime,
            xattrs,
        }
    }
}

/// What is known of an entry before it is given its attributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// `None` if it is not known any more.
    pub(super) mode: Option<u32>,
    /// Whether it may have extended attributes, of an earlier life or inherited.
    pub(super) may_have_xattrs: bool,
}

impl Present {
    pub(super) fn of_existing(meta: &Meta) -> Present {
        Present {
            uid: meta.uid,
            gid: meta.gid,
            mode: Some(meta.mode),
            may_have_xattrs: true,
        }
    }
}

/// How an entry is reached.
#[derive(Clone, Copy)]
pub(super) enum Reach<'a> {
    /// It is open.
    Open(BorrowedFd<'a>),
    /// It cannot be opened (links, devices). `by_path` leads through the open directory.
    Named {
        directory: BorrowedFd<'a>,
        name: &'a [u8],
        by_path: &'a CStr,
    },
}

/// One giving of attributes. What cannot be given is a warning.
pub(super) struct Apply<'a> {
    pub(super) wanted: &'a Attributes,
    pub(super) kind: Kind,
    pub(super) path: &'a [u8],
}

impl Apply<'_> {
    /// In the order that leaves all of them standing: a change of owner takes away capabilities and
    /// setuid bits, an ACL changes the mode, and everything but the time is no change of contents.
    pub(super) fn to(&self, reach: Reach<'_>, mut present: Present, shared: &Shared) {
        self.give_owner(reach, &mut present, shared);
        self.give_xattrs(reach, &mut present, shared);
        self.give_mode(reach, &present, shared);
        self.warn(shared, "set the time of", reach.set_time(self.wanted.mtime));
    }

    fn give_owner(&self, reach: Reach<'_>, present: &mut Present, shared: &Shared) {
        let (uid, gid) = (self.wanted.uid, self.wanted.gid);
        if !shared.options.owners || (present.uid, present.gid) == (uid, gid) {
            return;
        }
        let result = reach.set_owner(Some(uid), gid);
        present.mode = None;
        if result.is_ok() {
            (present.uid, present.gid) = (uid, gid);
        } else if reach.set_owner(None, gid).is_ok() {
            // Giving a file to a group of one's own is allowed to everybody.
            present.gid = gid;
        }
        self.warn(shared, "set the owner of", result);
    }

    fn give_xattrs(&self, reach: Reach<'_>, present: &mut Present, shared: &Shared) {
        if self.wanted.xattrs.is_empty() && !present.may_have_xattrs {
            return;
        }
        self.let_owner_write(reach, present, shared);
        if present.may_have_xattrs {
            let removed = reach.remove_others(&self.wanted.xattrs);
            self.warn(shared, "remove extended attributes of", removed);
        }
        for (name, value) in &self.wanted.xattrs {
            self.warn(shared, "set an extended attribute of", reach.set_xattr(name, value));
        }
        // An ACL that came or went has changed the mode.
        present.mode = None;
    }

    /// Without being root, attributes of a read-only entry can be set only while it is writable.
    fn let_owner_write(&self, reach: Reach<'_>, present: &Present, shared: &Shared) {
        let writable = present.mode.is_some_and(|mode| mode & 0o600 == 0o600);
        if shared.uid != 0 && !writable && self.kind != Kind::Symlink {
            // If that fails, so will the attribute, and that is reported.
            let _ = reach.set_mode(self.wanted.mode & 0o777 | 0o600);
        }
    }

    fn give_mode(&self, reach: Reach<'_>, present: &Present, shared: &Shared) {
        if self.kind == Kind::Symlink {
            return;
        }
        let mode = self.mode_for(present);
        if mode != self.wanted.mode & 0o7777 {
            let source = io::Error::other("it does not belong to the same user and group any more");
            shared.warn("keep the setuid and setgid bits of", self.path, source);
        }
        if present.mode != Some(mode) {
            self.warn(shared, "set the mode of", reach.set_mode(mode));
        }
    }

    /// The mode without bits that would lend somebody else's rights.
    fn mode_for(&self, present: &Present) -> u32 {
        let mut mode = self.wanted.mode & 0o7777;
        if self.kind != Kind::Directory && present.uid != self.wanted.uid {
            mode &= !0o4000;
        }
        if self.kind != Kind::Directory && present.gid != self.wanted.gid {
            mode &= !0o2000;
        }
        mode
    }

    fn warn(&self, shared: &Shared, action: &'static str, result: Result<()>) {
        if let Err(error) = result {
            shared.warn(action, self.path, error.into());
        }
    }
}

impl Reach<'_> {
    fn set_owner(&self, uid: Option<u32>, gid: u32) -> Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), Some(Gid::from_raw(gid)));
        match self {
            Reach::Open(fd) => fchown(fd, uid, gid),
            Reach::Named { directory, name, .. } => chownat(directory, *name, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
        }
    }

    pub(super) fn set_mode(&self, mode: u32) -> Result<()> {
        match self {
            Reach::Open(fd) => fchmod(fd, Mode::from_raw_mode(mode)),
            Reach::Named { directory, name, .. } => {
                let flags = HANDLE.difference(OFlags::DIRECTORY);
                chmod_by_handle(&openat(directory, *name, flags, Mode::empty())?, mode)
            }
        }
    }

    /// Sets the time of last change; that of last access stays as it is.
    pub(super) fn set_time(&self, (seconds, nanoseconds): (i64, u32)) -> Result<()> {
        // Larger numbers have meanings of their own for the system.
        if nanoseconds >= 1_000_000_000 {
            return Err(Errno::INVAL);
        }
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: seconds,
                tv_nsec: nanoseconds.into(),
            },
        };
        match self {
            Reach::Open(fd) => futimens(fd, &times),
            Reach::Named { directory, name, .. } => utimensat(directory, *name, &times, AtFlags::SYMLINK_NOFOLLOW),
        }
    }

    fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<()> {
        // What a backup never keeps is not set either; a name with a NUL would be cut there.
        if !is_kept(name) || name.contains(&0) {
            return Err(Errno::INVAL);
        }
        self.subject().set(name, value)
    }

    fn remove_others(&self, wanted: &Xattrs) -> Result<()> {
        let subject = self.subject();
        for name in subject.kept_names()? {
            let is_wanted = wanted.iter().any(|(wanted, _)| wanted == name.as_bytes());
            if !is_wanted && !is_label(name.as_bytes()) {
                subject.remove(&name)?;
            }
        }
        Ok(())
    }

    fn subject(&self) -> Subject<'_, BorrowedFd<'_>> {
        match self {
            Reach::Open(fd) => Subject::Open(fd.as_fd()),
            Reach::Named { by_path, .. } => Subject::Path(by_path),
        }
    }
}

/// Attributes that security modules give to everything.
fn is_label(name: &[u8]) -> bool {
    name.starts_with(b"security.") && name != b"security.capability"
}

/// Whether what is made in a directory gets an ACL from it.
pub(super) fn has_default_acl(directory: BorrowedFd<'_>) -> bool {
    let mut value = [0_u8; 4];
    let got = rustix::fs::fgetxattr(directory, ACL_DEFAULT, &mut value);
    matches!(got, Ok(_) | Err(Errno::RANGE))
}

/// Takes away what a directory has just got from the one above it.
pub(super) fn remove_inherited_acls(directory: BorrowedFd<'_>) -> Result<()> {
    let subject: Subject<'_, BorrowedFd<'_>> = Subject::Open(directory);
    subject.remove(ACL_DEFAULT)?;
    subject.remove(ACL_ACCESS)
}
