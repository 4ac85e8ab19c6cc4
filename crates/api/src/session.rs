//! Backup sessions: what goes to and fro while a machine sends.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{BlobId, Digest, PointId, SessionId};

/// A session that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Names it.
    pub id: SessionId,
    /// How long the lease lasts without a call, in seconds. Every call renews it.
    pub lease_seconds: u64,
    /// The service's time.
    pub server_time: Timestamp,
    /// The item's latest recovery point: the predecessor that a commit must name.
    pub latest: Option<LatestPoint>,
}

/// The latest recovery point of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LatestPoint {
    /// Its id.
    pub point: PointId,
    /// BLAKE3 of its object.
    pub digest: Digest,
}

/// A pack is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackStored {
    /// How many of its blobs the vault did not have.
    pub new_blobs: u64,
    /// How many of its blobs the vault had already.
    pub duplicate_blobs: u64,
}

/// A recovery point exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Committed {
    /// Its id.
    pub point: PointId,
}

/// A body that lists identities, 32 bytes each.
pub fn ids_to_body(ids: &[BlobId]) -> Vec<u8> {
    ids.iter().flat_map(|id| *id.as_bytes()).collect()
}

/// Reads a body that lists identities; `None` when its length is no multiple of 32.
pub fn ids_from_body(body: &[u8]) -> Option<Vec<BlobId>> {
    let (ids, rest) = body.as_chunks::<32>();
    rest.is_empty()
        .then(|| ids.iter().copied().map(BlobId::from_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_lists_round_trip() {
        let ids = [BlobId::from_bytes([1; 32]), BlobId::from_bytes([2; 32])];
        let body = ids_to_body(&ids);
        assert_eq!(ids_from_body(&body).unwrap(), ids);
        assert_eq!(ids_from_body(&body[1..]), None);
        assert_eq!(ids_from_body(&[]), Some(vec![]));
    }
}
