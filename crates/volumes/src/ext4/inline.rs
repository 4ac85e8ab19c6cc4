//! Contents so small that they stand in the inode itself: sixty bytes, and more behind them as an attribute.

use crate::bytes::{byte, le16, le32, part};

/// The attribute's kind and name: `system.data`.
const SYSTEM: u8 = 7;

fn rest(inode: &[u8]) -> &[u8] {
    let attributes = 128 + usize::from(le16(inode, 0x80));
    if le32(inode, attributes) != 0xea02_0000 {
        return &[];
    }
    let first = attributes + 4;
    let mut at = first;
    // Each is at least sixteen bytes long, so this ends with the inode.
    while at < inode.len() && le32(inode, at) != 0 {
        let name = usize::from(byte(inode, at));
        if byte(inode, at + 1) == SYSTEM && part(inode, at + 16, name) == b"data" {
            return part(
                inode,
                first + usize::from(le16(inode, at + 2)),
                le32(inode, at + 8) as usize,
            );
        }
        at += (16 + name + 3) & !3;
    }
    &[]
}

pub(super) fn contents(inode: &[u8]) -> Vec<u8> {
    [part(inode, 0x28, 60), rest(inode)].concat()
}

/// The two blocks of a folder's names; four bytes before them are the folder above.
pub(super) fn folder(inode: &[u8]) -> [&[u8]; 2] {
    [part(inode, 0x28 + 4, 56), rest(inode)]
}
