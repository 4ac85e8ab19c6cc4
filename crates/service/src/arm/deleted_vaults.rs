//! Soft-deleted vaults: list, show, bring back. They are named by their ids, for several may have had one name.

use serde_json::{Value, json};
use strongroom_model::{Permission, VaultId};
use strongroom_vault::{VaultError, VaultInfo};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::names::VaultPath;
use super::reply::Reply;
use super::tracked::{self, Outcome};
use super::{access, page, times};
use crate::vault_refusal::refuse;

const KIND: &str = "Microsoft.RecoveryServices/locations/deletedVaults";

/// `GET …/deletedVaults` of a location, as far as the caller sees them.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let roles = access::of(call);
    let location = call.parameter("location");
    let infos = call.shared.vaults.deleted_vaults().await.map_err(refuse)?;
    let seen = infos.iter().filter(|info| {
        info.vault.region.as_str().eq_ignore_ascii_case(location)
            && roles.permits_on(Permission::VaultsRead, &info.vault)
    });
    let members = seen.map(|info| (info.vault.id.to_string(), view(call, info)));
    page::list(call, members.collect())
}

/// `GET` of a soft-deleted vault.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let info = find(call).await?;
    Ok(Reply::ok(view(call, &info)))
}

/// `POST …/undelete`: brings a vault back into its own resource group.
pub(crate) async fn undelete(call: &Call) -> ArmResult<Reply> {
    let begun = call.shared.clock.now();
    let body = call.json()?;
    let info = find(call).await?;
    let group = Loose::new(&body).need("properties")?.need("recoveryResourceGroupId")?;
    let own = call.tenancy.group_id(info.vault.resource_group.as_str());
    if !group.text()?.trim_end_matches('/').eq_ignore_ascii_case(&own) {
        return Err(group.wrong(&format!("a vault comes back into its own resource group, {own}")));
    }
    let back = call.shared.vaults.undelete_vault(info.vault.id).await?;
    tracing::info!(vault = %back.vault.name, id = %back.vault.id, "brought a deleted vault back");
    let path = path(call);
    let id = tracked::keep(call, &path, begun, Outcome::default()).await?;
    Ok(tracked::accepted(call, &path.0, Some("operations"), "operations", id))
}

/// The id of the deleted vault of the call's path.
pub(crate) fn path(call: &Call) -> VaultPath {
    path_of(call, call.parameter("location"), call.parameter("deletedVaultName"))
}

fn path_of(call: &Call, location: &str, name: &str) -> VaultPath {
    let subscription = call.tenancy.id();
    VaultPath(format!(
        "{subscription}/providers/Microsoft.RecoveryServices/locations/{location}/deletedVaults/{name}"
    ))
}

async fn find(call: &Call) -> ArmResult<VaultInfo> {
    let (location, name) = (call.parameter("location"), call.parameter("deletedVaultName"));
    let absent = || {
        ArmError::not_found(
            "ResourceNotFound",
            format!("The deleted vault '{name:.80}' was not found."),
        )
    };
    let id: VaultId = name.parse().map_err(|_| absent())?;
    match call.shared.vaults.deleted_vault(id).await {
        Err(VaultError::DeletedVaultNotFound) => Err(absent()),
        Ok(info) if !info.vault.region.as_str().eq_ignore_ascii_case(location) => Err(absent()),
        found => Ok(found?),
    }
}

fn view(call: &Call, info: &VaultInfo) -> Value {
    let vault = &info.vault;
    let name = vault.id.to_string();
    let was = call
        .tenancy
        .vault_id(vault.resource_group.as_str(), vault.name.as_str());
    json!({
        "id": path_of(call, vault.region.as_str(), &name).0,
        "name": name,
        "type": KIND,
        "properties": {
            "vaultId": was.0,
            "vaultDeletionTime": vault.deleted.map(times::moment),
            "purgeAt": vault.purge_at.map(times::moment),
        },
    })
}
