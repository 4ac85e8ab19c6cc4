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

    /// The same without ACLs. The rights of the group are those that the ACL gave it: in the mode of an
    /// entry with an ACL stand those that anybody named in it may have at most.
    pub fn without_acls(mut self) -> Attributes {
        let access = self.xattrs.iter().find(|(name, _)| name == ACL_ACCESS.to_bytes());
        if let Some(group) = access.and_then(|(_, acl)| rights_of_group(acl)) {
            self.mode &= !0o070 | (group << 3);
        }
        self.xattrs.retain(|(name, _)| !is_acl(name));
        self
    }
}

/// What an ACL gives the group of the entry: read 4, write 2, execute 1. The form is that of
/// linux/posix_acl_xattr.h: a version of four bytes, then eight for each of the ACL's entries.
fn rights_of_group(acl: &[u8]) -> Option<u32> {
    const GROUP_OBJ: u16 = 0x04;
    let mut entries = acl.get(4..)?.chunks_exact(8);
    let number = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
    entries
        .find(|entry| number(&entry[..2]) == GROUP_OBJ)
        .map(|entry| u32::from(number(&entry[2..4]) & 7))
}

/// What is known of an entry before it is given its attributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// `None` if it is not known any more.
    pub(super) mode: Option<u32>,
    /// `None` if it is not known.
    pub(super) mtime: Option<(i64, u32)>,
    /// Whether it may have extended attributes, of an earlier life or inherited.
    pub(super) may_have_xattrs: bool,
}

impl Present {
    pub(super) fn of_existing(meta: &Meta) -> Present {
        Present {
            uid: meta.uid,
            gid: meta.gid,
            mode: Some(meta.mode),
            mtime: Some(meta.mtime),
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
    ///
    /// What has all of them already is not touched at all.
    pub(super) fn to(&self, reach: Reach<'_>, mut present: Present, shared: &Shared) {
        if self.is_done(reach, &present, shared) {
            return;
        }
        self.give_owner(reach, &mut present, shared);
        self.give_xattrs(reach, &mut present, shared);
        self.give_mode(reach, &present, shared);
        self.warn(shared, "set the time of", reach.set_time(self.wanted.mtime));
    }

    fn is_done(&self, reach: Reach<'_>, present: &Present, shared: &Shared) -> bool {
        let owner = (present.uid, present.gid) == (self.wanted.uid, self.wanted.gid);
        present.mtime == Some(self.wanted.mtime)
            && (owner || !shared.options.owners)
            && (self.kind == Kind::Symlink || present.mode == Some(self.mode_for(present)))
            && reach.has_exactly(&self.wanted.xattrs, shared.options.acls)
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
            let removed = reach.remove_others(&self.wanted.xattrs, shared.options.acls);
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

    fn remove_others(&self, wanted: &Xattrs, acls: bool) -> Result<()> {
        let subject = self.subject();
        for name in subject.kept_names()? {
            let is_wanted = wanted.iter().any(|(wanted, _)| wanted == name.as_bytes());
            if !is_wanted && !stays(name.as_bytes(), acls) {
                subject.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Whether it has these extended attributes, and no others that would be removed.
    fn has_exactly(&self, wanted: &Xattrs, acls: bool) -> bool {
        let Ok(mut there) = self.subject().read_all() else {
            return false;
        };
        let is_wanted = |name: &[u8]| wanted.iter().any(|(wanted, _)| wanted == name);
        there.retain(|(name, _)| is_wanted(name) || !stays(name, acls));
        there.len() == wanted.len() && there.iter().all(|attribute| wanted.contains(attribute))
    }

    fn subject(&self) -> Subject<'_, BorrowedFd<'_>> {
        match self {
            Reach::Open(fd) => Subject::Open(fd.as_fd()),
            Reach::Named { by_path, .. } => Subject::Path(by_path),
        }
    }
}

/// Attributes that are left alone when nothing is known of them.
fn stays(name: &[u8], acls: bool) -> bool {
    is_label(name) || !acls && is_acl(name)
}

fn is_acl(name: &[u8]) -> bool {
    name == ACL_ACCESS.to_bytes() || name == ACL_DEFAULT.to_bytes()
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

#[cfg(test)]
mod tests {
    use super::Attributes;

    /// An ACL of `user::rw-`, `user:1000:rwx`, `group::` with these rights, `mask::rwx`, `other::---`.
    fn acl(group: u16) -> Vec<u8> {
        let mut acl = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, id) in [
            (1_u16, 6_u16, u32::MAX),
            (2, 7, 1000),
            (4, group, u32::MAX),
            (16, 7, u32::MAX),
            (32, 0, u32::MAX),
        ] {
            acl.extend(tag.to_le_bytes());
            acl.extend(rights.to_le_bytes());
            acl.extend(id.to_le_bytes());
        }
        acl
    }

    #[test]
    fn without_its_acl_a_file_is_open_to_nobody_else() {
        let with = |mode, acl: Vec<u8>| Attributes {
            mode,
            xattrs: vec![
                (b"system.posix_acl_access".to_vec(), acl),
                (b"user.x".to_vec(), b"y".to_vec()),
            ],
            ..Attributes::default()
        };
        for (mode, acl, expected) in [
            (0o4670, acl(0), 0o4600),
            (0o670, acl(4), 0o640),
            (0o640, acl(6), 0o640),
            (0o670, b"cut off".to_vec(), 0o670),
        ] {
            let without = with(mode, acl).without_acls();
            assert_eq!(without.mode, expected, "{mode:o}");
            assert_eq!(without.xattrs, [(b"user.x".to_vec(), b"y".to_vec())]);
        }
    }
}
