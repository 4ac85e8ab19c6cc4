//! What stat(2) says of a name.

use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType};
use strongroom_engine::browse::Name;
use strongroom_format::entry::{Kind, Time};

use crate::inode::Inode;

/// What `st_blocks` counts.
const BLOCK_BYTES: u64 = 512;
/// In what portions it is good to read.
const READ_BYTES: u32 = 128 << 10;
/// Folders say that nobody counts the folders in them, as those of btrfs do.
const FOLDER_LINKS: u32 = 1;

/// What kind of thing a name stands for. A hard link is to be followed before.
pub fn file_type(kind: &Kind) -> FileType {
    match kind {
        Kind::File { .. } | Kind::HardLink { .. } => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink { .. } => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::CharDevice { .. } => FileType::CharDevice,
        Kind::BlockDevice { .. } => FileType::BlockDevice,
    }
}

/// The attributes of a name that is no hard link; `allocated` are bytes, `links` is how many names it has.
pub fn of_name(inode: Inode, name: &Name, allocated: u64, links: u32) -> FileAttr {
    let node = name.node();
    let kind = file_type(&node.kind);
    let size = match &node.kind {
        Kind::Symlink { target } => target.len() as u64,
        _ => name.size(),
    };
    let mtime = moment(node.mtime);
    FileAttr {
        size,
        blocks: allocated.div_ceil(BLOCK_BYTES),
        mtime,
        // Nobody keeps when something was read last.
        atime: mtime,
        ctime: changed(node.ctime).unwrap_or(mtime),
        nlink: if kind == FileType::Directory {
            FOLDER_LINKS
        } else {
            links
        },
        perm: (node.mode & 0o7777) as u16,
        uid: node.owner.uid,
        gid: node.owner.gid,
        rdev: device(&node.kind),
        ..of_folder(inode, mtime, kind)
    }
}

/// A folder that no record tells of: the topmost one.
pub fn of_top(inode: Inode, created: SystemTime) -> FileAttr {
    FileAttr {
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        ..of_folder(inode, created, FileType::Directory)
    }
}

fn of_folder(inode: Inode, time: SystemTime, kind: FileType) -> FileAttr {
    FileAttr {
        ino: inode.number(),
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm: 0o755,
        nlink: FOLDER_LINKS,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: READ_BYTES,
        flags: 0,
    }
}

/// ctime 0 says only that the file is to be read again by the next backup.
fn changed(nanoseconds: i64) -> Option<SystemTime> {
    let time = Time {
        seconds: nanoseconds.div_euclid(1_000_000_000),
        nanoseconds: nanoseconds.rem_euclid(1_000_000_000) as u32,
    };
    (nanoseconds != 0).then(|| moment(time))
}

/// A moment that the system's clock cannot tell is shown as 1970.
fn moment(time: Time) -> SystemTime {
    let whole = Duration::from_secs(time.seconds.unsigned_abs());
    let second = match time.seconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(whole),
        false => SystemTime::UNIX_EPOCH.checked_add(whole),
    };
    let fraction = Duration::from_nanos(time.nanoseconds.into());
    let exact = second.and_then(|second| second.checked_add(fraction));
    exact.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A device's number as Linux packs it into 32 bits: `new_encode_dev` of include/linux/kdev_t.h. One that does not fit is
/// of no system, and shown as 0.
fn device(kind: &Kind) -> u32 {
    let (Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor }) = kind else {
        return 0;
    };
    match (*major, *minor) {
        (major @ 0..0x1000, minor @ 0..0x10_0000) => (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_packed_as_linux_does() {
        for (major, minor, packed) in [
            (1, 3, 0x103),
            (7, 200, 0x7c8),
            (511, 1_048_575, 0xfff1_ffff),
            (4096, 0, 0),
        ] {
            assert_eq!(device(&Kind::CharDevice { major, minor }), packed, "{major}:{minor}");
        }
        assert_eq!(device(&Kind::Fifo), 0);
    }

    #[test]
    fn no_moment_is_too_far_away_to_be_shown() {
        let at = |seconds, nanoseconds| moment(Time { seconds, nanoseconds });
        let before = SystemTime::UNIX_EPOCH - Duration::from_nanos(1);
        assert_eq!(at(-1, 999_999_999), before);
        assert_eq!(changed(-1), Some(before));
        assert_eq!(changed(0), None);
        for seconds in [i64::MIN, i64::MAX] {
            at(seconds, 999_999_999);
        }
    }
}
