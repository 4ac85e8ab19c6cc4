//! Recovery points, as they are listed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{BlobId, Digest, ItemId, KeySetId, MachineName, PointId, VaultId};

/// One recovery point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointView {
    /// Names it.
    pub id: PointId,
    /// The vault that holds it.
    pub vault: VaultId,
    /// What it is a point of.
    pub item: ItemId,
    /// The machine that made it.
    pub machine: MachineName,
    /// The key set that opens it.
    pub key_set: KeySetId,
    /// Its topmost page.
    pub root: BlobId,
    /// When the machine made it, by the machine's clock.
    pub created: Timestamp,
    /// When the service took it in, by the service's clock.
    pub committed: Timestamp,
    /// How consistent it is.
    pub consistency: String,
    /// The size of everything in it, in bytes.
    pub total_bytes: u64,
    /// The bytes that it added to the vault.
    pub new_bytes: u64,
    /// How many entries it has.
    pub files: u64,
    /// BLAKE3 of its object.
    pub digest: Digest,
    /// BLAKE3 of its predecessor's object.
    pub predecessor: Option<Digest>,
}

/// Recovery points, newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointList {
    /// The points.
    pub points: Vec<PointView>,
}

/// Which recovery points a machine lists: its own, if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointQuery {
    /// Those of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineName>,
    /// Those of all machines whose key sets the caller has joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// An object that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Damage {
    /// The object's key in the vault's store.
    pub object: String,
    /// What is wrong with it.
    pub why: String,
}

/// What re-reading found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubReport {
    /// The damaged objects; empty when all is well.
    pub damages: Vec<Damage>,
}
