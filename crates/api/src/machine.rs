//! Registered machines.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{ContainerId, ItemId, MachineName, VaultId, VaultName};

/// A machine asks to be registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// How it wants to be called.
    pub machine: MachineName,
    /// The public half of the key that it made, base64 in JSON.
    #[serde(with = "crate::base64_bytes")]
    #[schemars(with = "String", extend("contentEncoding" = "base64", "pattern" = crate::base64_bytes::PATTERN_32))]
    pub public_key: [u8; 32],
}

/// What a machine is told when it was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    /// The machine's id, with which it signs in from now on.
    pub container: ContainerId,
    /// What it protects: its files and folders.
    pub item: ItemId,
    /// Its vault's id.
    pub vault: VaultId,
    /// Its vault's name.
    pub vault_name: VaultName,
    /// The vault's salt for passphrases, base64 in JSON.
    #[serde(with = "crate::base64_bytes")]
    #[schemars(with = "String", extend("contentEncoding" = "base64", "pattern" = crate::base64_bytes::PATTERN_32))]
    pub salt: [u8; 32],
    /// The service's time.
    pub server_time: Timestamp,
}

/// A registered machine, as the service knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineView {
    /// The machine's id.
    pub container: ContainerId,
    /// Its name.
    pub name: MachineName,
    /// What it protects.
    pub item: ItemId,
    /// Its vault's id.
    pub vault: VaultId,
    /// Its vault's name.
    pub vault_name: VaultName,
    /// The vault's salt for passphrases, base64 in JSON.
    #[serde(with = "crate::base64_bytes")]
    #[schemars(with = "String", extend("contentEncoding" = "base64", "pattern" = crate::base64_bytes::PATTERN_32))]
    pub salt: [u8; 32],
    /// The service's time.
    pub server_time: Timestamp,
}
