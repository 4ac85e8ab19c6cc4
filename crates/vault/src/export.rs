//! Export: recovery points that somebody has given out for a disk, sealed as they are. The vault opens nothing here, either.

use bytes::Bytes;
use strongroom_db::{IDS_MAX, PointsOf};
use strongroom_model::{BlobId, KeySetId, PointId, VaultId};

use crate::damage::read_whole;
use crate::{Damage, VaultError, Vaults, key_set_key};

/// The objects of a recovery point beside its blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointExport {
    /// The recovery point's object.
    pub point: Bytes,
    /// `vault.json`, or what is wrong with it.
    pub vault_file: Result<Bytes, Damage>,
    /// The key sets that hold the point's master key, or what is wrong with them.
    pub key_sets: Vec<(KeySetId, Result<Bytes, Damage>)>,
}

impl Vaults {
    /// Gives a recovery point of a vault out. What is soft-deleted is to be brought back before.
    pub async fn export_point(&self, vault: VaultId, id: PointId) -> Result<PointExport, VaultError> {
        let found = self.db().point(vault, PointsOf::Vault, id).await?;
        let point = found.ok_or(VaultError::PointNotFound)?;
        if self.item_of(point.item).await?.deleted.is_some() {
            return Err(VaultError::PointNotFound);
        }
        Ok(PointExport {
            point: self.read_point(&point).await?.map_err(VaultError::Damaged)?,
            vault_file: self.read_vault_file(vault).await?,
            key_sets: self.key_sets_like(vault, point.key_set).await?,
        })
    }

    /// A key set, and those that hold the same master key.
    async fn key_sets_like(
        &self,
        vault: VaultId,
        id: KeySetId,
    ) -> Result<Vec<(KeySetId, Result<Bytes, Damage>)>, VaultError> {
        let store = self.store(vault).await?;
        let rows = self.db().key_sets(vault).await?;
        let verifier = rows.iter().find(|row| row.id == id).map(|row| row.verifier);
        let mut sets = Vec::new();
        for row in rows.iter().filter(|row| Some(row.verifier) == verifier) {
            let read = read_whole(&*store, &key_set_key(row.id), row.size, row.digest).await?;
            sets.push((row.id, read));
        }
        Ok(sets)
    }

    /// How many bytes each blob has; 0: the vault does not have it. At most [`IDS_MAX`] identities.
    pub async fn blob_sizes(&self, vault: VaultId, ids: &[BlobId]) -> Result<Vec<u32>, VaultError> {
        if ids.len() > IDS_MAX {
            return Err(VaultError::TooManyIds);
        }
        let places = self.db().locate_blobs(vault, ids).await?;
        Ok(ids
            .iter()
            .map(|id| places.get(id).map_or(0, |place| place.size))
            .collect())
    }
}
