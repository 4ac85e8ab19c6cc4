//! `backupResourceGuardProxies`: the resource guard that a vault is under. The guards themselves are made through the native
//! interface; their ids look as Azure's do.
//!
//! A guarded call goes through when its caller has the approval, whatever `resourceGuardOperationRequests` says: what it
//! names, in Azure, is the right that somebody has been given just in time.

use strongroom_api::SetVaultGuard;
use strongroom_model::{GuardName, GuardedOperation, ResourceGroupName};
use strongroom_vault::{GuardRow, Subject, VaultError};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::reply::Reply;
use super::vault::{self, Vault};
use super::{access, items, times};
use crate::guards::{guarded, set_for};

const GUARD_KIND: &str = "Microsoft.DataProtection/resourceGuards";
/// The name of the one mapping that a vault can have.
const PROXY: &str = "VaultProxy";

/// `GET …/backupResourceGuardProxies`.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    Ok(Reply::ok(
        json!({ "value": view(call, &vault).into_iter().collect::<Vec<_>>() }),
    ))
}

/// `GET` of one.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    view(call, &vault).map(Reply::ok).ok_or_else(|| {
        let name = call.parameter("resourceGuardProxyName");
        ArmError::not_found(
            "ResourceNotFound",
            format!("The resource '{name:.160}' was not found: the vault is under no resource guard."),
        )
    })
}

/// `PUT` of one: puts the vault under a guard.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let vault = vault::find(call).await?;
    let id = Loose::new(&body).need("properties")?.need("resourceGuardResourceId")?;
    let set =
        named(call, id.text()?).ok_or_else(|| id.wrong("it is not the id of a resource guard of this subscription"))?;
    set_for(&call.shared, &access::of(call), &vault.info.vault, &set).await?;
    get(call).await
}

/// The guard that an id names.
fn named(call: &Call, id: &str) -> Option<SetVaultGuard> {
    let prefix = format!("{}/resourceGroups/", call.tenancy.id());
    let begins = id.get(..prefix.len())?.eq_ignore_ascii_case(&prefix);
    let mut parts = id.get(prefix.len()..)?.split('/');
    let group: ResourceGroupName = parts.next()?.parse().ok()?;
    let kind = [parts.next()?, parts.next()?, parts.next()?].join("/");
    let guard: GuardName = parts.next()?.parse().ok()?;
    let fits = begins && parts.next().is_none() && kind.eq_ignore_ascii_case(&format!("providers/{GUARD_KIND}"));
    fits.then_some(SetVaultGuard {
        resource_group: group,
        guard,
    })
}

/// `DELETE` of one: takes the guard off the vault, with approval.
pub(crate) async fn delete(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let by = access::actor(call)?;
    match call.shared.vaults.remove_guard(vault.info.vault.id, &by).await {
        Err(VaultError::NotGuarded) => Ok(Reply::no_content()),
        removed => removed.map(|()| Reply::empty(StatusCode::OK)).map_err(ArmError::from),
    }
}

/// `POST …/unlockDelete`: whether the caller may delete what is named, or the mapping itself, and until when.
pub(crate) async fn unlock_delete(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let vault = vault::find(call).await?;
    let wanted = Loose::new(&body).get("resourceToBeDeleted");
    let (operation, subject) = match wanted {
        None => {
            access::require(call, "Vaults/backupResourceGuardProxies/delete")?;
            (GuardedOperation::RemoveGuard, Subject::Vault)
        }
        Some(id) => {
            access::require(call, access::ITEMS_DELETE)?;
            let item = items::of_id(call, &vault, id.text()?).await?;
            (GuardedOperation::DeleteData, Subject::Item(Box::new(item)))
        }
    };
    let by = access::actor(call)?;
    let until = call
        .shared
        .vaults
        .approved_until(vault.info.vault.id, &by, operation, &subject);
    Ok(Reply::ok(
        json!({ "unlockDeleteExpiryTime": times::moment(until.await?) }),
    ))
}

fn view(call: &Call, vault: &Vault) -> Option<Value> {
    let (guard, since) = vault.guard.as_ref()?;
    let id = guard_id(call, guard);
    let details: Vec<Value> = guarded(guard)
        .map(|operation| {
            let (critical, request) = names(operation);
            json!({
                "vaultCriticalOperation": format!("Microsoft.RecoveryServices/vaults{critical}"),
                "defaultResourceRequest": format!("{id}/{request}/default"),
            })
        })
        .collect();
    Some(json!({
        "id": format!("{}/backupResourceGuardProxies/{PROXY}", vault.path.0),
        "name": PROXY,
        "type": "Microsoft.RecoveryServices/vaults/backupResourceGuardProxies",
        "properties": {
            "resourceGuardResourceId": id,
            "resourceGuardOperationDetails": details,
            "lastUpdatedTime": times::moment(*since),
            "description": "Ask for approval before a guarded operation: strongroom approval request",
        },
    }))
}

fn guard_id(call: &Call, guard: &GuardRow) -> String {
    let group = call.tenancy.group_id(guard.resource_group.as_str());
    format!("{group}/providers/{GUARD_KIND}/{}", guard.name)
}

/// What Azure calls an operation, below the kind of a vault, and what it calls a request for it.
fn names(operation: GuardedOperation) -> (&'static str, &'static str) {
    use GuardedOperation::*;
    match operation {
        DisableSoftDelete => ("/backupconfig/write", "disableSoftDeleteRequests"),
        RemoveGuard => ("/backupResourceGuardProxies/delete", "deleteResourceGuardProxyRequests"),
        LowerPolicy => ("/backupPolicies/write", "updateProtectionPolicyRequests"),
        LowerProtection => (
            "/backupFabrics/protectionContainers/protectedItems/write",
            "updateProtectedItemRequests",
        ),
        DeleteData => (
            "/backupFabrics/protectionContainers/protectedItems/delete",
            "deleteProtectedItemRequests",
        ),
        StopProtection => (
            "/backupFabrics/protectionContainers/protectedItems/write#stopProtectionWithRetainData",
            "stopProtectionWithRetainDataRequests",
        ),
        ReduceImmutability => ("/write#reduceImmutabilityState", "reduceImmutabilityStateRequests"),
        GetSecurityPin => ("/backupSecurityPIN/action", "getBackupSecurityPINRequests"),
    }
}
