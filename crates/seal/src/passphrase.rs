//! The customer's passphrase.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// Fewest characters that a passphrase may have.
pub const PASSPHRASE_CHARACTERS_MIN: usize = 16;
/// Most characters that a passphrase may have: far above what people type, low enough to bound a file read by mistake.
pub const PASSPHRASE_CHARACTERS_MAX: usize = 1024;

/// A passphrase of printable ASCII characters, wiped from memory when dropped.
///
/// Only ASCII, because the same letter typed on another keyboard or system may be other bytes in Unicode, and then a
/// correct passphrase would not open the data. There is no comparison: a passphrase is right when it opens a key set.
pub struct Passphrase(Zeroizing<String>);

/// Why a text cannot be a passphrase. The text itself is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// Fewer than [`PASSPHRASE_CHARACTERS_MIN`] characters.
    #[error("The passphrase has {characters} characters; it needs at least {PASSPHRASE_CHARACTERS_MIN}.")]
    TooShort {
        /// Characters found.
        characters: usize,
    },
    /// More than [`PASSPHRASE_CHARACTERS_MAX`] bytes.
    #[error("The passphrase has {bytes} bytes; it may have at most {PASSPHRASE_CHARACTERS_MAX}.")]
    TooLong {
        /// Bytes found.
        bytes: usize,
    },
    /// A character that is not a printable ASCII character, for instance an accented letter.
    #[error(
        "Character {position} of the passphrase is not a printable ASCII character; use only letters without accents, \
         digits, spaces and the punctuation of an English keyboard."
    )]
    NotPrintableAscii {
        /// Which character, counted from 1.
        position: usize,
    },
    /// A line break, which usually means a file with more than one line.
    #[error("Character {position} of the passphrase is a line break; a passphrase is one line.")]
    LineBreak {
        /// Which character, counted from 1.
        position: usize,
    },
}

impl Passphrase {
    /// Takes the text over and checks it. Nothing is trimmed: a caller that reads a file removes the final line break.
    ///
    /// # Errors
    /// [`PassphraseError`] with a sentence for the user; the text is wiped in that case too.
    pub fn parse(text: String) -> Result<Passphrase, PassphraseError> {
        let text = Zeroizing::new(text);
        if text.len() > PASSPHRASE_CHARACTERS_MAX {
            return Err(PassphraseError::TooLong { bytes: text.len() });
        }
        for (index, character) in text.chars().enumerate() {
            check_character(character, index + 1)?;
        }
        if text.len() < PASSPHRASE_CHARACTERS_MIN {
            return Err(PassphraseError::TooShort { characters: text.len() });
        }
        Ok(Passphrase(text))
    }

    /// The bytes that the key derivation hashes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(hidden)")
    }
}

impl Zeroize for Passphrase {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

fn check_character(character: char, position: usize) -> Result<(), PassphraseError> {
    match character {
        ' '..='~' => Ok(()),
        '\n' | '\r' => Err(PassphraseError::LineBreak { position }),
        _ => Err(PassphraseError::NotPrintableAscii { position }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_and_refuses_with_a_reason() {
        let cases = [
            ("correct horse battery", Ok(())),
            ("0123456789abcdef", Ok(())),
            ("  sixteen spaced ", Ok(())),
            ("~!@#$%^&*()_+{}|", Ok(())),
            ("", Err(PassphraseError::TooShort { characters: 0 })),
            ("0123456789abcde", Err(PassphraseError::TooShort { characters: 15 })),
            ("0123456789abcdef\n", Err(PassphraseError::LineBreak { position: 17 })),
            (
                "grüne Wiese und mehr",
                Err(PassphraseError::NotPrintableAscii { position: 3 }),
            ),
            (
                "tab\tbetween the words",
                Err(PassphraseError::NotPrintableAscii { position: 4 }),
            ),
            (
                "delete\u{7f}character here",
                Err(PassphraseError::NotPrintableAscii { position: 7 }),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Passphrase::parse(text.to_string()).map(|_| ()), expected, "{text:?}");
        }
    }

    #[test]
    fn length_is_bounded() {
        assert!(Passphrase::parse("x".repeat(PASSPHRASE_CHARACTERS_MAX)).is_ok());
        let long = Passphrase::parse("x".repeat(PASSPHRASE_CHARACTERS_MAX + 1));
        assert_eq!(
            long.unwrap_err(),
            PassphraseError::TooLong {
                bytes: PASSPHRASE_CHARACTERS_MAX + 1
            }
        );
    }

    #[test]
    fn neither_debug_nor_errors_show_the_text() {
        let passphrase = Passphrase::parse("correct horse battery".to_string()).unwrap();
        assert!(!format!("{passphrase:?}").contains("horse"));
        let error = Passphrase::parse("short horse".to_string()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The passphrase has 11 characters; it needs at least 16."
        );
    }
}
