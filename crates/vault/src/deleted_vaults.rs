//! Soft-deleted vaults: kept for some days with the soft-deleted items in them, brought back, or gone for good.
//!
//! Nothing happens in one: no machine is registered in it, its items are not found, none of them goes before the vault. So
//! none of the other modules has to know of them.

use jiff::Timestamp;
use strongroom_db::{ItemQuery, VaultRow, VaultSoftDeleted, VaultUndeleted};
use strongroom_model::{SoftDelete, VaultId};

use crate::items::{days_from, refuse_deletion};
use crate::{Pass, VaultError, VaultInfo, Vaults};

/// So many items, or vaults, are looked at at a time.
const BATCH: u32 = 200;

impl Vaults {
    /// All soft-deleted vaults, those that were deleted last first.
    pub async fn deleted_vaults(&self) -> Result<Vec<VaultInfo>, VaultError> {
        self.with_figures(self.db().deleted_vaults().await?).await
    }

    /// The soft-deleted vault with this id.
    pub async fn deleted_vault(&self, id: VaultId) -> Result<VaultInfo, VaultError> {
        let mut found = self.db().deleted_vaults().await?;
        found.retain(|vault| vault.id == id);
        self.with_figures(found)
            .await?
            .pop()
            .ok_or(VaultError::DeletedVaultNotFound)
    }

    /// Soft-deletes a vault that holds nothing but soft-deleted items, for as long as it would keep an item that is deleted
    /// now. An immutable one is refused until the time of all points in it has come.
    pub(crate) async fn soft_delete(&self, vault: VaultRow) -> Result<VaultRow, VaultError> {
        self.check_points_are_free(&vault).await?;
        let now = self.now();
        let days = match vault.settings.soft_delete {
            // Then the vault stays as long as what was deleted before.
            SoftDelete::Disabled => 0,
            _ => vault.settings.soft_delete_days,
        };
        let purge = days_from(now, days);
        match self.db().soft_delete_vault(vault.id, vault.version, purge, now).await? {
            VaultSoftDeleted::Deleted(deleted) => Ok(*deleted),
            VaultSoftDeleted::NotEmpty(figures) => {
                let name = vault.name;
                Err(VaultError::VaultNotEmpty { name, figures })
            }
            VaultSoftDeleted::OtherVersion(version) => Err(VaultError::OtherVersion { version }),
            VaultSoftDeleted::Absent => Err(VaultError::VaultNotFound),
        }
    }

    /// An immutable vault does not go, not even softly, before the points in it could.
    async fn check_points_are_free(&self, vault: &VaultRow) -> Result<(), VaultError> {
        if !vault.settings.is_immutable() {
            return Ok(());
        }
        let mut query = ItemQuery {
            limit: BATCH,
            ..ItemQuery::default()
        };
        loop {
            let (items, next) = self.db().items(vault.id, &query).await?;
            for item in items {
                if let Some(aging) = self.db().aging_item(item.id).await? {
                    refuse_deletion(&aging, &vault.settings, self.now())?;
                }
            }
            let Some(next) = next else { return Ok(()) };
            query.after = next;
        }
    }

    /// Brings a soft-deleted vault back as it was, with its items, which are still soft-deleted. It has its old name: the
    /// vault's object says it too, and is not written twice.
    pub async fn undelete_vault(&self, id: VaultId) -> Result<VaultInfo, VaultError> {
        let found = self.deleted_vault(id).await?;
        match self.db().undelete_vault(id, self.now()).await? {
            VaultUndeleted::Undeleted(vault) => Ok(VaultInfo { vault: *vault, ..found }),
            VaultUndeleted::NameTaken => Err(VaultError::VaultNameReused { name: found.vault.name }),
            VaultUndeleted::Absent => Err(VaultError::DeletedVaultNotFound),
        }
    }

    /// Deletes soft-deleted vaults whose days were over at that moment, which is believed: what is in them, their
    /// objects, and then the vaults. A crash between leaves the rest to the next call.
    pub async fn purge_vaults(&self, now: Timestamp) -> Result<Pass<VaultId, VaultRow>, VaultError> {
        let mut pass = Pass::new();
        while let Some(skip) = pass.skip() {
            let vaults = self.db().vaults_to_purge(now, skip, BATCH).await?;
            if vaults.is_empty() {
                break;
            }
            for vault in vaults {
                let purged = self.purge_vault(&vault, now).await;
                if let Some(true) = pass.note(vault.id, purged) {
                    pass.gone.push(vault);
                }
            }
        }
        Ok(pass)
    }

    /// `false`: its time has not come, or somebody brought it back.
    async fn purge_vault(&self, vault: &VaultRow, now: Timestamp) -> Result<bool, VaultError> {
        if !self.db().empty_vault(vault.id, now).await? {
            return Ok(false);
        }
        self.delete_objects(vault).await?;
        self.db().forget_purged_vault(vault.id).await?;
        Ok(true)
    }
}
