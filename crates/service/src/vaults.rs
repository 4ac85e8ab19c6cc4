//! Vaults, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{CreateVault, PointList, VaultDeletion, VaultList, VaultView};
use strongroom_model::{Permission, Place, ResourceGroupName, VaultName};
use strongroom_vault::{NewVault, VaultInfo};

use crate::deleted_vaults;
use crate::incoming::Incoming;
use crate::location::{Located, located};
use crate::parse::parse;
use crate::points::point_list;
use crate::principal::Account;
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::target::no_such_group;
use crate::vault_refusal::{refuse, refuse_vault};

/// `GET /api/v1/vaults`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>, account: Account) -> Answer<Json<VaultList>> {
    let infos = shared.vaults.list().await.map_err(refuse)?;
    let seen = |info: &VaultInfo| account.access.permits_on(Permission::VaultsRead, &info.vault);
    let vaults = infos.into_iter().filter(seen).map(view).collect();
    Ok(Json(VaultList { vaults }))
}

/// `POST /api/v1/vaults`.
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    account: Account,
    incoming: Incoming,
) -> Answer<(StatusCode, Located<Json<VaultView>>)> {
    let create: CreateVault = incoming.read_json(&shared, RouteId::CreateVault).await?;
    let resource_group = allowed_group(&shared, &account, &create.resource_group).await?;
    let new = NewVault {
        name: create.name,
        resource_group,
        region: create.region,
        redundancy: create.redundancy,
    };
    let info = shared.vaults.create(&new).await.map_err(refuse)?;
    tracing::info!(vault = %info.vault.name, id = %info.vault.id, "created a vault");
    let name = info.vault.name.clone();
    Ok((
        StatusCode::CREATED,
        located(RouteId::ShowVault, &[&name], Json(view(info))),
    ))
}

/// The resource group, as it is spelled, if the caller may make vaults in it.
async fn allowed_group(shared: &Shared, account: &Account, name: &ResourceGroupName) -> Answer<ResourceGroupName> {
    let (needed, read) = (Permission::VaultsWrite, Permission::ResourceGroupsRead);
    let place = Place::resource_group(name);
    account.access.require(needed, read, &place, || no_such_group(name))?;
    let found = shared.db.resource_group(name).await;
    let found = found.map_err(|error| refuse(error.into()))?;
    Ok(found.ok_or_else(|| no_such_group(name))?.name)
}

/// `GET /api/v1/vaults/{vault}`.
pub(crate) async fn show(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<VaultView>> {
    let name: VaultName = parse(&name)?;
    let info = shared.vaults.show(&name).await.map_err(refuse_vault(&name))?;
    Ok(Json(view(info)))
}

/// `DELETE /api/v1/vaults/{vault}`.
pub(crate) async fn delete(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<VaultDeletion>> {
    let name: VaultName = parse(&name)?;
    let deleted = shared.vaults.delete(&name).await.map_err(refuse_vault(&name))?;
    tracing::info!(vault = %deleted.name, id = %deleted.id, until = ?deleted.purge_at, "deleted a vault");
    let kept = match deleted.deleted {
        None => None,
        Some(_) => Some(deleted_vaults::find(&shared, deleted.id).await?),
    };
    Ok(Json(VaultDeletion { kept }))
}

/// `GET /api/v1/vaults/{vault}/points`.
pub(crate) async fn points(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<PointList>> {
    let name: VaultName = parse(&name)?;
    let info = shared.vaults.show(&name).await.map_err(refuse_vault(&name))?;
    let rows = shared.vaults.vault_points(info.vault.id).await.map_err(refuse)?;
    Ok(Json(point_list(rows)))
}

pub(crate) fn view(info: VaultInfo) -> VaultView {
    let VaultInfo { vault, figures } = info;
    VaultView {
        id: vault.id,
        name: vault.name,
        resource_group: vault.resource_group,
        region: vault.region,
        redundancy: vault.redundancy,
        created: vault.created,
        machines: figures.containers,
        points: figures.points,
        stored_bytes: figures.stored_bytes,
    }
}
