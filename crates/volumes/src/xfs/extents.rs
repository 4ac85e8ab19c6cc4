//! Which blocks of the disk a file's contents lie in.

use crate::bytes::{be16, be32, be64, byte, part};
use crate::error::{Result, damaged};

use super::{BTREE, EXTENTS, MANY_EXTENTS, Xfs, data_fork, flags2};

/// Blocks one after the other, or a hole.
pub(super) struct Stretch {
    /// The first block; none for a hole.
    pub(super) start: Option<u64>,
    /// How many, at least one.
    pub(super) blocks: u64,
}

/// Trees are at most nine deep.
const DEPTH_MAX: u16 = 9;

/// What is at a block of a file.
pub(super) fn stretch(from: &Xfs, inode: &[u8], block: u64) -> Result<Stretch> {
    let fork = data_fork(inode);
    match byte(inode, 5) {
        EXTENTS => {
            let count = if flags2(inode) & MANY_EXTENTS != 0 {
                be64(inode, 24)
            } else {
                u64::from(be32(inode, 76))
            };
            let count = count.min(fork.len() as u64 / 16) as usize;
            Ok(among(part(fork, 0, count * 16), block, None))
        }
        BTREE => descend(from, fork, block),
        _ => damaged("how a file keeps its contents"),
    }
}

/// What extents say of a block; where there is none of them, a hole up to the next one, or to what comes after them.
fn among(extents: &[u8], block: u64, next: Option<u64>) -> Stretch {
    let count = extents.len() / 16;
    let first = |index: usize| (be64(extents, index * 16) >> 9) & ((1 << 54) - 1);
    let after = partition_point(count, |index| first(index) <= block);
    let next = if after < count { Some(first(after)) } else { next };
    if let Some(index) = after.checked_sub(1) {
        let (high, low) = (be64(extents, index * 16), be64(extents, index * 16 + 8));
        let (start, length) = ((high & 0x1ff) << 43 | low >> 21, low & 0x1f_ffff);
        let inside = block - first(index);
        if inside < length {
            // The highest bit says that they are reserved, and have not been written to.
            return Stretch {
                start: (high >> 63 == 0).then_some(start + inside),
                blocks: length - inside,
            };
        }
    }
    Stretch {
        start: None,
        blocks: next.map_or(u64::MAX, |next| next.saturating_sub(block).max(1)),
    }
}

/// From the root in the inode, whose pointers stand behind room for as many keys as it could have.
fn descend(from: &Xfs, fork: &[u8], block: u64) -> Result<Stretch> {
    let (mut level, count) = (be16(fork, 0), usize::from(be16(fork, 2)));
    let room = fork.len().saturating_sub(4) / 16;
    if level == 0 || level > DEPTH_MAX || count == 0 || count > room {
        return damaged("the extents of a file");
    }
    let mut next = None;
    let mut child = branch(part(fork, 4, usize::MAX), count, room, block, &mut next);
    let head = if from.long_heads { 72 } else { 24 };
    loop {
        level -= 1;
        let bytes = from.block(child)?;
        let count = usize::from(be16(&bytes, 6));
        let room = (bytes.len() - head) / 16;
        let magic: &[u8] = if from.long_heads { b"BMA3" } else { b"BMAP" };
        if !bytes.starts_with(magic) || be16(&bytes, 4) != level || count == 0 || count > room {
            return damaged("the extents of a file");
        }
        if level == 0 {
            return Ok(among(part(&bytes, head, count * 16), block, next));
        }
        child = branch(part(&bytes, head, usize::MAX), count, room, block, &mut next);
    }
}

fn branch(bytes: &[u8], count: usize, room: usize, block: u64, next: &mut Option<u64>) -> u64 {
    let key = |index: usize| be64(bytes, index * 8);
    let after = partition_point(count, |index| key(index) <= block);
    if after < count {
        *next = Some(key(after));
    }
    be64(bytes, room * 8 + after.saturating_sub(1) * 8)
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
