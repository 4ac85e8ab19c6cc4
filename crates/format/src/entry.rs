//! One file, folder, link or device, as a recovery point records it.

use std::cmp::Ordering;
use std::sync::Arc;

use strongroom_model::BlobId;

pub use crate::rules::MalformedEntry;

/// Disk images and data files of databases are identified in blocks of this many bytes.
pub const BLOCK_BYTES: usize = 64 << 10;
/// No path and no link's target is longer.
pub const PATH_BYTES_MAX: usize = 1 << 20;
/// No name of a user, a group or an extended attribute is longer.
pub const NAME_BYTES_MAX: usize = 256;
/// No value of an extended attribute is longer.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// No chunk is longer when opened.
pub const CHUNK_PLAIN_BYTES_MAX: usize = 8 << 20;
/// Path, link target, owner and attributes of a record take no more together: see [`Node::check_facts`].
pub const NODE_BYTES_MAX: usize = 2 << 20;
/// No record takes more: see [`Entry::check`].
pub const RECORD_BYTES_MAX: usize = 3 << 20;

/// A keyed hash of plain contents, 128 bits: private to the key set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// A sealed blob with contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// BLAKE3 of its sealed bytes.
    pub id: BlobId,
    /// Bytes of its contents.
    pub length: u32,
}

/// A part of a file, in file order; together they are the file's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Nothing is allocated; it reads as zeros.
    Hole {
        /// Bytes.
        length: u64,
    },
    /// Zeros that take space.
    Zero {
        /// Bytes.
        length: u64,
    },
    /// Bytes of a chunk.
    Piece {
        /// Of the piece's contents.
        fingerprint: Fingerprint,
        /// The chunk.
        chunk: Chunk,
        /// Where in the chunk the piece begins.
        offset: u32,
        /// Bytes.
        length: u32,
    },
    /// Consecutive blocks of [`BLOCK_BYTES`] (the last one of a file may be shorter) that lie together in a chunk.
    Blocks {
        /// One for each block.
        fingerprints: Vec<Fingerprint>,
        /// The chunk.
        chunk: Chunk,
        /// Where in the chunk the first block begins.
        offset: u32,
        /// Bytes of all the blocks.
        length: u32,
    },
}

impl Extent {
    /// Bytes of the file that it stands for.
    pub fn length(&self) -> u64 {
        match self {
            Self::Hole { length } | Self::Zero { length } => *length,
            Self::Piece { length, .. } | Self::Blocks { length, .. } => u64::from(*length),
        }
    }

    /// The chunk that it needs, and how many bytes of it.
    pub fn chunk(&self) -> Option<(Chunk, u32)> {
        match self {
            Self::Hole { .. } | Self::Zero { .. } => None,
            Self::Piece { chunk, length, .. } | Self::Blocks { chunk, length, .. } => Some((*chunk, *length)),
        }
    }
}

/// Who owns something: numbers, and the names they had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Number of the user.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Name of the user; empty if it had none.
    pub user: Vec<u8>,
    /// Name of the group; empty if it had none.
    pub group: Vec<u8>,
}

/// A moment of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// An extended attribute: its name and value.
pub type Attribute = (Vec<u8>, Vec<u8>);

/// What something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file; if not all of its extents are here, [`Record::More`] follows.
    File {
        /// Bytes, holes included.
        size: u64,
        /// The first extents.
        content: Content,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Vec<u8>,
    },
    /// One more name of an entry before this one, which is no hard link itself.
    HardLink {
        /// The path of that entry.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A local socket.
    Socket,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// Extents of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// In file order.
    pub extents: Vec<Extent>,
    /// Whether a [`Record::More`] follows.
    pub continues: bool,
}

impl Content {
    /// Bytes of the file that these extents stand for; of sums that no file can have, the largest number.
    pub fn length(&self) -> u64 {
        let lengths = self.extents.iter().map(Extent::length);
        lengths.fold(0, u64::saturating_add)
    }
}

/// All that is recorded about one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// The twelve permission bits.
    pub mode: u32,
    /// Who owns it.
    pub owner: Arc<Owner>,
    /// When its contents changed last.
    pub mtime: Time,
    /// When anything about it changed last, nanoseconds since 1970: for change detection.
    pub ctime: i64,
    /// Its inode: for change detection.
    pub inode: u64,
    /// Its device: for change detection.
    pub device: u64,
    /// Extended attributes, ACLs among them, sorted by name.
    pub attributes: Vec<Attribute>,
}

/// One record of a leaf page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A name and what it stands for.
    Node(Box<Node>),
    /// More extents of the file before.
    More(Content),
}

/// A record with its place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Below "/", components joined by '/', any bytes but NUL.
    pub path: Vec<u8>,
    /// What is there.
    pub record: Record,
}

/// Compares paths as the tree orders them: component by component, so that a folder comes right before its contents.
pub fn compare_paths(left: &[u8], right: &[u8]) -> Ordering {
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let next = |path: &[u8]| {
        path.get(common)
            .map_or(0, |&byte| if byte == b'/' { 1 } else { u16::from(byte) + 2 })
    };
    next(left).cmp(&next(right))
}

/// Whether `path` can be an entry's: relative, without empty, "." or ".." components, without NUL.
pub fn is_plain_path(path: &[u8]) -> bool {
    path.len() <= PATH_BYTES_MAX
        && !path.contains(&0)
        && path
            .split(|&byte| byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_paths() {
        for good in ["a", "a/b", "...", "a/.b", ".a/b.", " "] {
            assert!(is_plain_path(good.as_bytes()), "{good}");
        }
        for bad in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\0b"] {
            assert!(!is_plain_path(bad.as_bytes()), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn paths_compare_by_component(left in "[ab.]{1,2}x(/[ab.]{1,2}x){0,2}", right in "[ab.]{1,2}x(/[ab.]{1,2}x){0,2}") {
            let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(compare_paths(left.as_bytes(), right.as_bytes()), parts(&left).cmp(&parts(&right)));
        }
    }
}
