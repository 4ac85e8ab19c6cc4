//! Commit: the instant from which a recovery point exists.

use bytes::Bytes;
use strongroom_db::{CommitRow, IDS_MAX, NewPoint, PointRow, PointsOf, SessionRow};
use strongroom_format::point::{PointHeader, parse_point, point_digest};
use strongroom_model::{ContainerId, Digest, PointId, SessionId};

use crate::walk::{Extent, Found, walk};
use crate::{VaultError, Vaults, point_key};

/// A recovery point that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub point: PointId,
    /// The digest of its object: what the next one names as its predecessor.
    pub digest: Digest,
}

impl Vaults {
    /// Makes the recovery point exist whose object is `bytes`, if everything that it needs is there; else says what is
    /// missing. The same object again is fine: a client that did not hear the answer asks again.
    ///
    /// The object is stored after everything below it was seen to be there. So an object without a row, left by a crash,
    /// is complete too: whoever rebuilds the metadata from the objects may take it.
    pub async fn commit(
        &self,
        container: ContainerId,
        session: SessionId,
        bytes: Bytes,
    ) -> Result<Committed, VaultError> {
        // Who was killed here and comes back learns, when he begins, that his point exists.
        let _inside = self.0.ingests.enter(container.as_bytes()).await;
        let session = self.renewed(container, session).await?;
        let header = parse_point(&bytes).map_err(rejected)?.header;
        self.check_header(&session, &header).await?;
        let new = draft(&header, &bytes);
        if let Some(done) = self.is_done(&new).await? {
            return Ok(done);
        }
        self.check_predecessor(&new).await?;
        self.verify_tree(&new).await?;
        let _gate = self.0.gates.enter(new.item.as_bytes()).await;
        // Again, now that nobody else commits: an object that has its row must not be replaced.
        if let Some(done) = self.is_done(&new).await? {
            return Ok(done);
        }
        self.check_predecessor(&new).await?;
        let store = self.store(new.vault).await?;
        store.put(&point_key(new.item, new.id), bytes).await?;
        self.insert(&session, new).await
    }

    /// The header speaks of the session's vault and item, and of a key set that the machine has joined.
    async fn check_header(&self, session: &SessionRow, header: &PointHeader) -> Result<(), VaultError> {
        if header.vault != session.vault || header.item != session.item {
            return Err(rejected("it is of another vault or item than the session"));
        }
        let joined = self.db().joined_key_sets(session.container).await?;
        match joined.contains(&header.key_set) {
            true => Ok(()),
            false => Err(rejected("it is of a key set that the machine has not joined")),
        }
    }

    /// Whether this very point exists already. Another one with its id is an error.
    async fn is_done(&self, new: &NewPoint) -> Result<Option<Committed>, VaultError> {
        let row = self.db().point(new.vault, PointsOf::Vault, new.id).await?;
        row.map(|row| same(&row, new)).transpose()
    }

    async fn check_predecessor(&self, new: &NewPoint) -> Result<(), VaultError> {
        let latest = self.db().latest_point(new.item).await?;
        let expected = latest.map(|(_, digest)| digest);
        match expected == new.predecessor {
            true => Ok(()),
            false => Err(VaultError::PredecessorMismatch { expected }),
        }
    }

    /// Sees that everything below the root is there, and marks the pages that it read, bottom first: at every instant
    /// what is marked is complete. A mark is a truth about a page, not about this point, so it may come before the point.
    async fn verify_tree(&self, new: &NewPoint) -> Result<(), VaultError> {
        let found = walk(self, new.vault, new.root, Extent::Unverified).await?;
        for level in complete(found)?.iter().rev() {
            for batch in level.chunks(IDS_MAX) {
                self.db().mark_verified(new.vault, batch).await?;
            }
        }
        Ok(())
    }

    async fn insert(&self, session: &SessionRow, new: NewPoint) -> Result<Committed, VaultError> {
        let new = NewPoint {
            committed: self.now(),
            ..new
        };
        match self.db().commit_point(session.id, &new).await? {
            CommitRow::Committed => Ok(committed(&new)),
            CommitRow::Exists(row) => same(&row, &new),
            CommitRow::PredecessorMismatch(expected) => Err(VaultError::PredecessorMismatch { expected }),
            CommitRow::TooMany => Err(self.too_many_points(new.item).await?),
            CommitRow::SessionExpired => Err(VaultError::SessionExpired),
            // Collected between: the client sends it again.
            CommitRow::RootNotVerified => Err(VaultError::BlobsMissing {
                missing: vec![new.root],
                truncated: true,
            }),
        }
    }
}

/// The pages that were read, if nothing was missing or wrong.
fn complete(found: Found) -> Result<Vec<Vec<strongroom_model::BlobId>>, VaultError> {
    if let Some(why) = found.misplaced {
        return Err(rejected(why));
    }
    if let Some(damage) = found.damages.into_iter().next() {
        return Err(VaultError::Damaged(damage));
    }
    match found.missing.is_empty() {
        true => Ok(found.pages),
        false => Err(VaultError::BlobsMissing {
            missing: found.missing.into_iter().collect(),
            truncated: found.is_truncated,
        }),
    }
}

fn same(row: &PointRow, new: &NewPoint) -> Result<Committed, VaultError> {
    match row.digest == new.digest {
        true => Ok(committed(new)),
        false => Err(rejected("another recovery point has its id")),
    }
}

fn committed(new: &NewPoint) -> Committed {
    Committed {
        point: new.id,
        digest: new.digest,
    }
}

fn draft(header: &PointHeader, bytes: &[u8]) -> NewPoint {
    NewPoint {
        id: header.point,
        vault: header.vault,
        item: header.item,
        key_set: header.key_set,
        root: header.root,
        created: header.created,
        consistency: header.consistency as u8,
        total_bytes: header.total_bytes,
        new_bytes: header.new_bytes,
        files: header.files,
        size: bytes.len() as u64,
        digest: point_digest(bytes),
        predecessor: header.predecessor,
        // Set when the row is inserted.
        committed: header.created,
    }
}

fn rejected(why: impl std::fmt::Display) -> VaultError {
    VaultError::PointRejected { why: why.to_string() }
}
