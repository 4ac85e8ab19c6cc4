//! Which blocks of the disk a file's contents lie in: by extents, or by the lists of ext2.

use crate::bytes::{le16, le32, part};
use crate::error::{Result, damaged};

use super::{Ext4, INODE_EXTENTS, flags};

/// Blocks one after the other, or a hole.
pub(super) struct Stretch {
    /// The first block on the disk, checked to be there, as the others are; none for a hole.
    pub(super) start: Option<u64>,
    /// How many, at least one.
    pub(super) blocks: u64,
}

/// Trees of extents are five deep at most: that is enough for every file there can be.
const DEPTH_MAX: u16 = 5;
const MAGIC: u16 = 0xf30a;

/// What is at a block of a file.
pub(super) fn stretch(from: &Ext4, inode: &[u8], block: u64) -> Result<Stretch> {
    let found = if flags(inode) & INODE_EXTENTS != 0 {
        extent(from, part(inode, 0x28, 60), block)?
    } else {
        listed(from, part(inode, 0x28, 60), block)?
    };
    match found.start {
        Some(start) if start == 0 || start.checked_add(found.blocks).is_none_or(|end| end > from.blocks) => {
            damaged("a file with blocks beyond the end of the file system")
        }
        _ => Ok(found),
    }
}

/// How far a hole reaches that ends where the next extent begins, if there is one.
fn hole(block: u64, next: Option<u64>) -> Stretch {
    Stretch {
        start: None,
        blocks: next.map_or(u64::MAX, |next| next.saturating_sub(block).max(1)),
    }
}

fn extent(from: &Ext4, root: &[u8], block: u64) -> Result<Stretch> {
    let mut node = root.to_vec();
    let mut depth = le16(&node, 6);
    // Where the next branch begins: a hole at the end of this one reaches so far.
    let mut next = None;
    loop {
        let count = usize::from(le16(&node, 2));
        if le16(&node, 0) != MAGIC || le16(&node, 6) != depth || depth > DEPTH_MAX || 12 + count * 12 > node.len() {
            return damaged("the extents of a file");
        }
        let entry = |index: usize| part(&node, 12 + index * 12, 12);
        let first = |index: usize| u64::from(le32(entry(index), 0));
        // They are in order; if not, the answer is some entry, and no more than wrong.
        let after = partition_point(count, |index| first(index) <= block);
        if after < count {
            next = Some(first(after));
        }
        let Some(at) = after.checked_sub(1) else {
            return Ok(hole(block, next));
        };
        let found = entry(at);
        if depth == 0 {
            return Ok(leaf(found, block - first(at)).unwrap_or_else(|| hole(block, next)));
        }
        node = from.block(u64::from(le16(found, 8)) << 32 | u64::from(le32(found, 4)))?;
        depth -= 1;
    }
}

/// What an extent says of a block in it; nothing if it ends before.
fn leaf(extent: &[u8], inside: u64) -> Option<Stretch> {
    let length = u64::from(le16(extent, 4));
    // Longer ones are reserved, but have not been written to: they are zeros.
    let (length, written) = if length > 1 << 15 {
        (length - (1 << 15), false)
    } else {
        (length, true)
    };
    let start = u64::from(le16(extent, 6)) << 32 | u64::from(le32(extent, 8));
    let blocks = length.checked_sub(inside).filter(|blocks| *blocks > 0)?;
    Some(Stretch {
        start: written.then_some(start + inside),
        blocks,
    })
}

fn partition_point(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The lists of ext2: twelve blocks, then one of blocks, one of lists, one of lists of lists.
fn listed(from: &Ext4, places: &[u8], block: u64) -> Result<Stretch> {
    let per_block = from.block_size / 4;
    if block < 12 {
        return Ok(run(&places[..48.min(places.len())], block as usize));
    }
    let (mut inside, mut span) = (block - 12, 1);
    for level in 0..3 {
        // How many blocks one entry of this list stands for.
        let covered = span * per_block;
        if inside < covered {
            return descend(from, le32(places, 48 + level * 4), span, inside);
        }
        inside -= covered;
        span = covered;
    }
    damaged("a file longer than its list of blocks")
}

fn descend(from: &Ext4, list: u32, mut span: u64, mut inside: u64) -> Result<Stretch> {
    let per_block = from.block_size / 4;
    let mut list = u64::from(list);
    loop {
        if list == 0 {
            return Ok(Stretch {
                start: None,
                blocks: span * per_block - inside,
            });
        }
        let block = from.block(list)?;
        if span == 1 {
            return Ok(run(&block, inside as usize));
        }
        list = u64::from(le32(&block, (inside / span) as usize * 4));
        inside %= span;
        span /= per_block;
    }
}

/// How far the blocks of a list follow each other from one on.
fn run(list: &[u8], at: usize) -> Stretch {
    let first = le32(list, at * 4);
    let follows = |index: usize| {
        let expected = if first == 0 {
            Some(0)
        } else {
            first.checked_add((index - at) as u32)
        };
        expected == Some(le32(list, index * 4))
    };
    let end = (at..list.len() / 4).take_while(|index| follows(*index)).count();
    Stretch {
        start: (first != 0).then_some(u64::from(first)),
        blocks: (end as u64).max(1),
    }
}
