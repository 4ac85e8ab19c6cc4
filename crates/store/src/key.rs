//! The name of an object.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The longest key, in bytes. S3 and Azure Blob allow 1,024; the rest is left for a bucket's own prefix.
pub const KEY_BYTES_MAX: usize = 512;

/// The longest part between two slashes, in bytes: the limit of Linux file systems.
pub const SEGMENT_BYTES_MAX: usize = 255;

/// The first segment that [`Disk`](crate::Disk) keeps for its temporary files.
pub(crate) const RESERVED: &str = "tmp";

/// The name of an object: segments of `A–Z a–z 0–9 . _ -` joined by `/`, such as `packs/3f/3f2a…`.
///
/// No segment is empty, `.` or `..`, and the first is not `tmp`, so a key joined to a folder always names
/// something inside this folder. Keys are ordered by their bytes, as listings are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Checks `text` against the rules above.
    pub fn new(text: &str) -> Result<Key, KeyError> {
        match fault(text) {
            None => Ok(Key(text.to_owned())),
            Some(why) => Err(KeyError {
                text: text.chars().take(KEY_BYTES_MAX).collect(),
                why,
            }),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the prefix of a listing, and takes off the one slash that may end it.
pub(crate) fn folder_of_prefix(prefix: &str) -> Result<&str, KeyError> {
    let folder = prefix.strip_suffix('/').unwrap_or(prefix);
    if !prefix.is_empty() {
        Key::new(folder)?;
    }
    Ok(folder)
}

fn fault(text: &str) -> Option<KeyFault> {
    if text.len() > KEY_BYTES_MAX {
        return Some(KeyFault::TooLong);
    }
    if text.split('/').next() == Some(RESERVED) {
        return Some(KeyFault::Reserved);
    }
    text.split('/').find_map(segment_fault)
}

fn segment_fault(segment: &str) -> Option<KeyFault> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match segment {
        "" => Some(KeyFault::EmptySegment),
        "." | ".." => Some(KeyFault::DotSegment),
        _ if segment.len() > SEGMENT_BYTES_MAX => Some(KeyFault::SegmentTooLong),
        _ if !segment.bytes().all(is_legal) => Some(KeyFault::Character),
        _ => None,
    }
}

/// A text that is no key, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a legal object name: {why}")]
pub struct KeyError {
    /// The text, or the beginning of a long one.
    pub text: String,
    /// The rule it breaks.
    pub why: KeyFault,
}

/// The rule that a text breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Longer than [`KEY_BYTES_MAX`].
    #[error("it is longer than {KEY_BYTES_MAX} bytes")]
    TooLong,
    /// A segment longer than [`SEGMENT_BYTES_MAX`].
    #[error("a part between slashes is longer than {SEGMENT_BYTES_MAX} bytes")]
    SegmentTooLong,
    /// Empty, or with a slash at its start or end, or two in a row.
    #[error("it is empty, or a part between slashes is")]
    EmptySegment,
    /// A segment `.` or `..`.
    #[error("a part between slashes is . or ..")]
    DotSegment,
    /// A character outside of the set.
    #[error("only letters, digits and . _ - are allowed between slashes")]
    Character,
    /// Its first segment is `tmp`.
    #[error("names under tmp/ are kept for temporary files")]
    Reserved,
}

/// Maps by key can be searched by text: both have the same order.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Key, KeyError> {
        Key::new(text)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    fn check(text: &str, expected: Option<KeyFault>) {
        assert_eq!(Key::new(text).err().map(|e| e.why), expected, "{text:?}");
    }

    #[test]
    fn rules() {
        use KeyFault::*;
        for legal in ["a", "vault.json", "packs/aa/0f", "-rf", "...", ".x/..y", "a/tmp"] {
            check(legal, None);
        }
        check(&"x".repeat(255), None);
        check(&["x".repeat(255), "y".repeat(255)].join("/"), None);
        check(&"x".repeat(256), Some(SegmentTooLong));
        check(&"x/".repeat(256), Some(EmptySegment));
        check(&format!("{}y", "x/".repeat(256)), Some(TooLong));
        for empty in ["", "/", "/a", "a/", "a//b"] {
            check(empty, Some(EmptySegment));
        }
        for dots in [".", "..", "a/..", "../a", "a/./b"] {
            check(dots, Some(DotSegment));
        }
        for odd in ["a b", "ä", "a\\b", "a\0", "a:b", "*", "a\n"] {
            check(odd, Some(Character));
        }
        for reserved in ["tmp", "tmp/a"] {
            check(reserved, Some(Reserved));
        }
    }

    #[test]
    fn errors_show_the_text() {
        let shown = Key::new("a/../b").unwrap_err().to_string();
        assert_eq!(
            shown,
            "\"a/../b\" is not a legal object name: a part between slashes is . or .."
        );
    }

    #[test]
    fn prefixes_are_folders_or_nothing() {
        for (prefix, folder) in [("", ""), ("packs", "packs"), ("packs/aa/", "packs/aa")] {
            assert_eq!(folder_of_prefix(prefix).unwrap(), folder);
        }
        for illegal in ["/", "..", "packs//", "tmp", "tmp/"] {
            assert!(folder_of_prefix(illegal).is_err(), "{illegal:?}");
        }
    }

    proptest! {
        #[test]
        fn no_key_leaves_its_folder(text in "[a.~/_\\\\-]{0,12}|(tmp|\\.\\.|/|[a-z])*") {
            if let Ok(key) = Key::new(&text) {
                let path = Path::new(key.as_str());
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert!(!path.starts_with(RESERVED));
            }
        }
    }
}
