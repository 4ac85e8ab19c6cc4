//! What the system says about one entry.

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, makedev, statx};
use rustix::io::Errno;
use rustix::path::Arg;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket that is bound to a name. Only the name can be kept.
    Socket,
    /// A character device.
    CharDevice {
        /// Major device number.
        major: u32,
        /// Minor device number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major device number.
        major: u32,
        /// Minor device number.
        minor: u32,
    },
}

impl Kind {
    /// Whether it is a directory.
    pub fn is_directory(self) -> bool {
        self == Kind::Directory
    }
}

/// The facts of one entry, as `statx` tells them, without following a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// The twelve bits of the mode: permissions, setuid, setgid, sticky.
    pub mode: u32,
    /// Owner, by number.
    pub uid: u32,
    /// Group, by number.
    pub gid: u32,
    /// Last change of the contents: seconds since 1970 (may be negative) and nanoseconds.
    pub mtime: (i64, u32),
    /// Last change of contents or attributes, like `mtime`. Nobody can set it, so it tells of changes.
    pub ctime: (i64, u32),
    /// Length of a file in bytes; of a symbolic link, the length of its target.
    pub size: u64,
    /// The device that the file system lies on.
    pub dev: u64,
    /// Inode number, unique within `dev`.
    pub ino: u64,
    /// How many names the inode has.
    pub nlink: u32,
    /// Allocated space, in units of 512 bytes.
    pub blocks: u64,
}

impl Meta {
    /// Whether contents and attributes are the same as in `earlier`, as far as size and times tell.
    pub fn unchanged_since(&self, earlier: &Meta) -> bool {
        self.is_same_inode(earlier)
            && self.size == earlier.size
            && self.mtime == earlier.mtime
            && self.ctime == earlier.ctime
    }

    /// Whether both are the same entry of the same file system and of the same kind.
    pub fn is_same_inode(&self, other: &Meta) -> bool {
        (self.dev, self.ino, self.kind) == (other.dev, other.ino, other.kind)
    }

    /// Whether less is allocated than the file is long, so that it may have holes.
    pub fn may_have_holes(&self) -> bool {
        self.blocks.saturating_mul(512) < self.size
    }

    /// Of the entry `name` of an open directory. Neither follows a link nor triggers an automount.
    pub(crate) fn of_entry(directory: impl AsFd, name: impl Arg) -> Result<Meta, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        statx(directory, name, flags, StatxFlags::BASIC_STATS).map(Meta::from)
    }

    /// Of something open.
    pub(crate) fn of_open(fd: impl AsFd) -> Result<Meta, Errno> {
        statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map(Meta::from)
    }
}

impl From<Statx> for Meta {
    fn from(stat: Statx) -> Meta {
        Meta {
            kind: kind_of(&stat),
            mode: u32::from(stat.stx_mode) & 0o7777,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            mtime: time_of(stat.stx_mtime),
            ctime: time_of(stat.stx_ctime),
            size: stat.stx_size,
            dev: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
            nlink: stat.stx_nlink,
            blocks: stat.stx_blocks,
        }
    }
}

fn kind_of(stat: &Statx) -> Kind {
    let (major, minor) = (stat.stx_rdev_major, stat.stx_rdev_minor);
    match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice { major, minor },
        FileType::BlockDevice => Kind::BlockDevice { major, minor },
        FileType::RegularFile | FileType::Unknown => Kind::File,
    }
}

fn time_of(time: StatxTimestamp) -> (i64, u32) {
    (time.tv_sec, time.tv_nsec)
}
