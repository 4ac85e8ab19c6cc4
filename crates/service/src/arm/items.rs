//! Protected items: the files and folders of each registered machine, and virtual machines.
//!
//! One PUT has four meanings, and what the body says decides: a policy protects, changes the policy or resumes; a state
//! stops; `isRehydrate` takes a deletion back.

use axum::http::StatusCode;
use serde_json::{Value, json};
use strongroom_model::policy::Workload;
use strongroom_model::{ItemState, MachineName};
use strongroom_vault::{ItemChanged, ItemQuery, ItemRow, Stop, VaultError};

use super::call::Call;
use super::containers::management;
use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::names::{ContainerName, ItemNames, MACHINE_KIND, short_machine_name};
use super::reply::Reply;
use super::times::{self, NEVER};
use super::tracked::{self, Outcome};
use super::vault::{self, Vault};
use super::{access, machines, page};

/// Most items of a list; a vault has as many as it has machines.
const ITEMS_MAX: u32 = 10_000;

/// `GET …/backupProtectedItems`.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let mut filter = call.filter()?;
    let kinds = ["backupManagementType", "itemType", "workloadType"].map(|key| filter.take(key));
    let policy = filter.take("policyName");
    let friendly = filter.take("friendlyName");
    let container = filter.take("containerName");
    // What is asked for besides: it is always told.
    let _ = filter.take("expand");
    filter.finish()?;
    let items = all(call, &vault).await?;
    let wanted = |item: &&ItemRow| {
        let kind = workload_type(item.workload);
        let words = [management(item.workload), kind, kind];
        let of_kind = kinds.iter().zip(words).all(|(wanted, has)| {
            let wanted = wanted.as_deref();
            wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(has))
        });
        // A virtual machine that was only found can be protected, and is in another list.
        let is_found_only = item.workload == Workload::VirtualMachine && item.state == ItemState::NotProtected;
        if !of_kind || is_found_only && item.latest_point.is_none() {
            return false;
        }
        let is = |wanted: &Option<String>, has: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(has))
        };
        let of_policy = item.policy.as_ref().map_or("", |policy| policy.as_str());
        let names = names(&vault, item);
        let short = names.container.split_once(';').map_or("", |(_, short)| short);
        let in_container =
            is(&container, item.name.as_str()) || is(&container, &names.container) || is(&container, short);
        is(&policy, of_policy) && is(&friendly, item.name.as_str()) && in_container
    };
    let members = items.iter().filter(wanted);
    page::list(
        call,
        members
            .map(|item| (sorted_as(item), view(call, &vault, item)))
            .collect(),
    )
}

/// All items of a vault.
pub(crate) async fn all(call: &Call, vault: &Vault) -> ArmResult<Vec<ItemRow>> {
    let query = ItemQuery {
        limit: ITEMS_MAX,
        ..ItemQuery::default()
    };
    Ok(call.shared.vaults.items(vault.info.vault.id, &query).await?.0)
}

/// `GET` of an item.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let item = find(call, &vault).await?;
    let points = call.shared.vaults.item_points(&item).await?;
    let mut view = view(call, &vault, &item);
    let oldest = points.first().map(|point| times::moment(point.created));
    let newest = points.last().map(|point| times::moment(point.created));
    view["properties"]["extendedInfo"] = json!({
        "lastRefreshedAt": times::moment(call.shared.clock.now()),
        "oldestRecoveryPoint": oldest,
        "recoveryPointCount": points.len(),
    });
    view["properties"]["lastRecoveryPoint"] = newest.into();
    Ok(Reply::ok(view))
}

/// The item of the path.
pub(crate) async fn find(call: &Call, vault: &Vault) -> ArmResult<ItemRow> {
    let (container, name) = (call.parameter("containerName"), call.parameter("protectedItemName"));
    named(call, vault, container, name).await
}

/// The item of an id, which must be one of this vault's.
pub(crate) async fn of_id(call: &Call, vault: &Vault, id: &str) -> ArmResult<ItemRow> {
    let prefix = vault.path.container("");
    let begins = id
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(&prefix));
    let names = id.get(prefix.len()..).filter(|_| begins).unwrap_or_default();
    let (container, rest) = names.split_once('/').unwrap_or_default();
    let (_, name) = rest.split_once('/').unwrap_or_default();
    named(call, vault, container, name).await
}

async fn named(call: &Call, vault: &Vault, container: &str, name: &str) -> ArmResult<ItemRow> {
    let absent = || {
        ArmError::not_found(
            "BMSUserErrorProtectedItemNotFound",
            format!("There is no item '{name:.160}' in the container '{container:.160}' of this vault."),
        )
    };
    let (machine, names, workload) = match ContainerName::parse(container) {
        ContainerName::Machine(machine) => {
            let names = ItemNames::of_machine(&machine);
            (machine, names, Workload::FilesAndFolders)
        }
        ContainerName::VirtualMachine { group, name } if machines::is_of(vault, &group) => {
            let names = ItemNames::of_virtual_machine(&group, &name);
            (name, names, Workload::VirtualMachine)
        }
        _ => return Err(absent()),
    };
    let short = names.item.split_once(';').map_or("", |(_, short)| short);
    if ![&names.item, short, machine.as_str()]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
    {
        return Err(absent());
    }
    let vaults = &call.shared.vaults;
    let found = match workload {
        Workload::VirtualMachine => match vaults.virtual_machine(vault.info.vault.id, &machine).await {
            Ok(found) => vaults.item_of(found.item).await,
            // One that was unregistered is called by its item's id.
            Err(VaultError::NoSuchContainer) => vaults.item(vault.info.vault.id, machine.as_str()).await,
            Err(error) => Err(error),
        },
        _ => vaults.item(vault.info.vault.id, machine.as_str()).await,
    };
    match found {
        Ok(item) if item.workload == workload => Ok(item),
        Ok(_) | Err(VaultError::ItemNotFound) => Err(absent()),
        Err(error) => Err(error.into()),
    }
}

/// Azure's word for a kind of thing.
fn workload_type(workload: Workload) -> &'static str {
    match workload {
        Workload::VirtualMachine => "VM",
        Workload::FilesAndFolders => "FileFolder",
        Workload::Database => "SQLDataBase",
    }
}

/// A machine and a virtual machine may have one name.
fn sorted_as(item: &ItemRow) -> String {
    format!("{};{}", item.name.folded(), item.workload)
}

/// `PUT` of an item.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    let begun = call.shared.clock.now();
    let body = call.json()?;
    let vault = vault::find(call).await?;
    let item = find(call, &vault).await?;
    let changed = change(call, &vault, &item, &Loose::new(&body).need("properties")?).await?;
    let outcome = Outcome {
        job: Some(changed.job.id),
    };
    let id = tracked::keep(call, &vault.path, begun, outcome).await?;
    Ok(tracked::accepted(
        call,
        &path(&vault, &item),
        Some("operationsStatus"),
        "operationResults",
        id,
    ))
}

async fn change(call: &Call, vault: &Vault, item: &ItemRow, said: &Loose<'_>) -> ArmResult<ItemChanged> {
    let vaults = &call.shared.vaults;
    if said.is("isRehydrate")? {
        return Ok(vaults.undelete(item, None).await?);
    }
    if let Some(policy) = said.text_of("policyId")?.filter(|policy| !policy.is_empty()) {
        let name = vault.path.policy_of(policy)?;
        let name = name
            .parse()
            .map_err(|error| ArmError::bad("BMSUserErrorInvalidPolicyId", format!("{error}.")))?;
        return Ok(vaults.protect(&access::actor(call)?, item, &name, None).await?);
    }
    let Some(state) = said.get("protectionState") else {
        return Err(said.wrong("it needs a policyId, a protectionState or isRehydrate"));
    };
    let how = match state.text()?.to_ascii_lowercase().as_str() {
        "protectionstopped" => Stop::Retain,
        "backupssuspended" => Stop::RetainByPolicy,
        _ => return Err(state.wrong("use ProtectionStopped or BackupsSuspended, or name a policy")),
    };
    // It ends protection as a deletion does, though it is written like a change of policy.
    access::require(call, access::ITEMS_DELETE)?;
    let stopped = vaults.stop(&access::actor(call)?, item, how, None).await?;
    call.shared.calls.call(item.container);
    Ok(stopped)
}

/// `DELETE` of an item: stops its protection and deletes its data, softly if the vault has that on.
pub(crate) async fn delete(call: &Call) -> ArmResult<Reply> {
    let begun = call.shared.clock.now();
    let vault = vault::find(call).await?;
    let item = match find(call, &vault).await {
        Err(error) if error.status == StatusCode::NOT_FOUND => return Ok(Reply::no_content()),
        found => found?,
    };
    let changed = call
        .shared
        .vaults
        .stop(&access::actor(call)?, &item, Stop::Delete, None)
        .await?;
    call.shared.calls.call(item.container);
    let outcome = Outcome {
        job: Some(changed.job.id),
    };
    let id = tracked::keep(call, &vault.path, begun, outcome).await?;
    let (status, result) = ("backupOperations", "backupOperationResults");
    Ok(tracked::accepted(call, &vault.path.0, Some(status), result, id))
}

/// `POST …/backup`: backs the item up as soon as its machine hears of it.
pub(crate) async fn backup_now(call: &Call) -> ArmResult<Reply> {
    let begun = call.shared.clock.now();
    let body = call.json()?;
    let vault = vault::find(call).await?;
    let item = find(call, &vault).await?;
    let until = Loose::new(&body)
        .get("properties")
        .and_then(|said| said.get("recoveryPointExpiryTimeInUTC"));
    let until = until.map(|until| {
        let moment = until.text()?.parse();
        moment.map_err(|_| until.wrong("it is no moment such as 2026-12-30T00:00:00Z"))
    });
    let job = call.shared.vaults.back_up_now(&item, until.transpose()?).await?;
    call.shared.calls.call(item.container);
    let id = tracked::keep(call, &vault.path, begun, Outcome { job: Some(job.id) }).await?;
    Ok(tracked::accepted(
        call,
        &path(&vault, &item),
        Some("operationsStatus"),
        "operationResults",
        id,
    ))
}

fn path(vault: &Vault, item: &ItemRow) -> String {
    let names = names(vault, item);
    vault.path.item(&names.container, &names.item)
}

/// What an item and its container are called in ids.
pub(crate) fn names(vault: &Vault, item: &ItemRow) -> ItemNames {
    match item.workload {
        Workload::VirtualMachine => {
            ItemNames::of_virtual_machine(vault.info.vault.resource_group.as_str(), &called(item))
        }
        _ => ItemNames::of_machine(&called(item)),
    }
}

/// What an item's machine is called in ids. One that was unregistered has left its name to others, and is called by the id of
/// its item.
fn called(item: &ItemRow) -> MachineName {
    match item.unregistered {
        None => item.name.clone(),
        Some(_) => item.id.to_string().parse().expect("an id is a possible name"),
    }
}

fn view(call: &Call, vault: &Vault, item: &ItemRow) -> Value {
    let (last, last_at) = match &item.last_backup {
        Some((state, at)) => (state.as_str(), times::moment(*at)),
        None if item.state == ItemState::IRPending => ("IRPending", NEVER.to_owned()),
        None => ("", NEVER.to_owned()),
    };
    // What is stopped or deleted only remembers its policy.
    let policy = item
        .policy
        .as_ref()
        .filter(|_| item.state.is_scheduled() && item.deleted.is_none());
    let names = names(vault, item);
    let mut properties = json!({
        "protectedItemType": "MabFileFolderProtectedItem",
        "backupManagementType": "MAB",
        "workloadType": "FileFolder",
        "containerName": names.container,
        "friendlyName": item.name,
        "computerName": item.name,
        "lastBackupStatus": last,
        "lastBackupTime": last_at,
        "protectionState": item.state.as_str(),
        "policyId": policy.map_or(String::new(), |policy| vault.path.policy(policy.as_str())),
        "policyName": policy.map_or("", |policy| policy.as_str()),
        // The moment of the last backup stands for it in lists; a single item has the point's own.
        "lastRecoveryPoint": item.latest_point.and(item.last_backup.as_ref()).map(|(_, at)| times::moment(*at)),
        "isArchiveEnabled": false,
        "isScheduledForDeferredDelete": item.deleted.is_some(),
        "softDeleteRetentionPeriodInDays": vault.info.vault.settings.soft_delete_days,
    });
    if item.workload == Workload::VirtualMachine {
        let group = vault.info.vault.resource_group.as_str();
        let id = machines::id(call, group, &item.name);
        properties["protectedItemType"] = MACHINE_KIND.into();
        properties["backupManagementType"] = management(item.workload).into();
        properties["workloadType"] = workload_type(item.workload).into();
        properties["containerName"] = short_machine_name(group, &called(item)).into();
        properties["virtualMachineId"] = id.clone().into();
        properties["sourceResourceId"] = id.into();
        properties["protectionStatus"] = "Healthy".into();
        properties["healthStatus"] = "Passed".into();
        properties["protectedItemDataId"] = item.id.to_string().into();
    }
    if let (Some(deleted), Some(purge)) = (item.deleted, item.purge_at) {
        properties["deferredDeleteTimeInUTC"] = times::moment(deleted).into();
        let remaining = purge.duration_since(call.shared.clock.now());
        properties["deferredDeleteTimeRemaining"] = times::timespan(remaining).into();
    }
    json!({
        "id": path(vault, item),
        "name": names.item,
        "type": "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems",
        "properties": properties,
    })
}
