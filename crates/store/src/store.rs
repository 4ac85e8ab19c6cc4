//! The contract between those who keep objects and those who need them kept.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Key, StoreError};

/// Keeps whole objects under names.
///
/// The contract is what a folder, S3, Azure Blob and GCS can all promise; therefore there is no rename, no
/// append and no "put only if absent". [`conformance`](crate::conformance) tries every sentence of it that
/// can be tried from outside.
///
/// **Durable.** When `put` or `delete` answers `Ok`, its effect survives a crash of the process and of the
/// machine. There is no later "flush": an acknowledgement may follow at once, and must not come before.
///
/// **Atomic.** A name has no object, or the bytes of exactly one put, whole. A put over an old object
/// replaces it in one instant: each single call of a reader sees the old or the new. Two calls may see
/// two different objects; callers that care name objects by their contents.
///
/// **Failed or interrupted** (an error, a crash, a dropped future): the name has what it had before, or
/// what it was to get, never a mixture; and what is seen now may still become the other in a crash. The
/// way out is to do it again. `NoSpace` leaves no trace.
///
/// **Concurrent.** Everything may be called at once from everywhere. Twins that put the same name at once
/// both succeed and one of them stays. A listing contains every object that was there all the while,
/// exactly once, and may or may not contain those that came or went meanwhile.
///
/// **Names.** No key may be the folder of another (`a` and `a/b`): an object store would take it, a
/// folder refuses it with an error and without harm. A folder is not an object: reading it is `NotFound`.
///
/// **Trust.** The bytes are not checked. A disk may rot and a file may be exchanged: a reader proves what
/// it reads, and bounds it before it trusts its size ([`size`](Store::size) comes first where an object
/// could have grown; [`get`](Store::get) reads all that is there).
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes `bytes` the object `key`, durably, whether there was one or not.
    async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError>;

    /// The whole object.
    async fn get(&self, key: &Key) -> Result<Bytes, StoreError>;

    /// The bytes `range` of the object, all of them. A range that does not lie inside the object (or runs
    /// backwards) is [`StoreError::Truncated`]; an empty one inside it, its end included, is no bytes.
    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, StoreError>;

    /// Many ranges of one object, answered in their order, of one and the same object; the first that
    /// fails fails all. One call costs much less than many of [`get_range`](Store::get_range). The caller
    /// bounds their sum: all are in memory at once.
    async fn get_ranges(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, StoreError>;

    /// The size of the object in bytes.
    async fn size(&self, key: &Key) -> Result<u64, StoreError>;

    /// All objects under the folder `prefix`, ordered by the bytes of their keys. A prefix is whole
    /// segments, with or without a slash at its end: `pack` does not list `packs/aa`. `""` lists all. A
    /// prefix under which there is nothing lists nothing.
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError>;

    /// Removes the object, durably. That there is none is fine.
    async fn delete(&self, key: &Key) -> Result<(), StoreError>;
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The object's name.
    pub key: Key,
    /// Its size in bytes.
    pub size: u64,
}
