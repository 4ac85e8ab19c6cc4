//! What is asked of btrfs, as linux/btrfs.h has it.
//!
//! By ioctl and not by the `btrfs` tool: that one works by path, and the top of a file system, where the snapshots are kept,
//! has none in most systems. It is mounted where nobody sees it, and only a descriptor leads there.

use super::mounted::mount_hidden;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::ffi::{CStr, CString};
use std::path::Path;

/// `BTRFS_IOCTL_MAGIC`.
const GROUP: u8 = 0x94;
/// `BTRFS_FIRST_FREE_OBJECTID`: the inode of the root of each subvolume.
pub(super) const SUBVOLUME_ROOT: u64 = 256;
/// `BTRFS_EMPTY_SUBVOL_DIR_OBJECTID`: what a snapshot has in the place of a subvolume.
pub(super) const SUBVOLUME_STUB: u64 = 2;
/// `BTRFS_SUBVOL_RDONLY`, of what is to be made.
const MAKE_READ_ONLY: u64 = 1 << 1;
/// `BTRFS_ROOT_SUBVOL_RDONLY`, of what there is.
const IS_READ_ONLY: u64 = 1 << 0;

/// `struct btrfs_ioctl_vol_args_v2`.
#[repr(C)]
struct Names {
    fd: i64,
    transaction: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

/// `struct btrfs_ioctl_ino_lookup_args`.
#[repr(C)]
struct Lookup {
    tree: u64,
    inode: u64,
    path: [u8; 4080],
}

/// `struct btrfs_ioctl_fs_info_args`, as far as it matters.
#[repr(C)]
struct FileSystemInfo {
    highest_device: u64,
    devices: u64,
    id: [u8; 16],
    rest: [u8; 992],
}

/// `struct btrfs_ioctl_get_subvol_info_args`.
#[repr(C)]
struct SubvolumeInfo {
    id: u64,
    name: [u8; 256],
    parent: u64,
    directory: u64,
    generation: u64,
    flags: u64,
    uuids: [[u8; 16]; 3],
    transactions: [u64; 4],
    changed: Time,
    made: Time,
    sent: Time,
    received: Time,
    reserved: [u64; 8],
}

/// `struct btrfs_ioctl_timespec`.
#[repr(C)]
struct Time {
    seconds: u64,
    nanoseconds: u32,
}

const WAIT_SYNC: Opcode = opcode::write::<u64>(GROUP, 22);
const START_SYNC: Opcode = opcode::read::<u64>(GROUP, 24);
const SNAP_CREATE_V2: Opcode = opcode::write::<Names>(GROUP, 23);
const SNAP_DESTROY_V2: Opcode = opcode::write::<Names>(GROUP, 63);
const INO_LOOKUP: Opcode = opcode::read_write::<Lookup>(GROUP, 18);
const FS_INFO: Opcode = opcode::read::<FileSystemInfo>(GROUP, 31);
const GET_SUBVOL_INFO: Opcode = opcode::read::<SubvolumeInfo>(GROUP, 60);

// The numbers contain the sizes: a wrong one is another, unknown request.
const _: () = {
    assert!(size_of::<Names>() == 4096 && size_of::<Lookup>() == 4096);
    assert!(size_of::<FileSystemInfo>() == 1024 && size_of::<SubvolumeInfo>() == 504);
};

/// What is known of a subvolume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subvolume {
    /// Its number, which no other one of the file system ever gets.
    pub(super) id: u64,
    /// Whether nobody can write to it.
    pub(super) is_read_only: bool,
    /// When it was made, by the clock that also gives files their times.
    pub(super) made: (i64, u32),
}

/// Mounts the top of the file system on a device: not anywhere in the tree, and only for as long as it is open.
pub(super) fn mount_top(device: &Path) -> Result<OwnedFd> {
    mount_hidden("btrfs", device, &["subvolid=5"])
}

/// Makes a read-only snapshot of the subvolume that `of` lies in, as `name` in the directory `into`.
pub(super) fn make_snapshot(of: impl AsFd, into: impl AsFd, name: &CStr) -> Result<()> {
    let mut request = names(name)?;
    request.fd = i64::from(of.as_fd().as_raw_fd());
    request.flags = MAKE_READ_ONLY;
    ask::<SNAP_CREATE_V2, _>(into, &mut request)
}

/// Removes the subvolume `name` of a directory with all that is in it.
pub(super) fn remove_subvolume(from: impl AsFd, name: &CStr) -> Result<()> {
    ask::<SNAP_DESTROY_V2, _>(from, &mut names(name)?)
}

/// Waits until what was done so far lasts.
pub(super) fn commit(on: impl AsFd) -> Result<()> {
    let mut transaction = 0_u64;
    ask::<START_SYNC, _>(&on, &mut transaction)?;
    ask::<WAIT_SYNC, _>(&on, &mut transaction)
}

/// Where an inode lies below the root of its subvolume, which `fd` is in: components joined by `/`.
pub(super) fn path_in_subvolume(fd: impl AsFd, inode: u64) -> Result<CString> {
    if inode == SUBVOLUME_ROOT {
        return Ok(CString::default());
    }
    let mut lookup = Lookup {
        tree: 0,
        inode,
        path: [0; 4080],
    };
    ask::<INO_LOOKUP, _>(fd, &mut lookup)?;
    let path = CStr::from_bytes_until_nul(&lookup.path).map_err(|_| Errno::NAMETOOLONG)?;
    Ok(path.to_owned())
}

/// The id of the file system that `fd` is on.
pub(super) fn file_system(fd: impl AsFd) -> Result<[u8; 16]> {
    let mut info = FileSystemInfo {
        highest_device: 0,
        devices: 0,
        id: [0; 16],
        rest: [0; 992],
    };
    ask::<FS_INFO, _>(fd, &mut info)?;
    Ok(info.id)
}

/// What is known of the subvolume that `fd` lies in.
pub(super) fn subvolume(fd: impl AsFd) -> Result<Subvolume> {
    let time = || Time {
        seconds: 0,
        nanoseconds: 0,
    };
    let mut info = SubvolumeInfo {
        id: 0,
        name: [0; 256],
        parent: 0,
        directory: 0,
        generation: 0,
        flags: 0,
        uuids: [[0; 16]; 3],
        transactions: [0; 4],
        changed: time(),
        made: time(),
        sent: time(),
        received: time(),
        reserved: [0; 8],
    };
    ask::<GET_SUBVOL_INFO, _>(fd, &mut info)?;
    Ok(Subvolume {
        id: info.id,
        is_read_only: info.flags & IS_READ_ONLY != 0,
        made: (info.made.seconds as i64, info.made.nanoseconds),
    })
}

fn names(name: &CStr) -> Result<Names> {
    let mut names = Names {
        fd: 0,
        transaction: 0,
        flags: 0,
        unused: [0; 4],
        name: [0; 4040],
    };
    let bytes = name.to_bytes_with_nul();
    let room = names.name.get_mut(..bytes.len()).ok_or(Errno::NAMETOOLONG)?;
    room.copy_from_slice(bytes);
    Ok(names)
}

/// Asks the file system that `fd` is on.
fn ask<const OPCODE: Opcode, T: Request>(fd: impl AsFd, request: &mut T) -> Result<()> {
    // SAFETY: the opcodes of this file are made of the size of the structure that they go with, so the kernel reads and
    // writes no more than `T`, which is borrowed alone for the call. `Request` is plain numbers: any bytes are one. Another
    // file system than btrfs does not know these numbers, and answers ENOTTY.
    #[allow(unsafe_code)]
    unsafe {
        ioctl(fd, Updater::<OPCODE, T>::new(request))
    }
}

/// Structures of the kernel that are plain numbers.
trait Request {}
impl Request for u64 {}
impl Request for Names {}
impl Request for Lookup {}
impl Request for FileSystemInfo {}
impl Request for SubvolumeInfo {}

#[cfg(test)]
mod tests {
    use super::{file_system, names, path_in_subvolume, subvolume};
    use rustix::io::Errno;
    use std::ffi::CString;
    use std::fs::File;

    #[test]
    fn another_file_system_knows_none_of_it() {
        let proc = File::open("/proc/self").unwrap();
        assert_eq!(file_system(&proc), Err(Errno::NOTTY));
        assert_eq!(subvolume(&proc), Err(Errno::NOTTY));
        assert_eq!(path_in_subvolume(&proc, 300), Err(Errno::NOTTY));
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let name = |length| CString::new("x".repeat(length)).unwrap();
        assert!(names(&name(4039)).is_ok());
        assert!(names(&name(4040)).is_err());
    }
}
