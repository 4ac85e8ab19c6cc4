//! Snapshots of a [restic](https://restic.net) repository as a source of backups.
//!
//! A [`Repository`] is a folder that a password opens; [`Blobs`] finds and checks what lies in its packs; a
//! [`SnapshotSource`] walks one snapshot. Nothing is ever written into a repository, nor is it locked: what `restic prune`
//! takes away meanwhile is missed, and said.
//!
//! The format is that of restic's own `doc/design.rst`, versions 1 and 2, in the layout `default`. Whatever is read was
//! written by somebody else: every length is bounded, every blob is checked against its hash, and what does not fit is an
//! error about this one thing.

#![forbid(unsafe_code)]

mod blobs;
mod cipher;
mod contents;
mod error;
mod id;
mod index;
mod keys;
mod node;
mod pack;
mod repository;
mod snapshot;
mod walk;

pub use blobs::Blobs;
pub use contents::SnapshotFile;
pub use error::ResticError;
pub use id::Id;
pub use repository::Repository;
pub use snapshot::{Snapshot, Snapshots};
pub use walk::{SnapshotEntry, SnapshotSource, SnapshotWalk};
