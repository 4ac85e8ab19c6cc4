//! Listing recovery points, and reading their objects.

use bytes::Bytes;
use strongroom_db::{PointRow, PointsOf, Viewer};
use strongroom_model::{MachineName, PointId, VaultId};

use crate::damage::read_whole;
use crate::{Damage, VaultError, Vaults, key_set_key, point_key, vault_file_key};

/// Which recovery points a machine wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PointFilter {
    /// Its own.
    #[default]
    Own,
    /// All that it may read: its own, and those of key sets that it has joined or proves to have opened.
    All,
    /// Those of them that a machine of this name made (without regard to case).
    Machine(MachineName),
}

impl Vaults {
    /// The recovery points that a machine may read, oldest first.
    pub async fn points(&self, viewer: impl Into<Viewer>, filter: &PointFilter) -> Result<Vec<PointRow>, VaultError> {
        let viewer = viewer.into();
        let container = self.container(viewer.container).await?;
        let readable = self.db().points(container.vault, PointsOf::Readable(viewer)).await?;
        let wanted = |point: &PointRow| match filter {
            PointFilter::Own => point.item == container.item,
            PointFilter::All => true,
            PointFilter::Machine(name) => point.machine.folded() == name.folded(),
        };
        Ok(readable.into_iter().filter(wanted).collect())
    }

    /// All recovery points of a vault, oldest first: for its administrators.
    pub async fn vault_points(&self, vault: VaultId) -> Result<Vec<PointRow>, VaultError> {
        Ok(self.db().points(vault, PointsOf::Vault).await?)
    }

    /// A recovery point that a machine may read. One that it may not is like one that does not exist.
    pub async fn point(&self, viewer: impl Into<Viewer>, id: PointId) -> Result<PointRow, VaultError> {
        let viewer = viewer.into();
        let vault = self.container(viewer.container).await?.vault;
        let point = self.db().point(vault, PointsOf::Readable(viewer), id).await?;
        point.ok_or(VaultError::PointNotFound)
    }

    /// The stored object of a recovery point, checked.
    pub async fn point_object(&self, viewer: impl Into<Viewer>, id: PointId) -> Result<Bytes, VaultError> {
        let point = self.point(viewer, id).await?;
        self.read_point(&point).await?.map_err(VaultError::Damaged)
    }

    /// Checks the few objects of a recovery point that its restore does not read: `vault.json`, and its key set and
    /// itself too.
    pub async fn check_point(&self, viewer: impl Into<Viewer>, id: PointId) -> Result<Vec<Damage>, VaultError> {
        let point = self.point(viewer, id).await?;
        let mut damages = self.check_vault_file(point.vault).await?;
        damages.extend(self.check_key_set(&point).await?);
        damages.extend(self.read_point(&point).await?.err());
        Ok(damages)
    }

    pub(crate) async fn read_point(&self, point: &PointRow) -> Result<Result<Bytes, Damage>, VaultError> {
        let store = self.store(point.vault).await?;
        read_whole(&*store, &point_key(point.item, point.id), point.size, point.digest).await
    }

    pub(crate) async fn check_vault_file(&self, vault: VaultId) -> Result<Vec<Damage>, VaultError> {
        Ok(self.read_vault_file(vault).await?.err().into_iter().collect())
    }

    pub(crate) async fn read_vault_file(&self, vault: VaultId) -> Result<Result<Bytes, Damage>, VaultError> {
        let (store, row) = (self.store(vault).await?, self.vault(vault).await?);
        let key = vault_file_key();
        let size = match store.size(&key).await {
            Ok(size) => size.min(strongroom_format::vaultfile::VAULT_FILE_BYTES_MAX as u64),
            Err(error) => return crate::damage::unreadable(&key, error).map(Err),
        };
        read_whole(&*store, &key, size, row.file_digest).await
    }

    async fn check_key_set(&self, point: &PointRow) -> Result<Option<Damage>, VaultError> {
        let Some(row) = self.db().key_set(point.vault, point.key_set).await? else {
            return Ok(Some(Damage::of_index(format!(
                "key set {} is not there",
                point.key_set
            ))));
        };
        let store = self.store(point.vault).await?;
        let read = read_whole(&*store, &key_set_key(row.id), row.size, row.digest).await?;
        Ok(read.err())
    }
}
