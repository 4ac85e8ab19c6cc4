//! Names: eight letters and three, and before them, in pieces of thirteen, the long one.

use crate::bytes::{byte, part, utf16};

/// A long name has at most twenty pieces, which is 260 letters; 255 are allowed.
const PIECES_MAX: u8 = 20;

/// A long name of which the last piece comes first.
#[derive(Default)]
pub(super) struct LongName {
    /// Two bytes a letter, in the right order.
    letters: Vec<u8>,
    /// The number of the piece that was read last.
    piece: u8,
    checksum: u8,
}

impl LongName {
    pub(super) fn part(&mut self, entry: &[u8]) {
        let (number, checksum) = (byte(entry, 0), byte(entry, 13));
        if number & 0x40 != 0 {
            *self = Self {
                letters: Vec::new(),
                piece: (number & 0x3f).saturating_add(1),
                checksum,
            };
        }
        let follows = (number & 0x3f).checked_add(1) == Some(self.piece) && self.checksum == checksum;
        if !follows || self.piece > PIECES_MAX + 1 || self.piece <= 1 {
            *self = Self::default();
            return;
        }
        let piece = [part(entry, 1, 10), part(entry, 14, 12), part(entry, 28, 4)].concat();
        self.letters.splice(..0, piece);
        self.piece -= 1;
    }

    /// The name, if all its pieces were there, and for this short entry.
    pub(super) fn take(&mut self, entry: &[u8]) -> Option<Vec<u8>> {
        let long = std::mem::take(self);
        if long.piece != 1 || long.checksum != checksum(part(entry, 0, 11)) {
            return None;
        }
        let end = long.letters.chunks_exact(2).position(|letter| letter == [0, 0]);
        Some(utf16(
            &long.letters[..end.map_or(long.letters.len(), |letters| letters * 2)],
        ))
    }
}

fn checksum(short: &[u8]) -> u8 {
    short
        .iter()
        .fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The short name, with the letters beyond ASCII as code page 437 has them, which is what Linux assumes too.
pub(super) fn short(entry: &[u8]) -> Vec<u8> {
    let lower = byte(entry, 12);
    let mut name = letters(part(entry, 0, 8), lower & 0x08 != 0);
    let extension = letters(part(entry, 8, 3), lower & 0x10 != 0);
    if !extension.is_empty() {
        name.push('.');
        name.push_str(&extension);
    }
    name.into_bytes()
}

fn letters(bytes: &[u8], lower: bool) -> String {
    let end = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    let shown = bytes[..end].iter().enumerate().map(|(index, byte)| match byte {
        // The first letter 0xe5 would say that the entry is deleted.
        0x05 if index == 0 => HIGH.chars().nth(0xe5 - 0x80).unwrap_or('?'),
        0x80.. => HIGH.chars().nth(usize::from(*byte) - 0x80).unwrap_or('?'),
        _ if lower => char::from(byte.to_ascii_lowercase()),
        _ => char::from(*byte),
    });
    shown.collect()
}

/// The upper half of code page 437.
const HIGH: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names() {
        let entry = |name: &[u8; 11], lower: u8| [name.as_slice(), &[0x20, lower]].concat();
        assert_eq!(HIGH.chars().count(), 128);
        assert_eq!(short(&entry(b"README  TXT", 0)), b"README.TXT");
        assert_eq!(short(&entry(b"README  TXT", 0x18)), b"readme.txt");
        assert_eq!(short(&entry(b"\x05\x84         ", 0)), "σä".as_bytes());
    }
}
