//! Containers: the registered machines.

use serde_json::{Value, json};
use strongroom_vault::{Container, VaultError};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::names::{ContainerName, container_name};
use super::reply::Reply;
use super::tracked::{self, Outcome};
use super::vault::{self, Vault};
use super::{access, page};
use crate::vault_refusal::refuse;

/// Most containers of a list.
const CONTAINERS_MAX: u32 = 10_000;

/// `GET …/backupProtectionContainers`.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let mut filter = call.filter()?;
    let kind = filter.take("backupManagementType").unwrap_or_else(|| "MAB".to_owned());
    let friendly = filter.take("friendlyName");
    let status = filter.take("status").unwrap_or_else(|| "Registered".to_owned());
    let _ = filter.take("containerType");
    filter.finish()?;
    let wanted = kind.eq_ignore_ascii_case("MAB") && status.eq_ignore_ascii_case("Registered");
    let containers = match wanted {
        true => of(call, &vault).await?,
        false => Vec::new(),
    };
    let named = containers.iter().filter(|container| {
        let name = container.name.as_str();
        friendly
            .as_deref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
    });
    page::list(
        call,
        named
            .map(|container| (container.name.folded(), view(&vault, container)))
            .collect(),
    )
}

/// `GET` of a container.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let container = find(call, &vault).await?;
    Ok(Reply::ok(view(&vault, &container)))
}

/// The container of the path.
pub(crate) async fn find(call: &Call, vault: &Vault) -> ArmResult<Container> {
    let name = call.parameter("containerName");
    let found = match ContainerName::parse(name) {
        ContainerName::Foreign => None,
        ContainerName::Machine(machine) => {
            match call
                .shared
                .vaults
                .find_container(vault.info.vault.id, machine.as_str())
                .await
            {
                Err(VaultError::NoSuchContainer) => None,
                found => Some(found?),
            }
        }
    };
    found.ok_or_else(|| {
        ArmError::not_found(
            "BMSUserErrorContainerObjectNotFound",
            format!("There is no container '{name:.160}' in this vault."),
        )
    })
}

async fn of(call: &Call, vault: &Vault) -> ArmResult<Vec<Container>> {
    let containers = call.shared.vaults.containers(vault.info.vault.id, "", CONTAINERS_MAX);
    Ok(containers.await.map_err(refuse)?)
}

/// `DELETE …/registeredIdentities/{identityName}`: unregisters the machine of that name. That there is none is fine.
pub(crate) async fn unregister(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let name = call.parameter("identityName");
    let container = match call.shared.vaults.find_container(vault.info.vault.id, name).await {
        Err(VaultError::NoSuchContainer) => return Ok(Reply::no_content()),
        found => found?,
    };
    call.shared.vaults.unregister(&access::actor(call)?, &container).await?;
    call.shared.calls.call(container.id);
    tracing::info!(vault = %vault.info.vault.name, machine = %container.name, id = %container.id, "unregistered a machine");
    Ok(Reply::no_content())
}

/// `POST …/refreshContainers`: what can be protected is always looked up afresh, so that there is nothing to do.
pub(crate) async fn refresh(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let begun = call.shared.clock.now();
    let id = tracked::keep(call, &vault.path, begun, Outcome::default()).await?;
    let fabric = format!("{}/backupFabrics/Azure", vault.path.0);
    Ok(tracked::accepted(call, &fabric, None, "operationResults", id))
}

fn view(vault: &Vault, container: &Container) -> Value {
    let name = container_name(&container.name);
    json!({
        "id": vault.path.container(&name),
        "name": name,
        "type": "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers",
        "properties": {
            "containerType": "Windows",
            "backupManagementType": "MAB",
            "protectableObjectType": "MABWindowsContainer",
            "friendlyName": container.name,
            "registrationStatus": "Registered",
            "healthStatus": "Healthy",
            "containerHealthState": "Healthy",
            "canReRegister": true,
            "protectedItemCount": 1,
            "mabContainerHealthDetails": [],
            "extendedInfo": { "backupItemType": "FileFolder", "backupItems": [] },
        },
    })
}
