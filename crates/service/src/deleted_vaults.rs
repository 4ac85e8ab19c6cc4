//! Soft-deleted vaults.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use strongroom_api::{Code, DeletedVaultList, DeletedVaultView, VaultView};
use strongroom_model::{Permission, VaultId};
use strongroom_vault::{VaultError, VaultInfo};

use crate::parse::parse;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::refuse;
use crate::vaults;

/// `GET /api/v1/deleted-vaults`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>, account: Account) -> Answer<Json<DeletedVaultList>> {
    let infos = shared.vaults.deleted_vaults().await.map_err(refuse)?;
    let seen = |info: &VaultInfo| account.access.permits_on(Permission::VaultsRead, &info.vault);
    let vaults = infos.into_iter().filter(seen).filter_map(view).collect();
    Ok(Json(DeletedVaultList { vaults }))
}

/// `GET /api/v1/deleted-vaults/{deleted_vault}`.
pub(crate) async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer<Json<DeletedVaultView>> {
    Ok(Json(find(&shared, parse(&id)?).await?))
}

/// `POST /api/v1/deleted-vaults/{deleted_vault}/undelete`.
pub(crate) async fn undelete(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer<Json<VaultView>> {
    let id: VaultId = parse(&id)?;
    let back = shared.vaults.undelete_vault(id).await.map_err(refuse_deleted(id))?;
    tracing::info!(vault = %back.vault.name, %id, "brought a deleted vault back");
    Ok(Json(vaults::view(back)))
}

/// The soft-deleted vault with this id.
pub(crate) async fn find(shared: &Shared, id: VaultId) -> Answer<DeletedVaultView> {
    let info = shared.vaults.deleted_vault(id).await.map_err(refuse_deleted(id))?;
    view(info).ok_or_else(|| no_such_deleted_vault(id))
}

fn refuse_deleted(id: VaultId) -> impl FnOnce(VaultError) -> Refusal {
    move |error| match error {
        VaultError::DeletedVaultNotFound => no_such_deleted_vault(id),
        error => refuse(error),
    }
}

/// There is no such soft-deleted vault, as far as the caller may know.
pub(crate) fn no_such_deleted_vault(id: VaultId) -> Refusal {
    let detail = format!(
        "There is no deleted vault {id}: `strongroom vault list --deleted` shows those that can be brought back"
    );
    Refusal::new(Code::VaultNotFound, detail)
}

/// `None`: it is not deleted.
fn view(info: VaultInfo) -> Option<DeletedVaultView> {
    let VaultInfo { vault, figures } = info;
    Some(DeletedVaultView {
        id: vault.id,
        name: vault.name,
        resource_group: vault.resource_group,
        region: vault.region,
        deleted: vault.deleted?,
        purged_at: vault.purge_at,
        points: figures.points,
        stored_bytes: figures.stored_bytes,
    })
}
