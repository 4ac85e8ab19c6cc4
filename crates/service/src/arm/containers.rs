//! Containers: the registered machines, and the virtual machines that are or were protected.

use serde_json::{Value, json};
use strongroom_model::policy::Workload;
use strongroom_vault::{Container, VaultError};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::names::{ContainerName, ItemNames, MACHINE_KIND};
use super::reply::Reply;
use super::tracked::{self, Outcome};
use super::vault::{self, Vault};
use super::{access, machines, page};
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
    let workload = Workload::ALL
        .iter()
        .copied()
        .find(|workload| kind.eq_ignore_ascii_case(management(*workload)));
    let is_registered = status.eq_ignore_ascii_case("Registered");
    let containers = match workload.filter(|_| is_registered) {
        Some(workload) => of(call, &vault, workload).await?,
        None => Vec::new(),
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
            .map(|container| (container.place.clone(), view(call, &vault, container)))
            .collect(),
    )
}

/// Azure's word for who backs such things up.
pub(crate) fn management(workload: Workload) -> &'static str {
    match workload {
        Workload::VirtualMachine => "AzureIaasVM",
        Workload::FilesAndFolders => "MAB",
        Workload::Database => "AzureWorkload",
    }
}

/// `GET` of a container.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let container = find(call, &vault).await?;
    Ok(Reply::ok(view(call, &vault, &container)))
}

/// The container of the path.
pub(crate) async fn find(call: &Call, vault: &Vault) -> ArmResult<Container> {
    let name = call.parameter("containerName");
    let vaults = &call.shared.vaults;
    let found = match ContainerName::parse(name) {
        ContainerName::Foreign => None,
        ContainerName::Machine(machine) => match vaults.find_container(vault.info.vault.id, machine.as_str()).await {
            Err(VaultError::NoSuchContainer) => None,
            found => Some(found?).filter(|found| found.workload != Workload::VirtualMachine),
        },
        ContainerName::VirtualMachine { group, name } => match machines::find(call, vault, &group, &name).await? {
            Some(machine) => {
                let id = machine.container.to_string();
                Some(vaults.find_container(vault.info.vault.id, &id).await?)
            }
            None => None,
        },
    };
    found.ok_or_else(|| {
        ArmError::not_found(
            "BMSUserErrorContainerObjectNotFound",
            format!("There is no container '{name:.160}' in this vault."),
        )
    })
}

async fn of(call: &Call, vault: &Vault, workload: Workload) -> ArmResult<Vec<Container>> {
    let containers = call.shared.vaults.containers(vault.info.vault.id, "", CONTAINERS_MAX);
    let mut containers = containers.await.map_err(refuse)?;
    containers.retain(|container| container.workload == workload);
    if workload == Workload::VirtualMachine {
        let idle = machines::not_protected(call, vault).await?;
        containers.retain(|container| idle.iter().all(|machine| machine.container != container.id));
    }
    Ok(containers)
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

/// `POST …/refreshContainers`: hosts look for virtual machines. What is listed is always what is known, so nobody has to wait.
pub(crate) async fn refresh(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let begun = call.shared.clock.now();
    match call.shared.vaults.discover(vault.info.vault.id).await {
        Ok(hosts) => hosts.iter().for_each(|host| call.shared.calls.call(*host)),
        // They are at it.
        Err(VaultError::DiscoveryUnderway) => {}
        Err(error) => return Err(error.into()),
    }
    let id = tracked::keep(call, &vault.path, begun, Outcome::default()).await?;
    let fabric = format!("{}/backupFabrics/Azure", vault.path.0);
    Ok(tracked::accepted(call, &fabric, None, "operationResults", id))
}

fn view(call: &Call, vault: &Vault, container: &Container) -> Value {
    match container.workload {
        Workload::VirtualMachine => of_virtual_machine(call, vault, container),
        _ => of_machine(vault, container),
    }
}

fn of_virtual_machine(call: &Call, vault: &Vault, container: &Container) -> Value {
    let group = vault.info.vault.resource_group.as_str();
    let names = ItemNames::of_virtual_machine(group, &container.name);
    json!({
        "id": vault.path.container(&names.container),
        "name": names.container,
        "type": "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers",
        "properties": {
            "containerType": MACHINE_KIND,
            "protectableObjectType": MACHINE_KIND,
            "backupManagementType": "AzureIaasVM",
            "virtualMachineId": machines::id(call, group, &container.name),
            "virtualMachineVersion": "Compute",
            "resourceGroup": group,
            "friendlyName": container.name,
            "registrationStatus": "Registered",
            "healthStatus": "Healthy",
        },
    })
}

fn of_machine(vault: &Vault, container: &Container) -> Value {
    let name = ItemNames::of_machine(&container.name).container;
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
