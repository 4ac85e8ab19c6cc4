//! Virtual machines: what hosts find, and what people see of it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{ContainerId, ItemId, ItemState, MachineFacts, MachineName};

/// All virtual machines that a host found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundMachines {
    /// Each of them, at most 1000; a name occurs once.
    pub machines: Vec<FoundMachine>,
}

/// A virtual machine that a host found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundMachine {
    /// Its name.
    pub name: MachineName,
    /// What is known of it.
    pub facts: MachineFacts,
}

/// What became of the virtual machines that a host found, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostedMachines {
    /// Each of them.
    pub machines: Vec<HostedMachine>,
}

/// A virtual machine, for the host that found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostedMachine {
    /// Its name.
    pub name: MachineName,
    /// Its ids, with which the host signs in for it; none if another host has one of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<HostedIds>,
    /// The name of that other host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<MachineName>,
}

/// The ids of a virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostedIds {
    /// Its container's.
    pub container: ContainerId,
    /// Its item's.
    pub item: ItemId,
}

/// A virtual machine, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VirtualMachineView {
    /// Its container.
    pub container: ContainerId,
    /// Its item.
    pub item: ItemId,
    /// Its name.
    pub name: MachineName,
    /// The host that has it; none if that is not registered any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<MachineName>,
    /// What that said of it last.
    pub facts: MachineFacts,
    /// When.
    pub seen: Timestamp,
    /// Whether it was not found the last time.
    pub is_gone: bool,
    /// The state of its item.
    pub state: ItemState,
}

/// Virtual machines of a vault, by name: a page of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VirtualMachineList {
    /// The machines.
    pub virtual_machines: Vec<VirtualMachineView>,
    /// What to say as `after` for the next page; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which hosts are looking for virtual machines now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discovering {
    /// How many hosts were asked. They answer within seconds while they run.
    pub hosts: u64,
}
