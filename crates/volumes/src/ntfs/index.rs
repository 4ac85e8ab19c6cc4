//! The names in a folder: in its record, and in blocks besides.

use crate::bytes::{byte, le16, le32, le64, part};
use crate::error::{Result, damaged};
use crate::tree::{FOLDER_MAX, FOLDER_STRETCH, Names};

use super::record::{Type, fixed};
use super::{Ntfs, stream, text};

/// The name of the index of names, as UTF-16.
const NAMES: &[u8] = b"$\0I\x003\x000\0";
/// Names for programs that know eight letters and three; each has a longer one beside it.
const DOS: u8 = 2;
/// A place in a folder is the number of a block, counted from one as zero is the record, and below it a place in it.
const PLACE_BITS: u32 = 20;

pub(super) fn names(ntfs: &Ntfs, record: &[u8], from: u64, room: usize) -> Result<Names> {
    let mut found = Names::default();
    let root = stream::stream(ntfs, record, Type::IndexRoot, NAMES)?.and_then(|root| root.resident());
    let Some(root) = root else {
        return damaged("a folder without names");
    };
    let (mut block, mut at) = (from >> PLACE_BITS, (from & ((1 << PLACE_BITS) - 1)) as usize);
    if block == 0 {
        if let Some(at) = entries(part(&root, 16, usize::MAX), at, room, &mut found)? {
            found.next = Some(at as u64);
            return Ok(found);
        }
        (block, at) = (1, 0);
    }
    let size = u64::from(le32(&root, 8));
    if !size.is_power_of_two() || !(512..=64 << 10).contains(&size) {
        return damaged("the size of a folder's blocks");
    }
    let Some(blocks) = stream::stream(ntfs, record, Type::IndexAllocation, NAMES)? else {
        return Ok(found);
    };
    let Some(used) = stream::stream(ntfs, record, Type::Bitmap, NAMES)? else {
        return damaged("a folder without its bitmap");
    };
    if blocks.size > FOLDER_MAX {
        return damaged("a folder larger than is believed");
    }
    let mut bits = vec![0; used.size.min(FOLDER_MAX / 512 / 8) as usize];
    stream::read(ntfs, &used, 0, &mut bits)?;
    let first = block;
    while block <= blocks.size / size {
        let index = (block - 1) as usize;
        if found.names.len() >= room || (block - first) * size > FOLDER_STRETCH {
            found.next = Some(block << PLACE_BITS);
            return Ok(found);
        }
        if byte(&bits, index / 8) >> (index % 8) & 1 == 1 {
            let mut bytes = vec![0; size as usize];
            stream::read(ntfs, &blocks, (block - 1) * size, &mut bytes)?;
            let bytes = fixed(bytes, b"INDX")?;
            if let Some(at) = entries(part(&bytes, 24, usize::MAX), at, room, &mut found)? {
                found.next = Some(block << PLACE_BITS | at as u64);
                return Ok(found);
            }
        }
        (block, at) = (block + 1, 0);
    }
    Ok(found)
}

/// Collects names from a head and what follows it, and says where it stopped if there were enough.
fn entries(bytes: &[u8], from: usize, room: usize, found: &mut Names) -> Result<Option<usize>> {
    let end = (le32(bytes, 4) as usize).min(bytes.len());
    let mut at = from.max(le32(bytes, 0) as usize);
    while at + 16 <= end {
        if found.names.len() >= room {
            return Ok(Some(at));
        }
        let length = usize::from(le16(bytes, at + 8));
        let is_last = le16(bytes, at + 12) & 2 != 0;
        if is_last {
            break;
        }
        if length < 16 || at + length > end {
            return damaged("the names in a folder");
        }
        let entry = part(bytes, at, length);
        if byte(entry, 16 + 65) != DOS {
            found.push(
                text(entry, 16 + 66, usize::from(byte(entry, 16 + 64)) * 2),
                le64(entry, 0),
            );
        }
        at += length;
    }
    Ok(None)
}
