//! The master key as people keep it: on paper, to be typed in again.
//!
//! ```text
//! 003G-W58W-4CN3-2XW7      four rows of 13 symbols of the key and 3 that check them
//! ```
//!
//! The symbols are the 32 of Crockford's base 32 (digits, and capitals without I, L, O and U), five bits each, highest
//! first; the key's 256 bits fill 51 of the 52 symbols and one bit of the last, whose other four are 0.

use std::fmt;

use zeroize::Zeroizing;

use crate::MasterKey;
use crate::subkey::RECOVERY_CHECK;

const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Rows of a recovery key.
const ROWS: usize = 4;
/// Symbols of the key in a row.
const KEY_SYMBOLS: usize = 13;
/// Symbols that check a row: a slip in it goes unnoticed once in 2^15 times, and then the key opens nothing.
const CHECK_SYMBOLS: usize = 3;
const ROW_SYMBOLS: usize = KEY_SYMBOLS + CHECK_SYMBOLS;
/// Symbols that people read at a time.
const GROUP: usize = 4;

/// Why a text is no recovery key. The text itself is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// A character that is none of its symbols.
    #[error(
        "Character {position} of the recovery key is none of its letters and digits: it has digits and the letters A to Z \
         without I, L, O and U; spaces and dashes do not count."
    )]
    Symbol {
        /// Which one, counted from 1 without spaces and dashes.
        position: usize,
    },
    /// Too few or too many symbols.
    #[error("The recovery key has {symbols} letters and digits instead of {}: four rows of 16.", ROWS * ROW_SYMBOLS)]
    Length {
        /// How many there are.
        symbols: usize,
    },
    /// A row that its check symbols do not fit.
    #[error("Row {row} of the recovery key has a slip in it, or stands in the wrong place: compare it with the sheet.")]
    Row {
        /// Which one, counted from 1.
        row: usize,
    },
}

/// A recovery key in writing. It is the master key: whoever reads it can open all that the key set seals. Wiped when
/// dropped.
pub struct RecoveryKey(Zeroizing<[u8; ROWS * ROW_SYMBOLS]>);

impl RecoveryKey {
    /// Its rows, in groups of four symbols with dashes between.
    pub fn rows(&self) -> impl Iterator<Item = Zeroizing<String>> {
        self.0.chunks_exact(ROW_SYMBOLS).map(|row| {
            let groups = row.chunks_exact(GROUP);
            let groups: Vec<&str> = groups
                .map(|group| str::from_utf8(group).expect("its symbols are ASCII"))
                .collect();
            Zeroizing::new(groups.join("-"))
        })
    }

    /// The rows in one line, with spaces between.
    pub fn line(&self) -> Zeroizing<String> {
        let rows: Vec<Zeroizing<String>> = self.rows().collect();
        let rows: Vec<&str> = rows.iter().map(|row| row.as_str()).collect();
        Zeroizing::new(rows.join(" "))
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(hidden)")
    }
}

impl MasterKey {
    /// The key for paper.
    pub fn to_recovery_key(&self) -> RecoveryKey {
        let values = Zeroizing::new(to_values(&self.to_bytes()));
        let mut text = Zeroizing::new([0; ROWS * ROW_SYMBOLS]);
        for (row, (key, written)) in values
            .chunks_exact(KEY_SYMBOLS)
            .zip(text.chunks_exact_mut(ROW_SYMBOLS))
            .enumerate()
        {
            let whole = key.iter().copied().chain(check(row, key));
            (written.iter_mut().zip(whole)).for_each(|(symbol, value)| *symbol = SYMBOLS[usize::from(value)]);
        }
        RecoveryKey(text)
    }

    /// The key as somebody typed it from a sheet: in any case, with or without spaces, dashes and line breaks; O is taken for
    /// 0, I and L for 1.
    ///
    /// # Errors
    /// [`RecoveryKeyError`] says in which row to look.
    pub fn from_recovery_key(text: &str) -> Result<MasterKey, RecoveryKeyError> {
        let symbols = text
            .chars()
            .filter(|character| !character.is_whitespace() && *character != '-');
        let mut values = Zeroizing::new([0; ROWS * ROW_SYMBOLS]);
        let mut count = 0;
        for (index, symbol) in symbols.enumerate() {
            let value = value_of(symbol).ok_or(RecoveryKeyError::Symbol { position: index + 1 })?;
            if let Some(place) = values.get_mut(index) {
                *place = value;
            }
            count = index + 1;
        }
        if count != values.len() {
            return Err(RecoveryKeyError::Length { symbols: count });
        }
        let mut key = Zeroizing::new([0; ROWS * KEY_SYMBOLS]);
        for (row, (read, kept)) in values
            .chunks_exact(ROW_SYMBOLS)
            .zip(key.chunks_exact_mut(KEY_SYMBOLS))
            .enumerate()
        {
            let (symbols, checks) = read.split_at(KEY_SYMBOLS);
            if checks != check(row, symbols) {
                return Err(RecoveryKeyError::Row { row: row + 1 });
            }
            kept.copy_from_slice(symbols);
        }
        from_values(&key).ok_or(RecoveryKeyError::Row { row: ROWS })
    }
}

/// The first 15 bits of a hash of the row's number, from 0, and its symbols, as values from 0 to 31.
fn check(row: usize, symbols: &[u8]) -> [u8; CHECK_SYMBOLS] {
    let mut hasher = blake3::Hasher::new_derive_key(RECOVERY_CHECK);
    hasher.update(&[row as u8]).update(symbols);
    let hash = hasher.finalize();
    let bits = u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]);
    [bits >> 11, bits >> 6, bits >> 1].map(|bits| (bits & 31) as u8)
}

fn value_of(symbol: char) -> Option<u8> {
    let symbol = match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let value = SYMBOLS.iter().position(|known| char::from(*known) == symbol)?;
    Some(value as u8)
}

fn to_values(key: &[u8; 32]) -> [u8; ROWS * KEY_SYMBOLS] {
    let mut values = [0; ROWS * KEY_SYMBOLS];
    for (bit, is_set) in bits(key).enumerate() {
        values[bit / 5] |= u8::from(is_set) << (4 - bit % 5);
    }
    values
}

fn bits(key: &[u8; 32]) -> impl Iterator<Item = bool> {
    (0..256).map(|bit| key[bit / 8] >> (7 - bit % 8) & 1 == 1)
}

/// `None`: bits are set that no key has.
fn from_values(values: &[u8; ROWS * KEY_SYMBOLS]) -> Option<MasterKey> {
    let mut key = Zeroizing::new([0u8; 32]);
    for (index, value) in values.iter().enumerate() {
        for place in 0..5 {
            let (bit, is_set) = (index * 5 + place, value >> (4 - place) & 1);
            match key.get_mut(bit / 8) {
                Some(byte) => *byte |= is_set << (7 - bit % 8),
                None if is_set == 1 => return None,
                None => {}
            }
        }
    }
    Some(MasterKey::from_bytes(*key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(key: [u8; 32]) -> String {
        MasterKey::from_bytes(key).to_recovery_key().line().to_string()
    }

    fn read(text: &str) -> Result<[u8; 32], RecoveryKeyError> {
        MasterKey::from_recovery_key(text).map(|key| *key.to_bytes())
    }

    /// Part of the format: what is on paper stays good.
    #[test]
    fn a_key_that_was_written_down_once_is_read_for_ever() {
        let key = std::array::from_fn(|index| index as u8 * 7);
        let written = "003G-W58W-4CN3-2XW7 E1Z8-S6N8-PV2D-5NQ1 R7EZ-M5HJ-9SN8-D5A4 8NYV-BVH6-BTBC-GZZT";
        assert_eq!(read(&line(key)).unwrap(), key);
        assert_eq!(line(key), written);
    }

    #[test]
    fn how_it_was_typed_does_not_matter() {
        let key = [0x10; 32];
        let text = line(key);
        assert!(text.contains('0') && text.contains('1'), "{text}");
        let typed = [
            text.to_lowercase(),
            text.replace(['-', ' '], ""),
            text.replace(' ', "\r\n\t"),
            text.replace('0', "O").replace('1', "l"),
            text.replace('0', "o").replace('1', "I"),
        ];
        for text in typed {
            assert_eq!(read(&text), Ok(key), "{text}");
        }
    }

    #[test]
    fn slips_are_told_by_their_row() {
        let text = line([0xa5; 32]);
        let rows: Vec<&str> = text.split(' ').collect();
        let swapped = [rows[0], rows[2], rows[1], rows[3]].join(" ");
        assert_eq!(read(&swapped), Err(RecoveryKeyError::Row { row: 2 }));
        assert_eq!(read(&text[1..]), Err(RecoveryKeyError::Length { symbols: 63 }));
        assert_eq!(read(&format!("{text}0")), Err(RecoveryKeyError::Length { symbols: 65 }));
        assert_eq!(read(""), Err(RecoveryKeyError::Length { symbols: 0 }));
        assert_eq!(
            read(&text.replacen('-', "U", 1)),
            Err(RecoveryKeyError::Symbol { position: 5 })
        );
        let error = read(&format!("é{text}")).unwrap_err();
        assert_eq!(error, RecoveryKeyError::Symbol { position: 1 });
        assert!(!error.to_string().contains('é'));
    }

    /// Every slip of one symbol, and every two neighbours that changed places, in one key.
    #[test]
    fn every_single_slip_is_noticed() {
        let right: Vec<char> = line([0x3c; 32]).replace(['-', ' '], "").chars().collect();
        let mut wrong = 0;
        for place in 0..right.len() {
            for symbol in SYMBOLS.iter().map(|symbol| char::from(*symbol)) {
                let mut text = right.clone();
                text[place] = symbol;
                let neighbours = {
                    let mut text = right.clone();
                    text.swap(place, (place + 1) % right.len());
                    text
                };
                for text in [text, neighbours].into_iter().filter(|text| *text != right) {
                    wrong += u32::from(read(&String::from_iter(text)).is_ok());
                }
            }
        }
        assert_eq!(wrong, 0);
    }

    #[test]
    fn it_is_hidden_in_messages() {
        let key = MasterKey::from_bytes([1; 32]).to_recovery_key();
        assert_eq!(format!("{key:?}"), "RecoveryKey(hidden)");
    }

    proptest! {
        #[test]
        fn every_key_is_read_as_it_was_written(key: [u8; 32]) {
            prop_assert_eq!(read(&line(key)), Ok(key));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = read(&text);
        }
    }
}
