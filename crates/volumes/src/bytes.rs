//! Numbers out of bytes that nobody vouches for: what lies beyond their end is zero, so that no place can be wrong enough to
//! stop the program. Whoever reads a length or a place this way checks it.

/// At most `length` bytes from `at`; fewer, or none, when there are not so many.
pub(crate) fn part(bytes: &[u8], at: usize, length: usize) -> &[u8] {
    let start = at.min(bytes.len());
    let end = start.saturating_add(length).min(bytes.len());
    &bytes[start..end]
}

fn fixed<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut fixed = [0; N];
    let found = part(bytes, at, N);
    fixed[..found.len()].copy_from_slice(found);
    fixed
}

pub(crate) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(fixed(bytes, at))
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(fixed(bytes, at))
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(fixed(bytes, at))
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(fixed(bytes, at))
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(fixed(bytes, at))
}

pub(crate) fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(fixed(bytes, at))
}

/// UTF-16, little-endian, as UTF-8. Halves of pairs that stand alone are kept as three bytes each, as WTF-8 has it, so that
/// two names that differ stay different.
pub(crate) fn utf16(bytes: &[u8]) -> Vec<u8> {
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let mut text = Vec::with_capacity(bytes.len());
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(letter) => text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let unit = lone.unpaired_surrogate();
                text.push(0xe0 | (unit >> 12) as u8);
                text.push(0x80 | ((unit >> 6) & 0x3f) as u8);
                text.push(0x80 | (unit & 0x3f) as u8);
            }
        }
    }
    text
}

/// Text up to its first zero byte, without blanks around it; nothing if there is none.
pub(crate) fn label(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_the_end_is_zero() {
        assert_eq!(le32(&[1, 2], 0), 0x0201);
        assert_eq!(be32(&[1, 2], 0), 0x0102_0000);
        assert_eq!(le64(&[1], usize::MAX), 0);
        assert_eq!(part(&[1, 2, 3], 2, usize::MAX), [3]);
    }

    #[test]
    fn names_that_differ_stay_different() {
        assert_eq!(utf16(&[0x41, 0, 0xe4, 0]), "Aä".as_bytes());
        assert_eq!(utf16(&[0x3d, 0xd8, 0x00, 0xde]), "😀".as_bytes());
        assert_eq!(utf16(&[0x3d, 0xd8]), [0xed, 0xa0, 0xbd]);
    }
}
