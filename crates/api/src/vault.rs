//! Vaults, as administrators see them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{Redundancy, Region, ResourceGroupName, VaultId, VaultName};

/// Asks for a new vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVault {
    /// Its name.
    pub name: VaultName,
    /// The resource group that it shall lie in.
    #[serde(default)]
    pub resource_group: ResourceGroupName,
    /// Where its objects are kept.
    #[serde(default)]
    pub region: Region,
    /// How many places keep them.
    #[serde(default)]
    pub redundancy: Redundancy,
}

/// One vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VaultView {
    /// Names it for ever.
    pub id: VaultId,
    /// Its name.
    pub name: VaultName,
    /// The resource group that it lies in.
    pub resource_group: ResourceGroupName,
    /// Where its objects are kept.
    pub region: Region,
    /// How many places keep them.
    pub redundancy: Redundancy,
    /// When it was made.
    pub created: Timestamp,
    /// How many machines are registered in it.
    pub machines: u64,
    /// How many recovery points it holds.
    pub points: u64,
    /// How many bytes its packs occupy.
    pub stored_bytes: u64,
}

/// All vaults, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VaultList {
    /// The vaults.
    pub vaults: Vec<VaultView>,
}

/// What became of a vault that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VaultDeletion {
    /// The vault as it can be brought back; none if it held nothing, and is gone.
    pub kept: Option<DeletedVaultView>,
}

/// A soft-deleted vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeletedVaultView {
    /// Names it for ever.
    pub id: VaultId,
    /// Its name, which other vaults may have too.
    pub name: VaultName,
    /// The resource group that it lay in, and will.
    pub resource_group: ResourceGroupName,
    /// Where its objects are kept.
    pub region: Region,
    /// When it was deleted.
    pub deleted: Timestamp,
    /// When it goes for good; none once that has begun.
    pub purged_at: Option<Timestamp>,
    /// How many recovery points it holds.
    pub points: u64,
    /// How many bytes its packs occupy.
    pub stored_bytes: u64,
}

/// Soft-deleted vaults, those that were deleted last first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeletedVaultList {
    /// The vaults.
    pub vaults: Vec<DeletedVaultView>,
}
