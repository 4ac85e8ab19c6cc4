//! The vault as the engine sees it. The service's client is one, a bare object store (for `rescue`) another.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use strongroom_model::{BlobId, Digest, PackId, PointId};

/// The most identities that one call of [`VaultWriter::missing`] or [`VaultReader::fetch`] takes.
pub const IDS_MAX: usize = 4096;

/// Why the vault could not do what was asked; the text is a sentence for the user.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RemoteError {
    /// The vault has no space left.
    #[error("{0}")]
    NoSpace(String),
    /// Anything else that repeating will not mend at once.
    #[error("{0}")]
    Failed(String),
}

/// One answer of [`VaultReader::fetch`]. Bytes are not checked yet.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// The blob's sealed bytes.
    Blob(BlobId, Bytes),
    /// The blob cannot be had; why, naming the object.
    Lost(BlobId, String),
    /// Something is wrong with an object near a blob that could still be read.
    Remark(String),
}

/// An object of the vault that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DamagedObject {
    /// Its key in the vault's store.
    pub object: String,
    /// What is wrong.
    pub why: String,
}

/// Reads from a vault.
#[async_trait]
pub trait VaultReader: Send + Sync {
    /// The bytes of a recovery point object.
    async fn point_object(&self, point: PointId) -> Result<Bytes, RemoteError>;

    /// Blobs, in the order in which the vault finds it best to send them; each one is answered once. At most [`IDS_MAX`].
    fn fetch(&self, ids: Vec<BlobId>) -> BoxStream<'static, Result<Fetched, RemoteError>>;

    /// Has the vault read again and check every object that a recovery point needs, without a key.
    async fn scrub_point(&self, point: PointId) -> Result<Vec<DamagedObject>, RemoteError>;

    /// Has the vault check the few objects beside the packs that a restore does not read itself: `vault.json`, the key
    /// set and the recovery point.
    async fn check_point(&self, point: PointId) -> Result<Vec<DamagedObject>, RemoteError>;
}

/// The session that a backup runs in.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The vault's time.
    pub now: Timestamp,
    /// The item's newest recovery point and the digest of its object.
    pub latest: Option<(PointId, Digest)>,
    /// How long the lease lasts without a call, in seconds.
    pub lease_seconds: u64,
}

/// What became of a commit.
#[derive(Debug, Clone)]
pub enum CommitOutcome {
    /// The recovery point exists.
    Committed,
    /// These are not there: send them, and commit again.
    Missing(Vec<BlobId>),
}

/// Adds to a vault, in one session.
#[async_trait]
pub trait VaultWriter: Send + Sync {
    /// Begins the session.
    async fn begin(&self) -> Result<Begun, RemoteError>;

    /// For each identity whether the vault lacks it. At most [`IDS_MAX`]. Also renews the lease.
    async fn missing(&self, ids: &[BlobId]) -> Result<Vec<bool>, RemoteError>;

    /// Stores a pack; it is durable when this returns. Giving the same pack twice is fine.
    async fn put_pack(&self, pack: PackId, bytes: Bytes) -> Result<(), RemoteError>;

    /// Makes the recovery point. Giving the same object twice is fine.
    async fn commit(&self, point: Bytes) -> Result<CommitOutcome, RemoteError>;

    /// Ends the session, whether or not it was committed.
    async fn end(&self) -> Result<(), RemoteError>;
}
