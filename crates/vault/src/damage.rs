//! Objects that are not what they should be.

use std::fmt;

use bytes::Bytes;
use strongroom_model::Digest;
use strongroom_store::{Key, Store, StoreError};

use crate::VaultError;

/// A stored object that is damaged, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// The object's key in the vault's store; `index` for the metadata.
    pub object: String,
    /// What is wrong.
    pub why: String,
}

impl Damage {
    /// A damage of an object.
    pub(crate) fn of(key: &Key, why: impl fmt::Display) -> Self {
        let (object, why) = (key.to_string(), why.to_string());
        Self { object, why }
    }

    /// The metadata lack something.
    pub(crate) fn of_index(why: impl fmt::Display) -> Self {
        Self {
            object: "index".to_owned(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.why)
    }
}

/// Tells damage of the object from failure of the machine: what cannot be read is damaged for whoever needs it, but a
/// machine that has stopped tells nothing about its objects.
pub(crate) fn unreadable(key: &Key, error: StoreError) -> Result<Damage, VaultError> {
    match error {
        StoreError::Crashed => Err(error.into()),
        error => Ok(Damage::of(key, error)),
    }
}

/// Reads an object that has `size` bytes with this digest.
pub(crate) async fn read_whole(
    store: &dyn Store,
    key: &Key,
    size: u64,
    digest: Digest,
) -> Result<Result<Bytes, Damage>, VaultError> {
    let bytes = match read_sized(store, key, size).await? {
        Ok(bytes) => bytes,
        Err(damage) => return Ok(Err(damage)),
    };
    match blake3::hash(&bytes) == *digest.as_bytes() {
        true => Ok(Ok(bytes)),
        false => Ok(Err(Damage::of(key, "its bytes are not those that were stored"))),
    }
}

/// Reads an object that has `size` bytes. The size is looked at first, so that one that grew is not read.
pub(crate) async fn read_sized(store: &dyn Store, key: &Key, size: u64) -> Result<Result<Bytes, Damage>, VaultError> {
    match store.size(key).await {
        Ok(found) if found != size => {
            let why = format!("it has {found} bytes instead of {size}");
            return Ok(Err(Damage::of(key, why)));
        }
        Ok(_) => {}
        Err(error) => return unreadable(key, error).map(Err),
    }
    match store.get(key).await {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error) => unreadable(key, error).map(Err),
    }
}
