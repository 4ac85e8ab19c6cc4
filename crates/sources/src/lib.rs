//! Sources: what Strongroom can read for a backup and write back in a restore.
//!
//! [`source`] is what a backup asks of each. One module per workload. `files` walks folders of Linux in path order, reads what lies there with
//! everything the system knows about it, and writes it back exactly. Nothing in here knows of
//! chunks, keys, vaults or networks; `engine` puts those together.
//!
//! This crate is one of the few places that touch the file system, and it does so relative to open
//! directories only, so that nobody can lead it elsewhere by renaming things under its feet.
#![deny(unsafe_code)]

pub mod files;
#[doc(hidden)]
pub mod museum;
pub mod source;
