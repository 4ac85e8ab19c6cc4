//! Registered machines, as people see them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::policy::Workload;
use strongroom_model::{ContainerId, ItemId, MachineName};

/// A machine that is registered in a vault, or a virtual machine that a host has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerView {
    /// Names it for ever.
    pub id: ContainerId,
    /// Its name.
    pub name: MachineName,
    /// What it protects: its files and folders.
    pub item: ItemId,
    /// When it was registered, or first found, the last time.
    pub registered: Timestamp,
    /// What kind of thing it protects.
    pub workload: Workload,
    /// The machine that backs it up, if it is a virtual machine that a registered host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<ContainerId>,
}

/// Machines of a vault, by name: a page of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerList {
    /// The machines.
    pub containers: Vec<ContainerView>,
    /// What to say as `after` for the next page; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which machines to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerFilter {
    /// Those whose names come after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}
