//! Roles, and who has them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{AssignmentId, PrincipalId, Role, ScopeName};
use uuid::Uuid;

use crate::PrincipalKind;

/// Asks to give a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignRole {
    /// To whom: the name of a user or service principal, or the id of either.
    pub principal: String,
    /// The role.
    pub role: Role,
    /// Where it shall hold.
    pub scope: ScopeName,
}

/// One role of one principal at one scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentView {
    /// Its id.
    pub id: AssignmentId,
    /// Who has the role.
    pub principal: PrincipalId,
    /// What the principal is; missing if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PrincipalKind>,
    /// The principal's name; the id if it is gone.
    pub name: String,
    /// The role.
    pub role: Role,
    /// Where it holds.
    pub scope: ScopeName,
    /// When it was given.
    pub created: Timestamp,
    /// The name of whoever gave it.
    pub created_by: String,
}

/// The assignments that the caller may see, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssignmentList {
    /// The assignments.
    pub assignments: Vec<AssignmentView>,
}

/// What a role allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleDefinition {
    /// The id that Azure gives it.
    pub id: Uuid,
    /// The role.
    pub role: Role,
    /// One sentence for people.
    pub description: String,
    /// The actions that it allows; `*` stands for any characters.
    pub actions: Vec<String>,
}

/// All roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleDefinitionList {
    /// The roles.
    pub roles: Vec<RoleDefinition>,
}

impl RoleDefinitionList {
    /// The roles that there are.
    pub fn all() -> Self {
        let definition = |&role: &Role| RoleDefinition {
            id: role.definition(),
            role,
            description: role.description().to_owned(),
            actions: role.actions().iter().map(|&action| action.to_owned()).collect(),
        };
        Self {
            roles: Role::ALL.iter().map(definition).collect(),
        }
    }
}
