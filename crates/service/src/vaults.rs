//! Vaults, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{CreateVault, PointList, VaultList, VaultView};
use strongroom_model::VaultName;
use strongroom_vault::VaultInfo;

use crate::incoming::Incoming;
use crate::parse::parse;
use crate::points::point_list;
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::{refuse, refuse_vault};

/// `GET /api/v1/vaults`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Answer<Json<VaultList>> {
    let infos = shared.vaults.list().await.map_err(refuse)?;
    let vaults = infos.into_iter().map(view).collect();
    Ok(Json(VaultList { vaults }))
}

/// `POST /api/v1/vaults`.
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<VaultView>)> {
    let create: CreateVault = incoming.read_json(&shared, RouteId::CreateVault).await?;
    let created = shared
        .vaults
        .create(&create.name, &create.region, create.redundancy)
        .await;
    let info = created.map_err(refuse)?;
    tracing::info!(vault = %info.vault.name, id = %info.vault.id, "created a vault");
    Ok((StatusCode::CREATED, Json(view(info))))
}

/// `GET /api/v1/vaults/{vault}`.
pub(crate) async fn show(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<VaultView>> {
    let name: VaultName = parse(&name)?;
    let info = shared.vaults.show(&name).await.map_err(refuse_vault(&name))?;
    Ok(Json(view(info)))
}

/// `DELETE /api/v1/vaults/{vault}`.
pub(crate) async fn delete(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<StatusCode> {
    let name: VaultName = parse(&name)?;
    let deleted = shared.vaults.delete(&name).await.map_err(refuse_vault(&name))?;
    tracing::info!(vault = %deleted.name, id = %deleted.id, "deleted a vault");
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/vaults/{vault}/points`.
pub(crate) async fn points(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<Json<PointList>> {
    let name: VaultName = parse(&name)?;
    let info = shared.vaults.show(&name).await.map_err(refuse_vault(&name))?;
    let rows = shared.vaults.vault_points(info.vault.id).await.map_err(refuse)?;
    Ok(Json(point_list(rows)))
}

fn view(info: VaultInfo) -> VaultView {
    let VaultInfo { vault, figures } = info;
    VaultView {
        id: vault.id,
        name: vault.name,
        region: vault.region,
        redundancy: vault.redundancy,
        created: vault.created,
        machines: figures.containers,
        points: figures.points,
        stored_bytes: figures.stored_bytes,
    }
}
