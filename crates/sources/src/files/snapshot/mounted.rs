//! File systems that are mounted: again, out of sight; and where something lies in them.

use super::super::mounts::Mount;
use super::LISTABLE;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, openat, readlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Mounts the file system of this kind that lies there, with these options (with a value, if it has `=`): not anywhere in the
/// tree, and only for as long as something of it is open. Returns its root.
pub(super) fn mount_hidden(kind: &str, source: &Path, options: &[&str]) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", source)?;
    for option in options {
        match option.split_once('=') {
            Some((option, value)) => fsconfig_set_string(&context, option, value)?,
            None => fsconfig_set_flag(&context, *option)?,
        }
    }
    fsconfig_create(&context)?;
    let quietly = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_NOATIME;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, quietly)?;
    // That is but a name, and cannot be asked anything.
    openat(&mount, c".", LISTABLE, Mode::empty())
}

/// Where an open directory lies below the root of the file system that is mounted there.
pub(super) fn path_of(directory: impl AsFd, mount: &Mount) -> Result<CString, Errno> {
    let link = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
    let path = readlinkat(CWD, link, Vec::new())?;
    let path = Path::new(OsStr::from_bytes(path.as_bytes()));
    let below = path.strip_prefix(&mount.point).map_err(|_| Errno::XDEV)?;
    let inside = mount.root.join(below);
    CString::new(inside.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}
