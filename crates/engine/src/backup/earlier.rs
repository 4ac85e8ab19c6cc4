//! What the last recovery point has of a file that is kept in blocks, for the stretches of which a source says that they are
//! still the same.

use std::ops::Range;

use strongroom_format::entry::{BLOCK_BYTES, Entry, Extent, Fingerprint};

use super::draft::content;
use crate::scratch::Placed;

/// The extents of an earlier state of a file, and where each begins.
#[derive(Debug, Default)]
pub struct Earlier {
    extents: Vec<(u64, Extent)>,
    size: u64,
}

/// A part of a stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// So many bytes that are not stored.
    Hole(u64),
    /// So many zeros.
    Zero(u64),
    /// One block.
    Block(Fingerprint, Placed),
    /// So many bytes of which there are no whole blocks.
    Unknown(u64),
}

impl Part {
    /// In bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Hole(length) | Self::Zero(length) | Self::Unknown(length) => *length,
            Self::Block(_, place) => u64::from(place.length),
        }
    }
}

impl Earlier {
    /// What the records of the file say; nothing is known of one that has none.
    pub fn new(records: Option<Vec<Entry>>) -> Self {
        let mut earlier = Self::default();
        for entry in records.iter().flatten() {
            for extent in content(&entry.record).into_iter().flat_map(|content| &content.extents) {
                earlier.extents.push((earlier.size, extent.clone()));
                earlier.size += extent.length();
            }
        }
        earlier
    }

    /// What it had in a range, in order and without gaps.
    pub fn parts(&self, range: Range<u64>) -> Parts<'_> {
        Parts {
            earlier: self,
            next: self
                .extents
                .partition_point(|(start, extent)| start + extent.length() <= range.start),
            range,
        }
    }
}

/// The parts of a range.
#[derive(Debug)]
pub struct Parts<'a> {
    earlier: &'a Earlier,
    /// The first extent that ends within what is left of the range, or after it.
    next: usize,
    range: Range<u64>,
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let Range { start, end } = self.range;
        if start >= end {
            return None;
        }
        let part = match self.earlier.extents.get(self.next) {
            None => Part::Unknown(end - start),
            Some((at, extent)) => part(extent, start - at, end - start),
        };
        self.range.start += part.length();
        while self
            .earlier
            .extents
            .get(self.next)
            .is_some_and(|(at, extent)| at + extent.length() <= self.range.start)
        {
            self.next += 1;
        }
        Some(part)
    }
}

/// What an extent has from `skipped` bytes on, `most` bytes at most.
fn part(extent: &Extent, skipped: u64, most: u64) -> Part {
    let left = (extent.length() - skipped).min(most);
    match extent {
        Extent::Hole { .. } => Part::Hole(left),
        Extent::Zero { .. } => Part::Zero(left),
        Extent::Piece { .. } => Part::Unknown(left),
        Extent::Blocks {
            fingerprints,
            chunk,
            offset,
            length,
        } => {
            let (block, within) = (skipped / BLOCK_BYTES as u64, skipped % BLOCK_BYTES as u64);
            let to_next = (BLOCK_BYTES as u64 - within).min(left);
            let from = block as u32 * BLOCK_BYTES as u32;
            let whole = (length - from).min(BLOCK_BYTES as u32);
            match fingerprints.get(block as usize) {
                // A shorter block is the last of its file, and so it can only be here too.
                Some(print) if within == 0 && to_next == u64::from(whole) => {
                    let place = Placed {
                        chunk: *chunk,
                        offset: offset + from,
                        length: whole,
                    };
                    Part::Block(*print, place)
                }
                _ => Part::Unknown(to_next),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_format::entry::{Chunk, Content, Record};
    use strongroom_model::BlobId;

    use super::*;

    const BLOCK: u64 = BLOCK_BYTES as u64;

    fn chunk() -> Chunk {
        Chunk {
            id: BlobId::from_bytes([1; 32]),
            length: 4 << 20,
        }
    }

    fn print(number: u8) -> Fingerprint {
        Fingerprint([number; 16])
    }

    /// A hole of one block, three blocks, zeros of half a block, and a piece.
    fn earlier() -> Earlier {
        let extents = vec![
            Extent::Hole { length: BLOCK },
            Extent::Blocks {
                fingerprints: vec![print(0), print(1), print(2)],
                chunk: chunk(),
                offset: 100,
                length: 3 * BLOCK as u32,
            },
            Extent::Zero { length: BLOCK / 2 },
            Extent::Piece {
                fingerprint: print(9),
                chunk: chunk(),
                offset: 0,
                length: 700,
            },
        ];
        let content = Content {
            extents,
            continues: false,
        };
        let entry = Entry {
            path: b"disk".to_vec(),
            record: Record::More(content),
        };
        Earlier::new(Some(vec![entry]))
    }

    fn block(number: u8) -> Part {
        let place = Placed {
            chunk: chunk(),
            offset: 100 + u32::from(number) * BLOCK as u32,
            length: BLOCK as u32,
        };
        Part::Block(print(number), place)
    }

    #[test]
    fn parts_cover_a_range_and_blocks_are_whole() {
        for (range, expected) in [
            (0..BLOCK, vec![Part::Hole(BLOCK)]),
            (BLOCK..4 * BLOCK, vec![block(0), block(1), block(2)]),
            (
                100..2 * BLOCK + 5,
                vec![Part::Hole(BLOCK - 100), block(0), Part::Unknown(5)],
            ),
            (BLOCK + 7..3 * BLOCK, vec![Part::Unknown(BLOCK - 7), block(1)]),
            (
                3 * BLOCK..5 * BLOCK,
                vec![
                    block(2),
                    Part::Zero(BLOCK / 2),
                    Part::Unknown(700),
                    Part::Unknown(BLOCK / 2 - 700),
                ],
            ),
            (9 * BLOCK..10 * BLOCK, vec![Part::Unknown(BLOCK)]),
            (5..5, vec![]),
        ] {
            let parts: Vec<Part> = earlier().parts(range.clone()).collect();
            assert_eq!(parts, expected, "{range:?}");
            assert_eq!(parts.iter().map(Part::length).sum::<u64>(), range.end - range.start);
        }
        let nothing: Vec<Part> = Earlier::default().parts(0..9).collect();
        assert_eq!(nothing, [Part::Unknown(9)]);
    }
}
