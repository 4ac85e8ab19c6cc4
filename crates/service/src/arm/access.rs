//! Who may: the operation's action is asked for as Azure's roles name it, at the place that the path names.
//!
//! Azure says 403 whether or not there is something at a place, so that nobody learns what exists; so does this.

use axum::http::StatusCode;
use strongroom_db::Actor;
use strongroom_model::{Permission, Place, ResourceGroupName, VaultName};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::operations::{Operation, OperationId};
use super::path::Parameters;
use crate::access::Access;
use crate::principal::Principal;
use crate::shared::Shared;
use crate::target::Target;
use crate::vault_refusal::refuse;

/// Deleting, which stopping protection needs too, although it is written like a change.
pub(crate) const ITEMS_DELETE: &str = "Vaults/backupFabrics/protectionContainers/protectedItems/delete";

/// The full name of an action of the table.
pub(crate) fn full_action(action: &str) -> String {
    match action.starts_with("Microsoft.") {
        true => action.to_owned(),
        false => format!("Microsoft.RecoveryServices/{action}"),
    }
}

/// What a request is about. A vault that does not exist lies where it would be made.
pub(crate) async fn place(shared: &Shared, parameters: &Parameters) -> ArmResult<Place> {
    if let Ok(id) = parameters.get("deletedVaultName").parse() {
        return Ok(Target::DeletedVault(id).place(shared).await?);
    }
    let Ok(group) = parameters.get("resourceGroupName").parse::<ResourceGroupName>() else {
        return Ok(Place::subscription());
    };
    let in_group = Place::resource_group(&group);
    let Ok(name) = parameters.get("vaultName").parse::<VaultName>() else {
        return Ok(in_group);
    };
    let vault = shared
        .db
        .vault_by_name(&name)
        .await
        .map_err(|error| refuse(error.into()))?;
    let vault = vault.filter(|vault| vault.resource_group.folded() == group.folded());
    Ok(vault.map_or(in_group, |vault| Place::vault(&vault.resource_group, vault.id)))
}

/// Refuses a caller who is not allowed the operation's action.
pub(crate) fn check(call: &Call) -> ArmResult<()> {
    let Some(principal) = &call.principal else {
        return Ok(());
    };
    match principal {
        Principal::Account(_) if call.operation.action == "SignedIn" || shows_what_may_be_seen(call.operation) => {
            Ok(())
        }
        Principal::Account(_) => require(call, call.operation.action),
        _ => Err(forbidden(call, principal, call.operation.action)),
    }
}

/// Refuses a caller who is not allowed a further action at the place of the call.
pub(crate) fn require(call: &Call, action: &str) -> ArmResult<()> {
    match &call.principal {
        Some(Principal::Account(account)) if account.access.allows(&full_action(action), &call.place) => Ok(()),
        Some(principal) => Err(forbidden(call, principal, action)),
        None => Err(ArmError::bad("AuthenticationFailed", "Sign in first.")),
    }
}

/// The caller, as whoever something is done for.
pub(crate) fn actor(call: &Call) -> ArmResult<Actor> {
    match &call.principal {
        Some(Principal::Account(account)) => Ok(account.actor()),
        Some(principal) => Err(forbidden(call, principal, call.operation.action)),
        None => Err(ArmError::bad("AuthenticationFailed", "Sign in first.")),
    }
}

/// The caller's roles; of who has none, none.
pub(crate) fn of(call: &Call) -> Access {
    match &call.principal {
        Some(Principal::Account(account)) => account.access.clone(),
        _ => Access::default(),
    }
}

/// Whether the caller sees resource groups at the place of the call.
pub(crate) fn sees_group(call: &Call) -> bool {
    of(call).permits(Permission::ResourceGroupsRead, &call.place)
}

/// Lists that leave out what the caller may not see.
fn shows_what_may_be_seen(operation: &Operation) -> bool {
    use OperationId::{DeletedVaultsList, GroupResources, GroupsList, VaultsList, VaultsListAll};
    matches!(
        operation.id,
        GroupsList | GroupResources | VaultsList | VaultsListAll | DeletedVaultsList
    )
}

fn forbidden(call: &Call, principal: &Principal, action: &str) -> ArmError {
    ArmError::new(
        StatusCode::FORBIDDEN,
        "AuthorizationFailed",
        format!(
            "The client '{}' does not have authorization to perform action '{}' over scope '{}'.",
            principal.log_name(),
            full_action(action),
            call.scope_id(),
        ),
    )
}
