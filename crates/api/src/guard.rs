//! Resource guards, and requests for a second person's approval.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{
    ApprovalId, ApprovalState, GuardName, GuardedOperation, MachineName, PolicyName, ResourceGroupName, VaultName,
};

/// Asks for a new resource guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGuard {
    /// Its name.
    pub name: GuardName,
    /// What it leaves alone; it guards everything else.
    #[serde(default)]
    pub except: Vec<GuardedOperation>,
}

/// One resource guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardView {
    /// Its name.
    pub name: GuardName,
    /// The resource group that it lies in: whoever owns that is the second person.
    pub resource_group: ResourceGroupName,
    /// What it guards.
    pub operations: Vec<GuardedOperation>,
    /// The vaults that are under it, by name.
    pub vaults: Vec<VaultName>,
    /// When it was made.
    pub created: Timestamp,
}

/// The resource guards of a resource group, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuardList {
    /// The guards.
    pub guards: Vec<GuardView>,
}

/// Names the guard that a vault is put under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetVaultGuard {
    /// The resource group of the guard.
    pub resource_group: ResourceGroupName,
    /// Its name.
    pub guard: GuardName,
}

/// The guard that a vault is under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VaultGuardView {
    /// Its name.
    pub guard: GuardName,
    /// The resource group that it lies in.
    pub resource_group: ResourceGroupName,
    /// What needs a second person's approval in the vault.
    pub operations: Vec<GuardedOperation>,
    /// Since when.
    pub since: Timestamp,
    /// What the caller should know: who owns vault and guard alike is hardly a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Asks for a second person's approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestApproval {
    /// What is to be done.
    pub operation: GuardedOperation,
    /// To which item, if it is done to one; an id is a possible name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<MachineName>,
    /// To which policy, if it is done to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// Why, for whoever decides.
    #[serde(default)]
    pub reason: String,
}

/// One request for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalView {
    /// Its id.
    pub id: ApprovalId,
    /// The vault.
    pub vault: VaultName,
    /// What is to be done.
    pub operation: GuardedOperation,
    /// The item or policy that it is done to; empty: the vault itself.
    pub subject: String,
    /// Why, in the requester's words.
    pub reason: String,
    /// What has become of it.
    pub state: ApprovalState,
    /// Who asked, and is to do it.
    pub requester: String,
    /// When it was asked for.
    pub requested: Timestamp,
    /// Until when it can be decided about; once it is approved, until when it is good.
    pub ends: Timestamp,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Timestamp>,
    /// When it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
}

/// Requests for approval, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalList {
    /// The requests.
    pub approvals: Vec<ApprovalView>,
}
