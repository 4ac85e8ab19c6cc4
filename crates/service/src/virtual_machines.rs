//! Virtual machines: what hosts tell of them, and what people see.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{
    Code, ContainerFilter, Discovering, FoundMachines, HostedIds, HostedMachine, HostedMachines, VirtualMachineList,
    VirtualMachineView,
};
use strongroom_model::{MACHINES_PER_HOST_MAX, MachineName};
use strongroom_vault::{Hosted, VirtualMachineRow};

use crate::incoming::Incoming;
use crate::parse::parse;
use crate::principal::Machine;
use crate::query::{Filter, page};
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `PUT /api/v1/machine/virtual-machines`.
pub(crate) async fn found(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    incoming: Incoming,
) -> Answer<Json<HostedMachines>> {
    let found: FoundMachines = incoming.read_json(&shared, RouteId::FoundMachines).await?;
    let names: BTreeSet<String> = found.machines.iter().map(|machine| machine.name.folded()).collect();
    if found.machines.len() > MACHINES_PER_HOST_MAX || names.len() < found.machines.len() {
        let detail =
            format!("A host has at most {MACHINES_PER_HOST_MAX} virtual machines, each with a name of its own");
        return Err(Refusal::new(Code::InvalidRequest, detail));
    }
    let all = found.machines.into_iter().map(|machine| (machine.name, machine.facts));
    let hosted = shared.vaults.found_machines(machine.container, all.collect()).await;
    let machines = hosted.map_err(refuse)?.into_iter().map(|hosted| match hosted {
        Hosted::Here { name, container, item } => HostedMachine {
            name,
            ids: Some(HostedIds { container, item }),
            elsewhere: None,
        },
        Hosted::Elsewhere { name, host } => HostedMachine {
            name,
            ids: None,
            elsewhere: Some(host),
        },
    });
    Ok(Json(HostedMachines {
        machines: machines.collect(),
    }))
}

/// `GET /api/v1/vaults/{vault}/virtual-machines`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    Filter(filter): Filter<ContainerFilter>,
) -> Answer<Json<VirtualMachineList>> {
    let limit = page(filter.limit)?;
    let after = filter.after.unwrap_or_default().to_ascii_lowercase();
    let vault = shared.vault(&vault).await?;
    let rows = shared.vaults.virtual_machines(vault.id, &after, limit).await;
    let rows = rows.map_err(refuse)?;
    let is_full = rows.len() == limit as usize;
    let next = rows.last().filter(|_| is_full).map(|last| last.place.clone());
    let virtual_machines = rows.into_iter().map(view).collect();
    Ok(Json(VirtualMachineList { virtual_machines, next }))
}

/// `GET /api/v1/vaults/{vault}/virtual-machines/{virtual_machine}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path((vault, name)): Path<(String, String)>,
) -> Answer<Json<VirtualMachineView>> {
    let name: MachineName = parse(&name)?;
    let vault = shared.vault(&vault).await?;
    let row = shared.vaults.virtual_machine(vault.id, &name).await;
    Ok(Json(view(row.map_err(refuse)?)))
}

/// `POST /api/v1/vaults/{vault}/discover`.
pub(crate) async fn discover(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
) -> Answer<(StatusCode, Json<Discovering>)> {
    let vault = shared.vault(&vault).await?;
    let hosts = shared.vaults.discover(vault.id).await.map_err(refuse)?;
    hosts.iter().for_each(|host| shared.calls.call(*host));
    let hosts = hosts.len() as u64;
    Ok((StatusCode::ACCEPTED, Json(Discovering { hosts })))
}

fn view(row: VirtualMachineRow) -> VirtualMachineView {
    VirtualMachineView {
        container: row.container,
        item: row.item,
        name: row.name,
        host: row.host.map(|(_, name)| name),
        facts: row.facts,
        seen: row.seen,
        is_gone: row.is_gone,
        state: row.state,
    }
}
