//! What is in the target already, from a restore that was stopped or an earlier one.

use std::path::Path;
use std::sync::Arc;

use strongroom_format::entry::{BLOCK_BYTES, Extent, Fingerprint, Kind, Node};
use strongroom_seal::DataKeys;
use strongroom_sources::files::{self, OpenFile, Target};

use crate::keys::fingerprint;

/// What is in the place of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Free,
    /// The same, but perhaps for attributes.
    Alike,
    /// A file of the same size: its contents are worth a comparison.
    SameSize,
    /// A folder, and the entry is none.
    Folder,
    /// Something else.
    Other,
}

/// Looks at what the target has. It is never asked about an empty one.
pub struct Present {
    target: Option<Target>,
    keys: Arc<DataKeys>,
    buffer: Vec<u8>,
}

impl Present {
    /// Begins to look at a folder, unless there is nothing in it.
    pub fn look(folder: &Path, keys: Arc<DataKeys>) -> Self {
        let has_anything = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        let target = has_anything
            .then(|| Target::open(folder, files::RestoreOptions::default()).ok())
            .flatten();
        Self {
            target,
            keys,
            buffer: Vec::new(),
        }
    }

    /// There is no target.
    pub fn nothing(keys: Arc<DataKeys>) -> Self {
        Self {
            target: None,
            keys,
            buffer: Vec::new(),
        }
    }

    /// What is in the place of an entry.
    pub fn standing(&mut self, path: &[u8], node: &Node) -> Standing {
        let Some(target) = &mut self.target else {
            return Standing::Free;
        };
        // What cannot be looked at, the writer will say.
        let Ok(Some(there)) = target.existing(path) else {
            return Standing::Free;
        };
        let alike = match &node.kind {
            Kind::Directory if target.is_unfinished(&there) => return Standing::Free,
            Kind::File { size, .. } if there.kind == files::Kind::File && there.size == *size => {
                return Standing::SameSize;
            }
            Kind::File { .. } => false,
            Kind::Directory => there.kind.is_directory(),
            Kind::Symlink { target: leads_to } => target.has_symlink(path, leads_to).is_ok_and(|has| has),
            Kind::HardLink { target: other } => {
                matches!(target.existing(other), Ok(Some(other)) if other.is_same_inode(&there))
            }
            Kind::Fifo => there.kind == files::Kind::Fifo,
            Kind::Socket => there.kind == files::Kind::Socket,
            &Kind::CharDevice { major, minor } => there.kind == files::Kind::CharDevice { major, minor },
            &Kind::BlockDevice { major, minor } => there.kind == files::Kind::BlockDevice { major, minor },
        };
        match alike {
            true => Standing::Alike,
            false if there.kind.is_directory() => Standing::Folder,
            false => Standing::Other,
        }
    }

    /// Whether the file that is there, and has the right size, has these contents.
    pub fn is_right(&mut self, path: &[u8], extents: &[Extent]) -> bool {
        let Some(file) = self.target.as_mut().and_then(|target| target.open_existing(path).ok()) else {
            return false;
        };
        let mut offset = 0;
        extents.iter().all(|extent| {
            let start = offset;
            offset += extent.length();
            self.extent_is_right(&file, start, extent)
        })
    }

    fn extent_is_right(&mut self, file: &OpenFile, start: u64, extent: &Extent) -> bool {
        match extent {
            Extent::Hole { length } | Extent::Zero { length } => self.is_zero(file, start, *length),
            Extent::Piece {
                fingerprint, length, ..
            } => self.has(file, start, *length as usize, *fingerprint),
            Extent::Blocks {
                fingerprints, length, ..
            } => fingerprints.iter().enumerate().all(|(at, print)| {
                let from = at * BLOCK_BYTES;
                self.has(
                    file,
                    start + from as u64,
                    BLOCK_BYTES.min(*length as usize - from),
                    *print,
                )
            }),
        }
    }

    fn has(&mut self, file: &OpenFile, start: u64, length: usize, expected: Fingerprint) -> bool {
        self.buffer.resize(length, 0);
        let filled = file.fill_at(start, &mut self.buffer);
        filled.is_ok_and(|filled| filled == length) && fingerprint(&self.keys, &self.buffer) == expected
    }

    fn is_zero(&mut self, file: &OpenFile, start: u64, length: u64) -> bool {
        self.buffer.resize(1 << 20, 0);
        let (mut at, end) = (start, start + length);
        while at < end {
            let wanted = (end - at).min(self.buffer.len() as u64) as usize;
            let read = file.fill_at(at, &mut self.buffer[..wanted]);
            if read.is_err() || self.buffer[..wanted].iter().any(|&byte| byte != 0) {
                return false;
            }
            at += wanted as u64;
        }
        true
    }
}
