//! Resource groups: what vaults lie in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use strongroom_model::{Region, ResourceGroupName};

/// Asks for a new resource group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateResourceGroup {
    /// Its name.
    pub name: ResourceGroupName,
    /// Where it is said to be; its vaults may be elsewhere.
    #[serde(default)]
    pub region: Region,
    /// What people write on it.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 50, "propertyNames" = json!({"maxLength": 512, "pattern": r"^[^\x00]*$"}),
        "additionalProperties" = json!({"type": "string", "maxLength": 256})))]
    pub tags: BTreeMap<String, String>,
}

/// One resource group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceGroupView {
    /// Its name.
    pub name: ResourceGroupName,
    /// Where it is said to be.
    pub region: Region,
    /// What people wrote on it.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

/// The resource groups that the caller may see, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceGroupList {
    /// The resource groups.
    pub resource_groups: Vec<ResourceGroupView>,
}
