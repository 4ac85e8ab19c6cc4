//! Files and folders of Linux: walk them, read them, write them back.
//!
//! Backup side: a [`Selection`] (which folders, by which [`Rules`]) is walked by a [`Walker`], which
//! yields one [`Found`] after the other in *path order*: component by component, bytes compared,
//! depth first. [`open`], [`read_small`], [`read_link`] and [`xattrs()`] read what was found.
//!
//! Restore side: a [`Target`] takes entries in the same order and makes them below one directory,
//! which no hostile path can leave. Attributes of a directory are set when the order leaves it.
//!
//! Names and paths are bytes, components joined by `/`, without a leading slash.

mod accounts;
mod filesystem;
mod found;
mod listing;
mod meta;
mod reading;
mod rules;
mod selection;
mod shown;
mod source;
mod target;
mod walk;
mod xattrs;

pub use accounts::Names;
pub use found::{Found, read_link, xattrs};
pub use meta::{Kind, Meta};
pub use reading::{OpenFile, ReadError, ReadErrorKind, Segment, Segments, SmallFile, open, read_small};
pub use rules::{CACHE_TAG_NAME, CACHE_TAG_SIGNATURE, PatternError, Rules};
pub use selection::{Selection, SelectionError};
pub use shown::ShownPath;
pub use target::{Attributes, FileWriter, RestoreError, RestoreOptions, Target, Warning};
pub use walk::{IssueKind, SkipCounts, WalkIssue, Walker};
pub use xattrs::Xattrs;
