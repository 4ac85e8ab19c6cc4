//! What a walk leaves out, and why.

use super::patterns::Pattern;
use super::shown::ShownPath;
use std::fmt;
use std::sync::Arc;
use strongroom_model::{EntryType, VolumeKind};

/// Something that a rule left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Path relative to `/`.
    pub path: Vec<u8>,
    /// Which rule.
    pub rule: Rule,
}

/// A rule that left something out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// A pattern fits; what is in a directory is not looked at.
    Excluded(Arc<Pattern>),
    /// No pattern of what is to be included fits; of directories, only what is in them is judged.
    NotIncluded(Option<Arc<Pattern>>),
    /// The file is too long; in bytes.
    Larger {
        /// How long it is.
        size: u64,
        /// How long it may be.
        most: u64,
    },
    /// Entries of this type are left out.
    Type(EntryType),
    /// The directory holds a marker: it and the marker are taken, so many other entries in it are not.
    Marked {
        /// The marker's name.
        marker: Vec<u8>,
        /// How many entries.
        entries: usize,
    },
    /// The directory is on another file system: it is taken, its contents are not.
    OtherFileSystem,
    /// The directory is of a pseudo file system such as `/proc`: it is taken, its contents are not.
    PseudoFileSystem,
    /// The directory is a volume of a kind that is not allowed: it is taken, its contents are not.
    Volume(VolumeKind),
    /// The directory is a snapshot, or ZFS' folder of them.
    Snapshot,
}

impl Rule {
    /// One word for programs and for counting.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::Excluded(_) => "excluded",
            Rule::NotIncluded(_) => "not-included",
            Rule::Larger { .. } => "larger",
            Rule::Type(_) => "type",
            Rule::Marked { .. } => "marked",
            Rule::OtherFileSystem => "other-file-system",
            Rule::PseudoFileSystem => "pseudo-file-system",
            Rule::Volume(_) => "volume",
            Rule::Snapshot => "snapshot",
        }
    }

    /// The pattern that decided, if one did.
    pub fn pattern(&self) -> Option<&Pattern> {
        match self {
            Rule::Excluded(pattern) | Rule::NotIncluded(Some(pattern)) => Some(pattern),
            _ => None,
        }
    }

    /// Whether the directory itself is taken, and only its contents are not.
    pub fn leaves_entry(&self) -> bool {
        use Rule::{Marked, OtherFileSystem, PseudoFileSystem, Volume};
        matches!(self, Marked { .. } | OtherFileSystem | PseudoFileSystem | Volume(_))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Excluded(pattern) => write!(f, "the pattern {} ({})", pattern.text, pattern.origin),
            Rule::NotIncluded(Some(pattern)) => write!(f, "the pattern {} ({})", pattern.text, pattern.origin),
            Rule::NotIncluded(None) => write!(f, "no pattern includes it"),
            Rule::Larger { size, most } => write!(f, "{size} bytes are more than {most}"),
            Rule::Type(of) => write!(f, "of type {}", of.as_str().to_ascii_lowercase()),
            Rule::Marked { marker, entries } => {
                write!(f, "marked by {}: {entries} entries in it", ShownPath(marker))
            }
            Rule::OtherFileSystem => write!(f, "what is in it is on another file system"),
            Rule::PseudoFileSystem => write!(f, "what is in it is of a pseudo file system"),
            Rule::Snapshot => write!(f, "a snapshot"),
            Rule::Volume(kind) => write!(
                f,
                "what is in it is on a volume of kind {}, which is not allowed",
                kind.as_str().to_ascii_lowercase()
            ),
        }
    }
}
