//! Compressed files: sixteen clusters become fewer, and the rest of them is a hole. The form is LZNT1, described in MS-XCA 2.5.

use crate::bytes::{byte, le16, part};
use crate::error::{Result, damaged};

use super::Ntfs;
use super::stream::{Stream, clusters};

/// The longest unit in bytes; Windows makes them of at most 64 KiB.
const UNIT_MAX: u64 = 1 << 20;
/// Every piece but the last of a unit becomes so many bytes.
const PIECE: usize = 4096;

pub(super) fn read(ntfs: &Ntfs, stream: &Stream, mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
    let unit = stream.unit.saturating_mul(ntfs.cluster_size);
    if stream.unit < 2 || unit > UNIT_MAX {
        return damaged("how a file is compressed");
    }
    while !buffer.is_empty() {
        let contents = one(ntfs, stream, offset / unit)?;
        let inside = part(&contents, (offset % unit) as usize, buffer.len());
        let (now, later) = buffer.split_at_mut(inside.len());
        now.copy_from_slice(inside);
        offset += inside.len() as u64;
        buffer = later;
    }
    Ok(())
}

/// The contents of a unit, always the whole length.
fn one(ntfs: &Ntfs, stream: &Stream, number: u64) -> Result<Vec<u8>> {
    let first = number.saturating_mul(stream.unit);
    let mut kept = 0;
    while kept < stream.unit {
        match stream.at(first.saturating_add(kept)) {
            (Some(_), count) => kept = kept.saturating_add(count).min(stream.unit),
            (None, _) => break,
        }
    }
    let length = (stream.unit * ntfs.cluster_size) as usize;
    let mut bytes = vec![0; (kept * ntfs.cluster_size) as usize];
    clusters(ntfs, stream, first.saturating_mul(ntfs.cluster_size), &mut bytes)?;
    if kept > 0 && kept < stream.unit {
        bytes = expand(&bytes, length)?;
    }
    bytes.resize(length, 0);
    Ok(bytes)
}

/// At most `length` bytes out of pieces, each of which is 4096 bytes or the last.
fn expand(bytes: &[u8], length: usize) -> Result<Vec<u8>> {
    let mut contents = Vec::with_capacity(length);
    let mut at = 0;
    while contents.len() < length && le16(bytes, at) != 0 {
        let head = le16(bytes, at);
        let piece = part(bytes, at + 2, usize::from(head & 0xfff) + 1);
        at += 2 + piece.len();
        let start = contents.len();
        if head & 0x8000 == 0 {
            contents.extend_from_slice(piece);
        } else {
            expand_piece(piece, &mut contents)?;
        }
        contents.resize(start + PIECE, 0);
    }
    contents.truncate(length);
    Ok(contents)
}

fn expand_piece(piece: &[u8], contents: &mut Vec<u8>) -> Result<()> {
    let start = contents.len();
    let mut at = 0;
    while at < piece.len() {
        let flags = byte(piece, at);
        at += 1;
        for bit in 0..8 {
            let done = contents.len() - start;
            if at >= piece.len() || done >= PIECE {
                return Ok(());
            }
            if flags >> bit & 1 == 0 {
                contents.push(byte(piece, at));
                at += 1;
                continue;
            }
            let pair = le16(piece, at);
            at += 2;
            // The further in, the more bits are needed to say how far back, and the fewer are left for how long.
            let back_bits = (4..12).find(|bits| done <= 1 << bits).unwrap_or(12);
            let back = usize::from(pair >> (16 - back_bits)) + 1;
            let length = usize::from(pair & (0xffff >> back_bits)) + 3;
            if back > done {
                return damaged("compressed contents");
            }
            for _ in 0..length.min(PIECE - done) {
                contents.push(contents[contents.len() - back]);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        let compressed = [
            0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2, 0x47, 0x01, 0xa0, 0x45,
            0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0, 0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xb4,
            0x02, 0x4a, 0x44, 0xef, 0x03, 0x58, 0x02, 0x8c, 0x09, 0x16, 0x01, 0x48, 0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00,
            0x04, 0x01, 0x18, 0x90, 0x00,
        ];
        let plain = b"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0";
        assert_eq!(expand(&compressed, plain.len()).unwrap(), plain);
    }
}
