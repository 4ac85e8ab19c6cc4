//! The vault of a path: found, shown, and its record changed.

use jiff::Timestamp;
use serde_json::{Value, json};
use strongroom_model::{VaultName, VaultSettings};
use strongroom_vault::{GuardRow, VaultError, VaultInfo};

use super::access;
use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::names::{VAULT_KIND, VaultPath};
use super::record::Record;
use crate::refusal::Refusal;
use crate::vault_refusal::refuse;

/// A vault, and what Azure's clients said about it.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) info: VaultInfo,
    pub(crate) record: Record,
    /// What it is under, and since when.
    pub(crate) guard: Option<(GuardRow, Timestamp)>,
    version: i64,
    pub(crate) path: VaultPath,
}

/// The vault of the path.
pub(crate) async fn find(call: &Call) -> ArmResult<Vault> {
    let (group, name) = (call.parameter("resourceGroupName"), call.parameter("vaultName"));
    let absent = || ArmError::no_resource(VAULT_KIND, name, group);
    let parsed: VaultName = name.parse().map_err(|_| absent())?;
    let info = match call.shared.vaults.show(&parsed).await {
        Err(VaultError::VaultNotFound) => return Err(absent()),
        shown => shown.map_err(refuse)?,
    };
    let vault = with_record(call, info).await?;
    match vault.info.vault.resource_group.as_str().eq_ignore_ascii_case(group) {
        true => Ok(vault),
        false => Err(absent()),
    }
}

/// A vault with its record.
pub(crate) async fn with_record(call: &Call, info: VaultInfo) -> ArmResult<Vault> {
    let read = call.shared.db.vault_record(info.vault.id).await;
    let read = read.map_err(|error| refuse(error.into()))?;
    let version = read.as_ref().map_or(0, |read| read.version);
    let record: Record = match read {
        None => Record::default(),
        Some(read) => serde_json::from_str(&read.document)
            .map_err(|error| Refusal::internal("read what was said about the vault", error))?,
    };
    let guard = call.shared.db.guard_of(info.vault.id).await;
    let guard = guard.map_err(|error| refuse(error.into()))?;
    let path = call
        .tenancy
        .vault_id(info.vault.resource_group.as_str(), info.vault.name.as_str());
    Ok(Vault {
        info,
        record,
        guard,
        version,
        path,
    })
}

impl Vault {
    /// Writes the record, if nobody else has meanwhile.
    pub(crate) async fn write_record(&mut self, call: &Call) -> ArmResult<()> {
        let text = self.record.text()?;
        let written = call
            .shared
            .db
            .write_vault_record(self.info.vault.id, self.version, &text)
            .await;
        match written.map_err(|error| refuse(error.into()))? {
            true => {
                self.version += 1;
                Ok(())
            }
            false => Err(ArmError::conflict(
                "Conflict",
                "Another request changed the vault at the same time: read it again and repeat yours.",
            )),
        }
    }

    /// Changes what guards the vault's data, if that is a change.
    pub(crate) async fn change_settings(&mut self, call: &Call, next: VaultSettings) -> ArmResult<()> {
        let vault = &mut self.info.vault;
        if vault.settings != next {
            let (by, version) = (access::actor(call)?, Some(vault.version));
            let changed = call.shared.vaults.change_settings(&by, vault.id, next, version);
            *vault = changed.await?;
        }
        Ok(())
    }

    /// As all clients know a vault.
    pub(crate) fn view(&self) -> Value {
        let vault = &self.info.vault;
        let mut properties = self.record.said();
        properties.insert("provisioningState".into(), "Succeeded".into());
        properties.insert("privateEndpointStateForBackup".into(), "None".into());
        properties.insert("privateEndpointStateForSiteRecovery".into(), "None".into());
        properties.insert(
            "redundancySettings".into(),
            json!({
                "standardTierStorageRedundancy": vault.redundancy.to_string(),
                "crossRegionRestore": "Disabled",
            }),
        );
        properties.insert(
            "securitySettings".into(),
            super::security::view(&vault.settings, self.guard.is_some()),
        );
        json!({
            "id": self.path.0,
            "name": vault.name,
            "type": VAULT_KIND,
            "location": vault.region,
            "etag": self.etag(),
            "sku": { "name": "Standard" },
            "tags": self.record.tags,
            "properties": properties,
        })
    }

    pub(crate) fn etag(&self) -> String {
        format!("\"{}-{}\"", self.info.vault.id, self.version)
    }
}
