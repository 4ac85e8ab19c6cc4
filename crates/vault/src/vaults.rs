//! All vaults of a service: create, list, show, delete.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::SignedDuration;
use strongroom_db::{Actor, Db, DbError, VaultDeleted, VaultFigures, VaultRow};
use strongroom_format::keyset::Hex;
use strongroom_format::point::point_digest;
use strongroom_format::vaultfile::VaultFile;
use strongroom_model::{Clock, ContainerId, Redundancy, Region, ResourceGroupName, VaultId, VaultName, VaultSettings};
use strongroom_store::{Store, StoreError};

use crate::gate::{Corridors, Gates};
use crate::guards::{Subject, Wish};
use crate::{Container, Entropy, LEASE_DEFAULT, VaultError, fresh, vault_file_key};

/// Opens the store of a vault in a region. It is called once for each vault that is used.
pub type Stores = Box<dyn Fn(VaultId, &Region) -> Result<Arc<dyn Store>, StoreError> + Send + Sync>;

/// What vaults stand on.
pub struct Options {
    /// Where their objects are.
    pub stores: Stores,
    /// What time it is.
    pub clock: Clock,
    /// Where ids and salts come from.
    pub entropy: Entropy,
    /// How long a session lives without a call.
    pub lease: SignedDuration,
    /// A step of the clock larger than this is a jump. Looks at the clock must be much closer together.
    pub clock_jump: SignedDuration,
}

impl Options {
    /// With the default lease and an hour for a jump.
    pub fn new(stores: Stores, clock: Clock, entropy: Entropy) -> Self {
        Self {
            stores,
            clock,
            entropy,
            lease: LEASE_DEFAULT,
            clock_jump: SignedDuration::from_hours(1),
        }
    }
}

/// All vaults of a service. A handle: clones are the same vaults.
#[derive(Clone)]
pub struct Vaults(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) options: Options,
    pub(crate) gates: Gates,
    /// Who takes in a pack or a point of a machine is inside.
    pub(crate) ingests: Corridors,
    opened: Mutex<HashMap<VaultId, Arc<dyn Store>>>,
}

impl fmt::Debug for Vaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vaults({:?})", self.0.db)
    }
}

/// A vault to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVault {
    /// Its name.
    pub name: VaultName,
    /// The resource group that it shall lie in.
    pub resource_group: ResourceGroupName,
    /// Where its objects are kept.
    pub region: Region,
    /// In how many places.
    pub redundancy: Redundancy,
}

/// A vault and how much is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultInfo {
    /// The vault.
    pub vault: VaultRow,
    /// How much is in it.
    pub figures: VaultFigures,
}

impl Vaults {
    /// The vaults that `db` knows.
    pub fn open(db: Db, options: Options) -> Vaults {
        Vaults(Arc::new(Inner {
            db,
            options,
            gates: Gates::new(),
            ingests: Corridors::new(),
            opened: Mutex::default(),
        }))
    }

    /// Makes a vault.
    pub async fn create(&self, new: &NewVault) -> Result<VaultInfo, VaultError> {
        let taken = || VaultError::VaultNameTaken { name: new.name.clone() };
        if self.db().vault_by_name(&new.name).await?.is_some() {
            return Err(taken());
        }
        let (vault, file) = self.draft(new);
        let store = self.open_store(vault.id, &new.region)?;
        store.put(&vault_file_key(), file).await?;
        let inserted = self.db().insert_vault(&vault).await;
        if let Ok(true) = inserted {
            self.add_default_policies(vault.id).await?;
            let figures = VaultFigures::default();
            return Ok(VaultInfo { vault, figures });
        }
        if let Ok(false) | Err(DbError::NoResourceGroup) = inserted {
            // Its id was never told to anybody: nothing but this call knows of the object.
            store.delete(&vault_file_key()).await?;
            self.close_store(vault.id);
        }
        inserted?;
        Err(taken())
    }

    /// A new vault, and its `vault.json`.
    fn draft(&self, new: &NewVault) -> (VaultRow, Bytes) {
        let created = self.now();
        let salt: [u8; 32] = fresh::bytes(self.entropy());
        let file = VaultFile {
            format: VaultFile::FORMAT,
            id: VaultId::from_uuid(fresh::uuid(created, self.entropy())),
            name: new.name.clone(),
            created,
            region: new.region.clone(),
            redundancy: new.redundancy,
            salt: Hex(salt.to_vec()),
        };
        let bytes = file.encode();
        let vault = VaultRow {
            id: file.id,
            name: file.name,
            resource_group: new.resource_group.clone(),
            region: file.region,
            redundancy: new.redundancy,
            created,
            salt,
            file_digest: point_digest(&bytes),
            settings: VaultSettings::default(),
            version: 1,
            deleted: None,
            purge_at: None,
        };
        (vault, bytes.into())
    }

    /// All vaults, by name.
    pub async fn list(&self) -> Result<Vec<VaultInfo>, VaultError> {
        self.with_figures(self.db().vaults().await?).await
    }

    pub(crate) async fn with_figures(&self, vaults: Vec<VaultRow>) -> Result<Vec<VaultInfo>, VaultError> {
        let mut infos = Vec::new();
        for vault in vaults {
            let figures = self.db().vault_figures(vault.id).await?;
            infos.push(VaultInfo { vault, figures });
        }
        Ok(infos)
    }

    /// The vault of this name, without regard to case.
    pub async fn show(&self, name: &VaultName) -> Result<VaultInfo, VaultError> {
        let vault = self.db().vault_by_name(name).await?;
        let vault = vault.ok_or(VaultError::VaultNotFound)?;
        let figures = self.db().vault_figures(vault.id).await?;
        Ok(VaultInfo { vault, figures })
    }

    /// The vault of this name, without regard to case, and nothing of what is in it.
    pub async fn by_name(&self, name: &VaultName) -> Result<VaultRow, VaultError> {
        let found = self.db().vault_by_name(name).await?;
        found.ok_or(VaultError::VaultNotFound)
    }

    /// The vault with this id.
    pub async fn vault(&self, id: VaultId) -> Result<VaultRow, VaultError> {
        self.db().vault(id).await?.ok_or(VaultError::VaultNotFound)
    }

    /// Changes the settings that guard a vault's data, if it still has `version` (if one is given).
    pub async fn change_settings(
        &self,
        by: &Actor,
        id: VaultId,
        settings: VaultSettings,
        version: Option<u64>,
    ) -> Result<VaultRow, VaultError> {
        let before = self.vault(id).await?;
        let operations = before.settings.guarded(&settings);
        let wish = Wish {
            vault: id,
            by,
            operations: &operations,
            subject: &Subject::Vault,
        };
        // What somebody had to approve, or nobody, is a change from `before`, not from what others make of it meanwhile.
        let version = version.unwrap_or(before.version);
        let decide = move |vault: &VaultRow| {
            if version != vault.version {
                return Err(VaultError::OtherVersion { version: vault.version });
            }
            match vault.settings.refuses(&settings) {
                Some(why) => Err(VaultError::SettingsRefused { why }),
                None => Ok(settings),
            }
        };
        let changed = async {
            let changed = self.db().change_vault(id, self.now(), decide).await?;
            changed.ok_or(VaultError::VaultNotFound)?
        };
        self.guarded(wish, changed).await
    }

    /// Deletes a vault. One that holds nothing goes for good: first its rows, then its objects; a crash between leaves objects
    /// that nothing refers to. One that holds nothing but soft-deleted items is soft-deleted: it is returned with the moment
    /// at which it goes. Its name is free in both cases.
    ///
    /// # Errors
    /// [`VaultError::VaultNotEmpty`] and [`VaultError::Immutable`] among others.
    pub async fn delete(&self, name: &VaultName) -> Result<VaultRow, VaultError> {
        let vault = self.db().vault_by_name(name).await?;
        let vault = vault.ok_or(VaultError::VaultNotFound)?;
        match self.db().delete_vault(vault.id).await? {
            VaultDeleted::Deleted => {}
            VaultDeleted::Absent => return Err(VaultError::VaultNotFound),
            VaultDeleted::NotEmpty(figures) if figures.containers + figures.items > 0 => {
                let name = vault.name;
                return Err(VaultError::VaultNotEmpty { name, figures });
            }
            VaultDeleted::NotEmpty(_) => return self.soft_delete(vault).await,
        }
        self.delete_objects(&vault).await?;
        Ok(vault)
    }

    /// Deletes all objects of a vault that has no rows any more.
    pub(crate) async fn delete_objects(&self, vault: &VaultRow) -> Result<(), VaultError> {
        let store = self.open_store(vault.id, &vault.region)?;
        for object in store.list("").await? {
            store.delete(&object.key).await?;
        }
        self.close_store(vault.id);
        Ok(())
    }

    /// The container with this id.
    pub async fn container(&self, id: ContainerId) -> Result<Container, VaultError> {
        self.db().container(id).await?.ok_or(VaultError::ContainerNotFound)
    }

    /// The store of a vault.
    pub(crate) async fn store(&self, vault: VaultId) -> Result<Arc<dyn Store>, VaultError> {
        if let Some(store) = self.opened().get(&vault) {
            return Ok(store.clone());
        }
        let row = self.vault(vault).await?;
        self.open_store(vault, &row.region)
    }

    fn open_store(&self, vault: VaultId, region: &Region) -> Result<Arc<dyn Store>, VaultError> {
        let mut opened = self.opened();
        if let Some(store) = opened.get(&vault) {
            return Ok(store.clone());
        }
        let store = (self.0.options.stores)(vault, region)?;
        opened.insert(vault, store.clone());
        Ok(store)
    }

    fn close_store(&self, vault: VaultId) {
        self.opened().remove(&vault);
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<VaultId, Arc<dyn Store>>> {
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(crate) fn entropy(&self) -> &Entropy {
        &self.0.options.entropy
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.0.options.clock.now()
    }
}
