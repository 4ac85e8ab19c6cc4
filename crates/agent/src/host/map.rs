//! Which stretches of a disk have to be read, from what QEMU tells of them.

use std::ops::Range;

use strongroom_nbd::{Allocation, Dirty, Extent};
use strongroom_sources::files::Segment;

/// Blocks of a disk are kept and compared in this size, so nothing smaller is told apart.
pub(super) const BLOCK_BYTES: u64 = 64 << 10;

/// What is known of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stretch {
    /// It has to be read.
    Data,
    /// It reads as zeros.
    Zero,
    /// It is as the earlier point has it.
    Kept,
}

/// The stretches of a disk, put together in order.
#[derive(Debug, Default)]
pub(super) struct DiskMap {
    stretches: Vec<(Stretch, u64)>,
    size: u64,
}

impl DiskMap {
    /// Adds what is known of a range that begins where the last one ended: all of it changed, or was never known.
    pub(super) fn changed(&mut self, allocation: &[Extent<Allocation>]) {
        for extent in allocation {
            let stretch = match extent.flags.zero {
                true => Stretch::Zero,
                false => Stretch::Data,
            };
            self.push(stretch, extent.length);
        }
    }

    /// Adds a range that is as the earlier point has it.
    pub(super) fn kept(&mut self, length: u64) {
        self.push(Stretch::Kept, length);
    }

    fn push(&mut self, stretch: Stretch, length: u64) {
        self.size += length;
        match self.stretches.last_mut() {
            Some((last, so_far)) if *last == stretch => *so_far += length,
            _ if length == 0 => {}
            _ => self.stretches.push((stretch, length)),
        }
    }

    /// How far it goes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The map as a backup reads it: what has to be read in whole blocks, and what is told of the rest in whole blocks
    /// only.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        let (mut offset, mut covered) = (0, 0);
        for (stretch, length) in &self.stretches {
            let range = offset..offset + length;
            offset = range.end;
            let wanted = match stretch {
                Stretch::Data => around(&range, self.size),
                Stretch::Zero | Stretch::Kept => within(&range, self.size),
            };
            // What is left between two such stretches is less than a block at each side, and is read.
            let wanted = wanted.start.max(covered)..wanted.end;
            if wanted.start >= wanted.end {
                continue;
            }
            data(&mut segments, covered..wanted.start);
            match stretch {
                Stretch::Data => data(&mut segments, wanted.clone()),
                Stretch::Zero => segments.push(Segment::Hole {
                    offset: wanted.start,
                    len: wanted.end - wanted.start,
                }),
                Stretch::Kept => segments.push(Segment::Kept {
                    offset: wanted.start,
                    len: wanted.end - wanted.start,
                }),
            }
            covered = wanted.end;
        }
        data(&mut segments, covered..self.size);
        segments
    }
}

/// The blocks that a range touches.
fn around(range: &Range<u64>, size: u64) -> Range<u64> {
    range.start / BLOCK_BYTES * BLOCK_BYTES..range.end.next_multiple_of(BLOCK_BYTES).min(size)
}

/// The blocks that lie in a range; the last of a disk may be short.
fn within(range: &Range<u64>, size: u64) -> Range<u64> {
    let end = match range.end == size {
        true => size,
        false => range.end / BLOCK_BYTES * BLOCK_BYTES,
    };
    range.start.next_multiple_of(BLOCK_BYTES)..end
}

/// Adds a range that has to be read, to the one before if that is one too.
fn data(segments: &mut Vec<Segment>, range: Range<u64>) {
    if range.is_empty() {
        return;
    }
    match segments.last_mut() {
        Some(Segment::Data { offset, len }) if *offset + *len == range.start => *len += range.end - range.start,
        _ => segments.push(Segment::Data {
            offset: range.start,
            len: range.end - range.start,
        }),
    }
}

/// The dirty stretches of a range that begins at `start`, and the others between them, in order.
pub(super) fn dirty_ranges(start: u64, dirty: &[Extent<Dirty>]) -> impl Iterator<Item = (bool, Range<u64>)> {
    let mut at = start;
    dirty.iter().map(move |extent| {
        let range = at..at + extent.length;
        at = range.end;
        (extent.flags.dirty, range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = BLOCK_BYTES;

    fn allocation(extents: &[(bool, u64)]) -> Vec<Extent<Allocation>> {
        let extent = |(zero, length): &(bool, u64)| Extent {
            length: *length,
            flags: Allocation {
                // Without the other flag this says nothing.
                hole: true,
                zero: *zero,
            },
        };
        extents.iter().map(extent).collect()
    }

    /// As text: kind, first and last block, in bytes where they are no whole ones.
    fn shown(map: &DiskMap) -> Vec<(char, u64, u64)> {
        let show = |segment: &Segment| match *segment {
            Segment::Data { offset, len } => ('d', offset, offset + len),
            Segment::Hole { offset, len } => ('z', offset, offset + len),
            Segment::Kept { offset, len } => ('k', offset, offset + len),
        };
        map.segments().iter().map(show).collect()
    }

    #[test]
    fn only_whole_blocks_are_left_unread() {
        let mut map = DiskMap::default();
        map.changed(&allocation(&[(true, 2 * BLOCK + 512), (false, 512), (true, 5 * BLOCK)]));
        map.kept(BLOCK + 1024);
        map.changed(&allocation(&[(true, 100)]));
        let size = map.size();
        assert_eq!(
            shown(&map),
            [
                ('z', 0, 2 * BLOCK),
                ('d', 2 * BLOCK, 3 * BLOCK),
                ('z', 3 * BLOCK, 7 * BLOCK),
                ('d', 7 * BLOCK, size),
            ]
        );
    }

    #[test]
    fn the_segments_cover_the_disk_without_gaps() {
        let mut numbers = 1_u64;
        let mut number = |below: u64| {
            numbers = numbers
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (numbers >> 33) % below
        };
        for _ in 0..2000 {
            let mut map = DiskMap::default();
            // What each byte needs: a stretch of data must be read.
            let mut needed = Vec::new();
            for _ in 0..number(9) {
                let length = 512 * (1 + number(500));
                match number(3) {
                    0 => map.kept(length),
                    kind => {
                        if kind == 1 {
                            needed.push(map.size()..map.size() + length);
                        }
                        map.changed(&allocation(&[(kind == 2, length)]));
                    }
                }
            }
            let mut at = 0;
            let segments = shown(&map);
            for (kind, start, end) in &segments {
                assert_eq!(*start, at);
                assert!(end > start && (*kind == 'd' || start % BLOCK == 0));
                at = *end;
            }
            assert_eq!(at, map.size());
            for range in needed {
                let read = segments.iter().filter(|(kind, ..)| *kind == 'd');
                let covered = read.map(|(_, start, end)| range.end.min(*end).saturating_sub(range.start.max(*start)));
                assert_eq!(covered.sum::<u64>(), range.end - range.start);
            }
        }
    }
}
