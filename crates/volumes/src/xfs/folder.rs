//! The names in a folder: in its inode when they are few, and otherwise in blocks at the beginning of its contents.

use crate::bytes::{be16, be32, be64, byte, part};
use crate::error::{Result, damaged};
use crate::tree::{FOLDER_MAX, FOLDER_STRETCH, Names};

use super::{LOCAL, Xfs, data_fork, extents};

/// From here on, a folder's contents are what finds names by their hash; the names are before.
const NAMES_END: u64 = 32 << 30;
const UNUSED: u16 = 0xffff;

pub(super) fn names(from: &Xfs, inode: &[u8], place: u64, room: usize) -> Result<Names> {
    let mut found = Names::default();
    if byte(inode, 5) == LOCAL {
        short(from, data_fork(inode), &mut found)?;
        return Ok(found);
    }
    let size = from.folder_block_size;
    // Places in holes are passed over; what is believed is how much is there.
    let (mut at, mut looked) = (place, 0);
    while at < NAMES_END {
        let start = at - at % size;
        let stretch = extents::stretch(from, inode, start / from.block_size)?;
        if stretch.start.is_none() {
            let end = start.saturating_add(stretch.blocks.saturating_mul(from.block_size));
            at = end.checked_next_multiple_of(size).unwrap_or(NAMES_END);
            continue;
        }
        if start > FOLDER_MAX {
            return damaged("a folder larger than is believed");
        }
        if found.names.len() >= room || looked > FOLDER_STRETCH {
            found.next = Some(at);
            break;
        }
        let mut block = vec![0; size as usize];
        from.contents(inode, start, &mut block)?;
        let stopped = entries(from, &block, (at - start) as usize, room, &mut found)?;
        at = start + stopped as u64;
        looked += size;
    }
    Ok(found)
}

/// Names in the inode: a count, how many of them need wide numbers, the folder above.
fn short(from: &Xfs, fork: &[u8], found: &mut Names) -> Result<()> {
    let (count, wide) = (byte(fork, 0), byte(fork, 1) > 0);
    let number_length = if wide { 8 } else { 4 };
    let mut at = 2 + number_length;
    for _ in 0..count {
        let length = usize::from(byte(fork, at));
        let number = at + 3 + length + usize::from(from.types_in_names);
        if length == 0 || number + number_length > fork.len() {
            return damaged("the names in a folder");
        }
        let inode = if wide {
            be64(fork, number)
        } else {
            u64::from(be32(fork, number))
        };
        found.push(part(fork, at + 3, length).to_vec(), inode);
        at = number + number_length;
    }
    Ok(())
}

/// Collects the names of one block, and says where it stopped: at its end, or when there were enough.
fn entries(from: &Xfs, block: &[u8], at: usize, room: usize, found: &mut Names) -> Result<usize> {
    let (single, one_of_many): (&[u8], &[u8]) = if from.long_heads {
        (b"XDB3", b"XDD3")
    } else {
        (b"XD2B", b"XD2D")
    };
    let head = if from.long_heads { 64 } else { 16 };
    let end = if block.starts_with(single) {
        // What finds names by their hash stands at the end of the same block.
        let hashes = be32(block, block.len() - 8) as usize;
        hashes
            .checked_mul(8)
            .and_then(|length| (block.len() - 8).checked_sub(length))
    } else if block.starts_with(one_of_many) {
        Some(block.len())
    } else {
        None
    };
    let Some(end) = end else {
        return damaged("the names in a folder");
    };
    let mut at = at.max(head);
    while at + 8 <= end {
        if found.names.len() >= room {
            return Ok(at);
        }
        if be16(block, at) == UNUSED {
            let length = usize::from(be16(block, at + 2));
            if length < 8 || length % 8 != 0 {
                return damaged("the names in a folder");
            }
            at += length;
            continue;
        }
        let length = usize::from(byte(block, at + 8));
        let whole = (8 + 1 + length + usize::from(from.types_in_names) + 2).next_multiple_of(8);
        if length == 0 || at + whole > end {
            return damaged("the names in a folder");
        }
        found.push(part(block, at + 9, length).to_vec(), be64(block, at));
        at += whole;
    }
    Ok(block.len())
}
