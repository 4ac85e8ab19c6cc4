//! Snapshots of subvolumes of btrfs. They lie at the top of their file system, and are read-only subvolumes themselves.

use super::super::mounts::{Mount, Mounts};
use super::{LISTABLE, btrfs};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, openat};
use rustix::io::Errno;
use std::ffi::CString;
use std::path::Path;

/// The subvolume that something open lies in.
#[derive(Debug)]
pub(super) struct Subvolume<'a> {
    device: &'a Path,
    /// The id of its file system.
    pub(super) file_system: [u8; 16],
    /// Its number in that.
    pub(super) id: u64,
    /// Whether nobody can write to it.
    pub(super) is_read_only: bool,
}

/// A snapshot that exists.
pub(super) struct Made {
    top: OwnedFd,
    name: CString,
}

impl Subvolume<'_> {
    /// That of a directory in a btrfs that is mounted there.
    pub(super) fn of<'a>(directory: &OwnedFd, mount: &'a Mount) -> Result<Subvolume<'a>, String> {
        let btrfs::Subvolume { id, is_read_only, .. } = btrfs::subvolume(directory).map_err(unknown)?;
        Ok(Subvolume {
            device: &mount.source,
            file_system: btrfs::file_system(directory).map_err(unknown)?,
            id,
            is_read_only,
        })
    }

    /// Whether a snapshot can be made, as far as can be said before.
    pub(super) fn check(&self) -> Result<(), String> {
        top(self.device).map(drop)
    }

    /// Makes one of what the directory lies in.
    pub(super) fn make(&self, directory: &OwnedFd, name: &str) -> Result<Made, String> {
        let (top, name) = (top(self.device)?, c_string(name));
        btrfs::make_snapshot(directory, &top, &name).map_err(impossible)?;
        Ok(Made { top, name })
    }
}

impl Made {
    /// Its root, and when it was made, by the clock that also gives files their times.
    pub(super) fn open(&self) -> Result<(OwnedFd, (i64, u32)), String> {
        let opened = openat(&self.top, &self.name, LISTABLE, Mode::empty());
        let opened = opened.and_then(|root| Ok((btrfs::subvolume(&root)?.made, root)));
        opened.map(|(moment, root)| (root, moment)).map_err(impossible)
    }

    /// Removes it, and waits until that lasts.
    pub(super) fn remove(&self) -> Result<(), String> {
        let removed = btrfs::remove_subvolume(&self.top, &self.name);
        removed.and_then(|()| btrfs::commit(&self.top)).map_err(impossible)
    }
}

/// Removes what has this name at the top of the file system, if it is a snapshot.
pub(super) fn remove(file_system: [u8; 16], name: &str, mounts: &Mounts) -> Result<(), String> {
    let device = mounts.of_type("btrfs").find_map(|mount| {
        let point = openat(CWD, &mount.point, LISTABLE, Mode::empty()).ok()?;
        let is_there = btrfs::file_system(&point).is_ok_and(|id| id == file_system);
        is_there.then_some(&mount.source)
    });
    let top = top(device.ok_or("its file system is not mounted")?)?;
    let name = c_string(name);
    match openat(&top, &name, LISTABLE, Mode::empty()).and_then(btrfs::subvolume) {
        Err(Errno::NOENT) => {}
        Ok(subvolume) if subvolume.is_read_only => btrfs::remove_subvolume(&top, &name).map_err(impossible)?,
        Ok(_) | Err(Errno::NOTDIR | Errno::LOOP | Errno::NOTTY) => return Ok(()),
        Err(error) => return Err(impossible(error)),
    }
    btrfs::commit(&top).map_err(impossible)
}

/// Where an inode lies below the root of its subvolume.
pub(super) fn path_of(directory: impl AsFd, inode: u64) -> Result<CString, Errno> {
    btrfs::path_in_subvolume(directory, inode)
}

fn c_string(name: &str) -> CString {
    CString::new(name).expect("names of snapshots have no NUL")
}

fn top(device: &Path) -> Result<OwnedFd, String> {
    btrfs::mount_top(device).map_err(impossible)
}

fn impossible(error: Errno) -> String {
    match error {
        Errno::PERM | Errno::ACCESS => {
            "a snapshot needs root, or the capabilities CAP_SYS_ADMIN, CAP_DAC_OVERRIDE and CAP_FOWNER".to_owned()
        }
        Errno::ROFS => "its file system is mounted read-only".to_owned(),
        error => format!("btrfs says: {}", std::io::Error::from(error)),
    }
}

/// Why nothing is known of a subvolume. Who may not even list a directory has but a name of it, which is good for no question.
fn unknown(error: Errno) -> String {
    match error {
        Errno::BADF => impossible(Errno::ACCESS),
        error => format!(
            "btrfs does not say which subvolume it is: {}",
            std::io::Error::from(error)
        ),
    }
}
