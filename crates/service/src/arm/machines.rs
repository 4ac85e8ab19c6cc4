//! Virtual machines, as Azure's compute provider would show them: of a resource group, whichever vault their hosts are in.

use serde_json::{Value, json};
use strongroom_model::{ItemState, MachineName, Permission, PowerState};
use strongroom_vault::{VaultError, VirtualMachineRow};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::names::{ItemNames, MACHINE_KIND, short_machine_name};
use super::reply::Reply;
use super::vault::{self, Vault};
use super::vaults::of_group;
use super::{access, page};
use crate::vault_refusal::refuse;

/// Most virtual machines of a list.
const MACHINES_MAX: u32 = 10_000;

/// The id of a virtual machine.
pub(crate) fn id(call: &Call, group: &str, name: &MachineName) -> String {
    format!("{}/providers/{MACHINE_KIND}/{name}", call.tenancy.group_id(group))
}

/// Whether the virtual machines of a vault are in this resource group: they are in the vault's own.
pub(crate) fn is_of(vault: &Vault, group: &str) -> bool {
    vault.info.vault.resource_group.as_str().eq_ignore_ascii_case(group)
}

/// A virtual machine of a vault.
pub(crate) async fn find(
    call: &Call,
    vault: &Vault,
    group: &str,
    name: &MachineName,
) -> ArmResult<Option<VirtualMachineRow>> {
    if !is_of(vault, group) {
        return Ok(None);
    }
    match call.shared.vaults.virtual_machine(vault.info.vault.id, name).await {
        Err(VaultError::NoSuchContainer) => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// Those that have never been protected, or are not any more and have left nothing.
pub(crate) async fn not_protected(call: &Call, vault: &Vault) -> ArmResult<Vec<VirtualMachineRow>> {
    let all = call
        .shared
        .vaults
        .virtual_machines(vault.info.vault.id, "", MACHINES_MAX)
        .await;
    let mut all = all.map_err(refuse)?;
    all.retain(|machine| machine.state == ItemState::NotProtected && !machine.is_deleted);
    Ok(all)
}

/// `GET` of a virtual machine.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let (group, name) = (call.parameter("resourceGroupName"), call.parameter("vmName"));
    match of_any_vault(call, group, name).await? {
        Some((vault, machine)) => Ok(Reply::ok(view(call, &vault, &machine))),
        None => Err(ArmError::no_resource(MACHINE_KIND, name, group)),
    }
}

/// A virtual machine of a vault of the group that the caller may see.
async fn of_any_vault(call: &Call, group: &str, name: &str) -> ArmResult<Option<(Vault, VirtualMachineRow)>> {
    let Ok(name) = name.parse::<MachineName>() else {
        return Ok(None);
    };
    let roles = access::of(call);
    for vault in of_group(call, Some(group)).await? {
        let sees = roles.permits_on(Permission::ProtectableItemsRead, &vault.info.vault);
        if sees && let Some(machine) = find(call, &vault, group, &name).await? {
            return Ok(Some((vault, machine)));
        }
    }
    Ok(None)
}

fn view(call: &Call, vault: &Vault, machine: &VirtualMachineRow) -> Value {
    let power = match machine.facts.power {
        PowerState::Running | PowerState::Paused => "PowerState/running",
        PowerState::Off => "PowerState/deallocated",
        PowerState::Unknown => "PowerState/unknown",
    };
    let disks = machine.facts.disks.iter().map(|disk| {
        json!({
            "name": disk.name,
            "diskSizeGB": disk.bytes.div_ceil(1 << 30),
            "createOption": "Attach",
        })
    });
    let mut disks: Vec<Value> = disks.collect();
    let os_disk = match disks.is_empty() {
        true => json!({ "createOption": "Attach" }),
        false => disks.remove(0),
    };
    for (number, disk) in disks.iter_mut().enumerate() {
        disk["lun"] = number.into();
    }
    json!({
        "id": id(call, vault.info.vault.resource_group.as_str(), &machine.name),
        "name": machine.name,
        "type": MACHINE_KIND,
        "location": vault.info.vault.region,
        "tags": {},
        "properties": {
            "vmId": machine.facts.uuid.map_or_else(|| machine.container.to_string(), |uuid| uuid.to_string()),
            "provisioningState": "Succeeded",
            "storageProfile": { "osDisk": os_disk, "dataDisks": disks },
            "instanceView": { "statuses": [{ "code": power, "level": "Info" }] },
        },
    })
}

/// `GET …/backupProtectableItems`.
pub(crate) async fn protectable(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let mut filter = call.filter()?;
    let kind = filter.take("backupManagementType");
    let friendly = filter.take("friendlyName");
    for key in ["workloadType", "containerName", "status"] {
        let _ = filter.take(key);
    }
    filter.finish()?;
    let is =
        |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(has));
    let machines = match is(&kind, "AzureIaasVM") {
        true => not_protected(call, &vault).await?,
        false => Vec::new(),
    };
    let group = vault.info.vault.resource_group.as_str();
    let wanted = machines
        .iter()
        .filter(|machine| is(&friendly, machine.name.as_str()) && !machine.is_gone);
    let members = wanted.map(|machine| {
        let short = short_machine_name(group, &machine.name);
        let container = ItemNames::of_virtual_machine(group, &machine.name).container;
        let view = json!({
            "id": format!("{}/protectableItems/vm;{short}", vault.path.container(&container)),
            "name": short,
            "type": "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectableItems",
            "properties": {
                "virtualMachineId": id(call, group, &machine.name),
                "virtualMachineVersion": "Compute",
                "resourceGroup": group,
                "backupManagementType": "AzureIaasVM",
                "protectableItemType": MACHINE_KIND,
                "friendlyName": machine.name,
                "protectionState": "NotProtected",
            },
        });
        (machine.place.clone(), view)
    });
    page::list(call, members.collect())
}

/// `POST …/backupStatus`: which vault protects a virtual machine.
pub(crate) async fn status(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let resource = Loose::new(&body).need("resourceId")?.text()?.to_owned();
    let parts: Vec<&str> = resource.split('/').filter(|part| !part.is_empty()).collect();
    let at = |word: &str| {
        let found = parts.iter().position(|part| part.eq_ignore_ascii_case(word));
        found
            .and_then(|found| parts.get(found + 1))
            .copied()
            .unwrap_or_default()
    };
    let found = of_any_vault(call, at("resourceGroups"), at("virtualMachines")).await?;
    let protected = found.filter(|(_, machine)| machine.state != ItemState::NotProtected && !machine.is_deleted);
    let Some((vault, machine)) = protected else {
        return Ok(Reply::ok(json!({
            "protectionStatus": "NotProtected",
            "vaultId": "",
            "fabricName": "Azure",
            "containerName": "",
            "protectedItemName": "",
            "errorCode": "Success",
            "errorMessage": "",
            "policyName": "",
            "registrationStatus": "NotRegistered",
        })));
    };
    let item = call.shared.vaults.item_of(machine.item).await?;
    let short = short_machine_name(vault.info.vault.resource_group.as_str(), &machine.name);
    Ok(Reply::ok(json!({
        "protectionStatus": "Protected",
        "vaultId": vault.path.0,
        "fabricName": "Azure",
        "containerName": short,
        "protectedItemName": format!("vm;{short}"),
        "errorCode": "Success",
        "errorMessage": "",
        "policyName": item.policy.as_ref().map_or("", |policy| policy.as_str()),
        "registrationStatus": "Registered",
    })))
}
