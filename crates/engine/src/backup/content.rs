//! The extents of one file, cut into records of bounded size.

use strongroom_format::entry::{BLOCK_BYTES, Chunk, Content, Entry, Extent, Fingerprint, Kind, Node, Record};

use super::draft::{Draft, UNSETTLED};
use crate::scratch::Known;
use crate::slot::Slot;

/// A record is closed when it has so many pieces, blocks, holes and zeros, and continued in the next one.
const RECORD_PARTS: usize = 512;

/// Collects the extents of one file.
#[derive(Debug)]
pub struct FileContent {
    path: Vec<u8>,
    /// Present until the first record is closed.
    node: Option<Box<Node>>,
    extents: Vec<Extent>,
    pending: Vec<(usize, Slot<Chunk>)>,
    /// Pieces, blocks, holes and zeros of the open record.
    parts: usize,
    /// Bytes of the file that have their extents.
    covered: u64,
    done: Vec<Draft>,
}

impl FileContent {
    /// Begins; `node` is a file without extents.
    pub fn new(path: Vec<u8>, node: Node) -> Self {
        let (extents, pending, done) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            path,
            node: Some(Box::new(node)),
            extents,
            pending,
            parts: 0,
            covered: 0,
            done,
        }
    }

    /// Bytes of the file that have their extents.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// A hole.
    pub fn hole(&mut self, length: u64) {
        self.covered += length;
        match self.extents.last_mut() {
            Some(Extent::Hole { length: last }) => *last += length,
            _ if length > 0 => {
                self.extents.push(Extent::Hole { length });
                self.count();
            }
            _ => {}
        }
    }

    /// Zeros that take space.
    pub fn zero(&mut self, length: u64) {
        self.covered += length;
        match self.extents.last_mut() {
            Some(Extent::Zero { length: last }) => *last += length,
            _ if length > 0 => {
                self.extents.push(Extent::Zero { length });
                self.count();
            }
            _ => {}
        }
    }

    /// A piece of contents that is known, or on its way.
    pub fn piece(&mut self, fingerprint: Fingerprint, length: u32, known: Known) {
        let (chunk, offset) = self.place(known);
        self.extents.push(Extent::Piece {
            fingerprint,
            chunk,
            offset,
            length,
        });
        self.covered += u64::from(length);
        self.count();
    }

    /// A block of a disk image. Blocks that lie together in one chunk become one extent.
    pub fn block(&mut self, fingerprint: Fingerprint, length: u32, known: Known) {
        self.covered += u64::from(length);
        if !self.extend_blocks(fingerprint, length, &known) {
            let (chunk, offset) = self.place(known);
            self.extents.push(Extent::Blocks {
                fingerprints: vec![fingerprint],
                chunk,
                offset,
                length,
            });
        }
        self.count();
    }

    /// Drafts of the records that are complete.
    pub fn take_done(&mut self) -> Vec<Draft> {
        std::mem::take(&mut self.done)
    }

    /// All remaining records.
    pub fn finish(mut self) -> Vec<Draft> {
        self.close(false);
        self.done
    }

    fn place(&mut self, known: Known) -> (Chunk, u32) {
        match known {
            Known::Before(placed) => (placed.chunk, placed.offset),
            Known::Now(slot, offset) => {
                self.pending.push((self.extents.len(), slot));
                (UNSETTLED, offset)
            }
        }
    }

    fn extend_blocks(&mut self, fingerprint: Fingerprint, added: u32, known: &Known) -> bool {
        let position = self.extents.len().wrapping_sub(1);
        let Some(Extent::Blocks {
            fingerprints,
            chunk,
            offset,
            length,
        }) = self.extents.last_mut()
        else {
            return false;
        };
        // Only whole blocks can be followed by others.
        if !(*length as usize).is_multiple_of(BLOCK_BYTES) {
            return false;
        }
        let follows = match known {
            Known::Before(placed) => placed.chunk == *chunk && placed.offset == *offset + *length,
            Known::Now(slot, at) => {
                *at == *offset + *length
                    && self
                        .pending
                        .last()
                        .is_some_and(|(last, pending)| *last == position && pending.is_same(slot))
            }
        };
        if follows {
            fingerprints.push(fingerprint);
            *length += added;
        }
        follows
    }

    fn count(&mut self) {
        self.parts += 1;
        if self.parts >= RECORD_PARTS {
            self.close(true);
        }
    }

    fn close(&mut self, continues: bool) {
        let content = Content {
            extents: std::mem::take(&mut self.extents),
            continues,
        };
        let record = match self.node.take() {
            None => Record::More(content),
            Some(mut node) => {
                let Kind::File { content: first, .. } = &mut node.kind else {
                    unreachable!("only files have contents")
                };
                *first = content;
                Record::Node(node)
            }
        };
        let entry = Entry {
            path: self.path.clone(),
            record,
        };
        self.done.push(Draft {
            entry,
            pending: std::mem::take(&mut self.pending),
        });
        self.parts = 0;
    }
}
