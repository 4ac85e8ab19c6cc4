//! What a reader of one kind of file system has to be able to do; everything else is the same for all ([`crate::FileSystem`]).

use crate::error::{Result, damaged};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, or what comes close to one: a junction of NTFS.
    Link,
    /// A device, a socket, a pipe.
    Special,
}

/// A moment in time, as seconds since 1970 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds after these, below a thousand million.
    pub nanoseconds: u32,
}

/// What a file system says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// Size of a file's contents in bytes, as it claims; of others zero.
    pub size: u64,
    /// When the contents were changed last.
    pub modified: Option<Moment>,
    /// The permissions, as twelve bits, where the file system has such.
    pub mode: Option<u32>,
    /// The owner's number.
    pub uid: Option<u32>,
    /// The group's number.
    pub gid: Option<u32>,
}

/// A file, folder or link: what it says of itself, and the raw bytes that say it.
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) facts: Facts,
    /// An inode, a file record or a directory entry; its reader knows which.
    pub(crate) raw: Vec<u8>,
}

impl Node {
    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.facts.kind == kind
    }
}

/// Some names of a folder, and where to go on.
#[derive(Default)]
pub(crate) struct Names {
    /// Name, and the id of what it names. `.` and `..` are left out by the reader.
    pub(crate) names: Vec<(Vec<u8>, u64)>,
    /// Where the next ones are; `None` after the last. It grows from call to call.
    pub(crate) next: Option<u64>,
}

impl Names {
    /// Keeps a name, unless it is one that no file can have: those would lead out of the folder they are restored into.
    pub(crate) fn push(&mut self, name: Vec<u8>, id: u64) {
        let odd = name.is_empty() || name == b"." || name == b".." || name.len() > NAME_MAX;
        if !odd && !name.contains(&b'/') && !name.contains(&0) {
            self.names.push((name, id));
        }
    }
}

/// The longest name in bytes: 255 letters of UTF-16 are at most three bytes each.
pub(crate) const NAME_MAX: usize = 765;
/// The longest target of a link, in bytes.
pub(crate) const TARGET_MAX: u64 = 64 << 10;
/// How many bytes of a folder's own contents are believed; 256 MiB are a million names of the longest kind.
pub(crate) const FOLDER_MAX: u64 = 256 << 20;
/// How many bytes of a folder one call of [`Tree::names`] looks at, so that it ends soon even where there are no names.
pub(crate) const FOLDER_STRETCH: u64 = 4 << 20;

pub(crate) trait Tree: Send + Sync {
    fn root(&self) -> u64;

    fn node(&self, id: u64) -> Result<Node>;

    /// Names of a folder from a place on (zero, or what an earlier call gave), about `room` of them, perhaps none.
    fn names(&self, folder: &Node, from: u64, room: usize) -> Result<Names>;

    /// Fills the buffer, which lies within the size of the file, with its contents from `offset` on.
    fn read(&self, file: &Node, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Where a link points to, as it says.
    fn target(&self, link: &Node) -> Result<Vec<u8>>;

    /// What whoever reads this file system should know.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// The id behind a name.
    fn find(&self, folder: &Node, name: &[u8]) -> Result<Option<u64>> {
        let mut from = 0;
        loop {
            let names = self.names(folder, from, 1 << 12)?;
            if let Some((_, id)) = names.names.iter().find(|(found, _)| found == name) {
                return Ok(Some(*id));
            }
            match names.next {
                Some(next) if next > from => from = next,
                Some(_) => return damaged("a folder does not end"),
                None => return Ok(None),
            }
        }
    }
}

/// The kind that the upper bits of a Unix mode name.
pub(crate) fn kind_of(mode: u16) -> Kind {
    match mode >> 12 {
        0o10 => Kind::File,
        0o4 => Kind::Folder,
        0o12 => Kind::Link,
        _ => Kind::Special,
    }
}
