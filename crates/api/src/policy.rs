//! Policies, as they are listed and changed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::PolicyName;
use strongroom_model::policy::{Policy, Workload};

/// Asks for a new policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePolicy {
    /// Its name.
    pub name: PolicyName,
    /// What it is for.
    pub workload: Workload,
    /// Its rules.
    pub rules: Policy,
}

/// Asks for other rules of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePolicy {
    /// Its rules from now on.
    pub rules: Policy,
}

/// A policy of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyView {
    /// Its name.
    pub name: PolicyName,
    /// What it is for.
    pub workload: Workload,
    /// Its rules.
    pub rules: Policy,
    /// How many items are under it.
    pub items: u64,
    /// Grows with each change; also in the header `ETag`.
    pub version: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed, the last time.
    pub changed: Timestamp,
}

/// The policies of a vault, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyList {
    /// The policies.
    pub policies: Vec<PolicyView>,
}
