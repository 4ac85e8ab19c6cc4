//! What stands in the paths.

use strongroom_model::{
    AlertId, ApprovalId, AssignmentId, GuardName, IdentityId, JobId, KeyId, KeySetId, MachineName, PackId, PointId,
    PolicyName, PrincipalName, ResourceGroupName, SessionId, UserName, VaultId, VaultName,
};

use crate::Code;
use crate::routes::Shape;

/// A parameter of paths, wherever its name is in one.
pub(crate) struct Parameter {
    /// What it must look like.
    pub(crate) shape: Shape,
    /// What it names.
    pub(crate) what: &'static str,
    /// How a request is refused if there is no such thing, or several are called so.
    pub(crate) absent: &'static [Code],
}

/// The parameter of that name.
pub(crate) fn parameter(name: &str) -> Option<Parameter> {
    use Code::*;
    let (shape, what, absent): (_, _, &[Code]) = match name {
        "vault" => (Shape::of::<VaultName>(), "The name of a vault", &[VaultNotFound]),
        "group" => (
            Shape::of::<ResourceGroupName>(),
            "The name of a resource group",
            &[ResourceGroupNotFound],
        ),
        "virtual_machine" => (
            Shape::of::<MachineName>(),
            "The name of a virtual machine",
            &[MachineNotFound],
        ),
        "user" => (Shape::of::<UserName>(), "The name of a user", &[PrincipalNotFound]),
        "principal" => (
            Shape::of::<PrincipalName>(),
            "The name or id of a service principal",
            &[PrincipalNotFound],
        ),
        "key" => (
            Shape::of::<KeyId>(),
            "The id of a secret or certificate",
            &[PrincipalNotFound],
        ),
        "assignment" => (
            Shape::of::<AssignmentId>(),
            "The id of a role assignment",
            &[AssignmentNotFound],
        ),
        "guard" => (
            Shape::of::<GuardName>(),
            "The name of a resource guard",
            &[GuardNotFound],
        ),
        "approval" => (
            Shape::of::<ApprovalId>(),
            "The id of a request for approval",
            &[ApprovalNotFound],
        ),
        "identity" => (Shape::of::<IdentityId>(), "The id of an identity", &[IdentityNotFound]),
        "deleted_vault" => (
            Shape::of::<VaultId>(),
            "The id of a soft-deleted vault",
            &[VaultNotFound],
        ),
        "container" => (
            Shape::of::<MachineName>(),
            "The id or name of a registered machine",
            &[MachineNotFound],
        ),
        "policy" => (Shape::of::<PolicyName>(), "The name of a policy", &[PolicyNotFound]),
        "item" => (
            Shape::of::<MachineName>(),
            "The id of an item, or the name of its machine",
            &[ItemNotFound, ItemAmbiguous],
        ),
        "job" => (Shape::of::<JobId>(), "The id of a job", &[JobNotFound]),
        "alert" => (Shape::of::<AlertId>(), "The id of an alert", &[AlertNotFound]),
        "key_set" => (Shape::of::<KeySetId>(), "The id of a key set", &[KeySetNotFound]),
        "session" => (
            Shape::of::<SessionId>(),
            "The id of a backup session",
            &[SessionNotFound, SessionExpired],
        ),
        "pack" => (
            Shape::of::<PackId>(),
            "The name of a pack: BLAKE3 of its table of contents",
            &[],
        ),
        "point" => (Shape::of::<PointId>(), "The id of a recovery point", &[PointNotFound]),
        _ => return None,
    };
    Some(Parameter { shape, what, absent })
}
