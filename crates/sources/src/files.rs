//! Files and folders of Linux: walk them, read them, write them back.
//!
//! Backup side: a [`Selection`] (which folders, by which [`Rules`]) is walked by a [`Walker`], which
//! yields one [`Found`] after the other in *path order*: component by component, bytes compared,
//! depth first. [`open`], [`read_small`], [`read_link`] and [`xattrs()`] read what was found.
//!
//! Restore side: a [`Target`] takes entries in the same order and makes them below one directory,
//! which no hostile path can leave. Attributes of a directory are set when the order leaves it.
//!
//! What lies on btrfs, LVM or ZFS is read from [`Snapshots`] if the source is [`Files`]: a volume is entered in its snapshot, and what is
//! mounted in it, or is another subvolume, is looked for where the tree has it.
//!
//! Names and paths are bytes, components joined by `/`, without a leading slash.

mod accounts;
mod entered;
mod filesystem;
mod found;
mod fstab;
mod left_out;
mod level;
mod listing;
mod marker;
mod meta;
mod mounts;
mod patterns;
mod preset;
mod reading;
mod rules;
mod selection;
mod shown;
mod snapshot;
mod source;
mod step;
mod target;
mod volume;
mod walk;
mod xattrs;

pub use accounts::Names;
pub use found::{Found, read_link, xattrs};
pub use left_out::{LeftOut, Rule};
pub use marker::{CACHE_TAG_NAME, CACHE_TAG_SIGNATURE, Marker, MarkerError};
pub use meta::{Kind, Meta};
pub use patterns::{Pattern, PatternError, Patterns};
pub use preset::preset;
pub use reading::{OpenFile, ReadError, ReadErrorKind, Segment, Segments, SmallFile, open, read_small};
pub use rules::Rules;
pub use selection::{Selection, SelectionError};
pub use shown::ShownPath;
pub use snapshot::{Keep, Place, SnapshotError, SnapshotNote, Snapshots, remove_left};
pub use source::Files;
pub use step::{IssueKind, Step, WalkIssue};
pub use target::{Attributes, FileWriter, RestoreError, RestoreOptions, Target, Warning};
pub use volume::{VolumeError, volume_to_allow};
pub use walk::Walker;
pub use xattrs::Xattrs;
