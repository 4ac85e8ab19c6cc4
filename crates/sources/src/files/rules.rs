//! What is left out of a walk.

use super::marker::Marker;
use super::meta::Kind;
use super::patterns::{Pattern, PatternError, Patterns};
use std::collections::BTreeSet;
use strongroom_model::{EntryType, VolumeKind};

/// Which entries below the selected folders are left out.
///
/// If there are patterns of what to include, only what fits them is taken, with all that lies in a folder that fits, and the
/// folders that lead there. Of that, everything else in here leaves out what it names: to exclude wins over to include.
/// What lies in an excluded directory is never looked at, so nothing in it can be taken in again.
///
/// Selected folders and files themselves, and the directories above them, are never left out: what the user names wins over
/// patterns, markers and file system bounds. (One that lies inside another selected folder is merged with that one, though,
/// and follows the rules like all else in it.)
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What fits is left out; a pattern with `!` takes it in again.
    pub exclude: Patterns,
    /// If there are any: only what fits is taken; a pattern with `!` takes it out again.
    pub include: Patterns,
    /// Longer files are left out; in bytes.
    pub larger_than: Option<u64>,
    /// Entries of these types are left out.
    pub types: BTreeSet<EntryType>,
    /// Of a directory with such a file only that file is taken.
    pub markers: Vec<Marker>,
    /// Whether directories on another file system than the selected folder stay empty.
    pub one_file_system: bool,
    /// Kinds of volumes that are entered, besides those that are always.
    pub allowed: BTreeSet<VolumeKind>,
}

impl Rules {
    /// Leaves out what fits these patterns.
    pub fn without(patterns: impl IntoIterator<Item = Pattern>) -> Result<Rules, PatternError> {
        Ok(Rules {
            exclude: Patterns::new(patterns)?,
            ..Rules::default()
        })
    }

    /// The type of an entry, if all of that type are left out.
    pub(super) fn excludes_type(&self, kind: Kind) -> Option<EntryType> {
        let of = match kind {
            Kind::File | Kind::Directory => return None,
            Kind::Symlink => EntryType::Symlink,
            Kind::Fifo => EntryType::Fifo,
            Kind::Socket => EntryType::Socket,
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } => EntryType::Device,
        };
        self.types.contains(&of).then_some(of)
    }
}
