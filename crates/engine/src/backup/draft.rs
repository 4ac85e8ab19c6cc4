//! Records whose chunks may still be in the making.

use strongroom_format::entry::{Chunk, Content, Entry, Extent, Kind, Record};
use strongroom_model::BlobId;

use crate::slot::Slot;

/// Stands where the chunk of an extent will be.
pub const UNSETTLED: Chunk = Chunk {
    id: BlobId::from_bytes([0; 32]),
    length: 0,
};

/// A record, and the slots that its unsettled extents wait for.
#[derive(Debug)]
pub struct Draft {
    /// The record, with [`UNSETTLED`] chunks.
    pub entry: Entry,
    /// Position of an extent in the record, and its chunk to be.
    pub pending: Vec<(usize, Slot<Chunk>)>,
}

impl Draft {
    /// A record that is complete.
    pub fn settled(entry: Entry) -> Self {
        Self {
            entry,
            pending: Vec::new(),
        }
    }

    /// How much memory it takes, in units of about a hundred bytes.
    pub fn weight(&self) -> usize {
        content(&self.entry.record).map_or(1, |content| {
            1 + content
                .extents
                .iter()
                .map(|extent| match extent {
                    Extent::Blocks { fingerprints, .. } => 1 + fingerprints.len() / 4,
                    _ => 1,
                })
                .sum::<usize>()
        })
    }

    /// The complete record. `None` if a chunk will never come, because the backup is ending.
    pub fn settle(mut self) -> Option<Entry> {
        for (position, slot) in std::mem::take(&mut self.pending) {
            let settled = *slot.wait()?;
            let content = content_mut(&mut self.entry.record).expect("only files have pending extents");
            match &mut content.extents[position] {
                Extent::Piece { chunk, .. } | Extent::Blocks { chunk, .. } => *chunk = settled,
                Extent::Hole { .. } | Extent::Zero { .. } => unreachable!("holes have no chunk"),
            }
        }
        Some(self.entry)
    }
}

/// The extents of a record, if it has any.
pub fn content(record: &Record) -> Option<&Content> {
    match record {
        Record::More(content) => Some(content),
        Record::Node(node) => match &node.kind {
            Kind::File { content, .. } => Some(content),
            _ => None,
        },
    }
}

fn content_mut(record: &mut Record) -> Option<&mut Content> {
    match record {
        Record::More(content) => Some(content),
        Record::Node(node) => match &mut node.kind {
            Kind::File { content, .. } => Some(content),
            _ => None,
        },
    }
}
