//! What is inside a disk, as far as its bytes tell: partitions, logical volumes, file systems and their files.
//!
//! It is for files out of recovery points of virtual machines. Nothing is mounted and nothing is written: a [`Disk`] is
//! read at the places that its own tables name. These tables were written by a guest that may be hostile.
//!
//! ```text
//! Disk ──volumes()──▶ Volume ──open()──▶ FileSystem ──entries(), walk(), open()──▶ File
//!  (partition tables,        (superblock)      (a Tree: ext4, fat, ntfs, xfs)
//!   LVM2)
//! ```
//!
//! So: fields beyond the end of what was read are zero ([`bytes`]), lengths are checked before they are trusted, chains and
//! trees are followed for a bounded number of steps, and symbolic links are shown and never followed.

#![forbid(unsafe_code)]

mod bytes;
mod disk;
mod error;
mod ext4;
mod fat;
mod file_system;
mod logical_volumes;
mod ntfs;
mod partitions;
mod signature;
mod tree;
mod volume;
mod walk;
mod xfs;

pub use disk::{Cached, Disk, FileDisk, Window};
pub use error::VolumeError;
pub use file_system::{Cursor, Entry, File, FileSystem, PAGE_ENTRIES_MAX, Page};
pub use logical_volumes::{LogicalVolume, logical_volumes};
pub use tree::{Facts, Kind, Moment};
pub use volume::{Contents, Volume, volumes};
pub use walk::{Walk, WalkEntry};
