//! Whole objects under names: put, get a range, list, delete.
//!
//! This is the one seam between Strongroom and whatever keeps its bytes. [`Store`] is the contract; read
//! it before calling or implementing anything here. [`Disk`] keeps objects as files in a folder; [`sim`]
//! keeps them in memory and fails, stops and forgets on command, so that every promise made above this
//! seam can be tried at every single step. A store knows nothing of vaults, packs or keys: it keeps bytes
//! and does not look at them. Whoever reads an object checks it.

#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod conformance;
mod disk;
mod error;
mod key;
pub mod sim;
mod store;

pub use disk::Disk;
pub use error::StoreError;
pub use key::{KEY_BYTES_MAX, Key, KeyError, KeyFault, SEGMENT_BYTES_MAX};
pub use store::{Listed, Store};
