//! Records of the table: a head, and attributes one after the other.

use crate::bytes::{byte, le16, le32, part};
use crate::error::{Result, damaged};

/// Which attributes are of interest.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Type {
    StandardInformation = 0x10,
    List = 0x20,
    VolumeInformation = 0x70,
    Data = 0x80,
    IndexRoot = 0x90,
    IndexAllocation = 0xa0,
    Bitmap = 0xb0,
    Reparse = 0xc0,
}

/// Puts back the last two bytes of each 512, which are elsewhere so that a torn write is seen.
pub(super) fn fixed(mut bytes: Vec<u8>, magic: &[u8; 4]) -> Result<Vec<u8>> {
    let (at, count) = (usize::from(le16(&bytes, 4)), usize::from(le16(&bytes, 6)));
    if !bytes.starts_with(magic) || count != bytes.len() / 512 + 1 || at + count * 2 > bytes.len() {
        return damaged("a record that is none");
    }
    let mark = le16(&bytes, at);
    for sector in 1..count {
        let (end, kept) = (sector * 512 - 2, at + sector * 2);
        if le16(&bytes, end) != mark {
            return damaged("a record that was written by half");
        }
        bytes.copy_within(kept..kept + 2, end);
    }
    Ok(bytes)
}

/// An attribute with its head.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Attribute<'a> {
    pub(super) fn is(&self, kind: Type, name: &[u8]) -> bool {
        let length = usize::from(byte(self.bytes, 9)) * 2;
        le32(self.bytes, 0) == kind as u32 && part(self.bytes, usize::from(le16(self.bytes, 10)), length) == name
    }

    pub(super) fn is_resident(&self) -> bool {
        byte(self.bytes, 8) == 0
    }

    pub(super) fn resident(&self) -> &'a [u8] {
        part(
            self.bytes,
            usize::from(le16(self.bytes, 20)),
            le32(self.bytes, 16) as usize,
        )
    }

    pub(super) fn flags(&self) -> u16 {
        le16(self.bytes, 12)
    }
}

/// The attributes of a record.
pub(super) fn attributes(record: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    let mut at = usize::from(le16(record, 20));
    std::iter::from_fn(move || {
        let length = le32(record, at + 4) as usize;
        let whole = part(record, at, length);
        // Each is longer than its head, so this ends with the record.
        if le32(record, at) == u32::MAX || length < 24 || whole.len() < length {
            return None;
        }
        at += length;
        Some(Attribute { bytes: whole })
    })
}
