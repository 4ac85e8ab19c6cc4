//! Folders and files by path, whatever the kind of file system.

use std::sync::Arc;

use crate::error::{Result, VolumeError};
use crate::tree::{Facts, Kind, Node, Tree};
use crate::walk::Walk;

/// How many entries one page has at most.
pub const PAGE_ENTRIES_MAX: usize = 1000;
/// How deep folders are followed.
pub(crate) const DEPTH_MAX: usize = 256;

/// A file system that has been opened. Clones are cheap, and all read the same.
///
/// Paths are bytes, separated by `/`, from the file system's root. Names are as they stand on the disk: bytes on ext4 and
/// XFS, UTF-8 for what FAT and NTFS keep as UTF-16. They are compared byte by byte everywhere.
#[derive(Clone)]
pub struct FileSystem {
    tree: Arc<dyn Tree>,
}

/// One thing in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without a `/` or a zero byte in it, and never `.` or `..`.
    pub name: Vec<u8>,
    /// What the file system says of it, or why that cannot be read.
    pub facts: std::result::Result<Facts, String>,
    /// Of a link: where it points to, as it says. Nobody has looked what is there.
    pub target: Option<Vec<u8>>,
}

/// Where the next page of a folder begins. It holds for that folder of that file system only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(u64);

impl Cursor {
    /// As a number, to be given to somebody who comes back with it.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// A cursor from its number. A wrong one gives wrong names or an error, and no harm.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// Some entries of a folder, in the order of the disk.
#[derive(Debug)]
pub struct Page {
    /// At most [`PAGE_ENTRIES_MAX`]; may be none before the last page.
    pub entries: Vec<Entry>,
    /// Where to go on, unless this was the last page.
    pub next: Option<Cursor>,
}

impl FileSystem {
    pub(crate) fn new(tree: impl Tree + 'static) -> Self {
        Self { tree: Arc::new(tree) }
    }

    pub(crate) fn tree(&self) -> &dyn Tree {
        &*self.tree
    }

    /// What whoever reads this should know, such as that its journal has not been replayed.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        self.tree.remarks()
    }

    /// A page of a folder's entries, from the beginning or from where an earlier page ended.
    ///
    /// # Errors
    /// When there is no such folder, or it cannot be read. An entry that cannot be read is no error: it says so itself.
    pub fn entries(&self, path: &[u8], from: Option<Cursor>) -> Result<Page> {
        let folder = self.node(path)?;
        if !folder.is(Kind::Folder) {
            return Err(VolumeError::NotAFolder);
        }
        let names = self
            .tree
            .names(&folder, from.map_or(0, |cursor| cursor.0), PAGE_ENTRIES_MAX)?;
        Ok(Page {
            entries: names.names.into_iter().map(|(name, id)| self.entry(name, id)).collect(),
            next: names.next.map(Cursor),
        })
    }

    /// What is at a path. The root has no name.
    ///
    /// # Errors
    /// When there is nothing, when something above it is not a folder (a link, perhaps), or when it cannot be read.
    pub fn look(&self, path: &[u8]) -> Result<Entry> {
        let node = self.node(path)?;
        let name = path.rsplit(|byte| *byte == b'/').find(|name| !name.is_empty());
        Ok(self.entry(name.unwrap_or_default().to_vec(), node.id))
    }

    /// A file to read from.
    ///
    /// # Errors
    /// When there is none, or it is not a regular file.
    pub fn open(&self, path: &[u8]) -> Result<File> {
        self.file(self.node(path)?)
    }

    /// Everything below a folder, or the one file at a path, each folder before what is in it.
    ///
    /// # Errors
    /// When there is nothing at the path. What cannot be read below it comes out of the iterator.
    pub fn walk(&self, path: &[u8]) -> Result<Walk> {
        let entry = self.look(path)?;
        Walk::new(self.clone(), entry, self.node(path)?.id)
    }

    pub(crate) fn entry(&self, name: Vec<u8>, id: u64) -> Entry {
        let node = match self.tree.node(id) {
            Ok(node) => node,
            Err(error) => {
                return Entry {
                    name,
                    facts: Err(error.to_string()),
                    target: None,
                };
            }
        };
        if !node.is(Kind::Link) {
            return Entry {
                name,
                facts: Ok(node.facts),
                target: None,
            };
        }
        match self.tree.target(&node) {
            Ok(target) => Entry {
                name,
                facts: Ok(node.facts),
                target: Some(target),
            },
            Err(error) => Entry {
                name,
                facts: Err(error.to_string()),
                target: None,
            },
        }
    }

    pub(crate) fn open_id(&self, id: u64) -> Result<File> {
        self.file(self.tree.node(id)?)
    }

    fn file(&self, node: Node) -> Result<File> {
        if !node.is(Kind::File) {
            return Err(VolumeError::NotAFile);
        }
        Ok(File {
            tree: Arc::clone(&self.tree),
            node,
        })
    }

    fn node(&self, path: &[u8]) -> Result<Node> {
        let mut node = self.tree.node(self.tree.root())?;
        for (depth, name) in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
            .enumerate()
        {
            if depth >= DEPTH_MAX {
                return Err(VolumeError::NotFound);
            }
            if !node.is(Kind::Folder) {
                return Err(VolumeError::NotAFolder);
            }
            let id = self.tree.find(&node, name)?.ok_or(VolumeError::NotFound)?;
            node = self.tree.node(id)?;
        }
        Ok(node)
    }
}

/// A regular file that has been opened.
pub struct File {
    tree: Arc<dyn Tree>,
    node: Node,
}

impl File {
    /// What the file system says of it. The size is a claim: it may be far more than the disk has, by holes.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.node.facts
    }

    /// Reads from `offset` on, and says how many bytes: the whole buffer, except at the end. Holes are zeros.
    ///
    /// # Errors
    /// When the disk cannot be read, or says nonsense about this place.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let length = self.node.facts.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        if length > 0 {
            self.tree.read(&self.node, offset, &mut buffer[..length])?;
        }
        Ok(length)
    }
}
