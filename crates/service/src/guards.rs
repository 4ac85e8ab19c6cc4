//! Resource guards, for whoever owns them, and the vaults that are under them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use strongroom_api::routes::RouteId;
use strongroom_api::{CreateGuard, GuardList, GuardView, SetVaultGuard, VaultGuardView};
use strongroom_model::{GuardName, GuardedOperation, Permission, Place, ResourceGroupName};
use strongroom_vault::{GuardRow, VaultRow};

use crate::access::Access;
use crate::incoming::Incoming;
use crate::location::{Located, located};
use crate::parse::parse;
use crate::principal::Account;
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::target::no_such_group;
use crate::vault_refusal::refuse;

/// `GET /api/v1/resource-groups/{group}/guards`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>, Path(group): Path<String>) -> Answer<Json<GuardList>> {
    let group: ResourceGroupName = parse(&group)?;
    let rows = shared.vaults.guards(&group).await.map_err(refuse)?;
    let guards = rows.into_iter().map(view).collect();
    Ok(Json(GuardList { guards }))
}

/// `POST /api/v1/resource-groups/{group}/guards`.
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    Path(group): Path<String>,
    incoming: Incoming,
) -> Answer<(StatusCode, Located<Json<GuardView>>)> {
    let group: ResourceGroupName = parse(&group)?;
    let create: CreateGuard = incoming.read_json(&shared, RouteId::CreateGuard).await?;
    let made = shared.vaults.create_guard(&group, &create.name, &create.except).await;
    let row = made.map_err(refuse)?;
    tracing::info!(%group, guard = %row.name, "made a resource guard");
    let (group, name) = (row.resource_group.clone(), row.name.clone());
    let location = located(RouteId::ShowGuard, &[&group, &name], Json(view(row)));
    Ok((StatusCode::CREATED, location))
}

/// `GET /api/v1/resource-groups/{group}/guards/{guard}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path((group, guard)): Path<(String, String)>,
) -> Answer<Json<GuardView>> {
    Ok(Json(view(find(&shared, &group, &guard).await?)))
}

/// `DELETE /api/v1/resource-groups/{group}/guards/{guard}`.
pub(crate) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((group, guard)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let (group, guard): (ResourceGroupName, GuardName) = (parse(&group)?, parse(&guard)?);
    shared.vaults.delete_guard(&group, &guard).await.map_err(refuse)?;
    tracing::warn!(%group, %guard, "deleted a resource guard");
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/vaults/{vault}/guard`.
pub(crate) async fn of_vault(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    account: Account,
) -> Answer<Json<VaultGuardView>> {
    let vault = shared.vault(&vault).await?;
    let (guard, since) = shared.vaults.guard_of(vault.id).await.map_err(refuse)?;
    Ok(Json(mapping(guard, since, &account.access)))
}

/// `PUT /api/v1/vaults/{vault}/guard`.
pub(crate) async fn set(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    account: Account,
    incoming: Incoming,
) -> Answer<Json<VaultGuardView>> {
    let set: SetVaultGuard = incoming.read_json(&shared, RouteId::SetVaultGuard).await?;
    let vault = shared.vault(&vault).await?;
    let (guard, since) = set_for(&shared, &account.access, &vault, &set).await?;
    Ok(Json(mapping(guard, since, &account.access)))
}

/// Puts a vault under a guard that the caller may see.
pub(crate) async fn set_for(
    shared: &Shared,
    access: &Access,
    vault: &VaultRow,
    set: &SetVaultGuard,
) -> Answer<(GuardRow, Timestamp)> {
    let group = &set.resource_group;
    let (needed, read) = (Permission::GuardsRead, Permission::ResourceGroupsRead);
    access.require(needed, read, &Place::resource_group(group), || no_such_group(group))?;
    let under = shared.vaults.set_guard(vault.id, group, &set.guard).await;
    let under = under.map_err(refuse)?;
    tracing::info!(vault = %vault.name, guard = %under.0.name, "put a vault under a resource guard");
    Ok(under)
}

/// `DELETE /api/v1/vaults/{vault}/guard`.
pub(crate) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    account: Account,
) -> Answer<StatusCode> {
    let vault = shared.vault(&vault).await?;
    let removed = shared.vaults.remove_guard(vault.id, &account.actor()).await;
    removed.map_err(refuse)?;
    tracing::warn!(vault = %vault.name, "took the resource guard off a vault");
    Ok(StatusCode::NO_CONTENT)
}

/// The guard that a path names.
pub(crate) async fn find(shared: &Shared, group: &str, guard: &str) -> Answer<GuardRow> {
    shared
        .vaults
        .guard(&parse(group)?, &parse(guard)?)
        .await
        .map_err(refuse)
}

/// What a guard guards.
pub(crate) fn guarded(row: &GuardRow) -> impl Iterator<Item = GuardedOperation> {
    let all = GuardedOperation::ALL.iter().copied();
    all.filter(|operation| row.guards(*operation))
}

fn view(row: GuardRow) -> GuardView {
    GuardView {
        operations: guarded(&row).collect(),
        name: row.name,
        resource_group: row.resource_group,
        vaults: row.vaults,
        created: row.created,
    }
}

fn mapping(row: GuardRow, since: Timestamp, access: &Access) -> VaultGuardView {
    let place = Place::resource_group(&row.resource_group);
    let owns_both = access.permits(Permission::ApprovalsDecide, &place);
    let warning = format!(
        "you may decide at this resource guard too: it protects the vault from a single person only if the resource group {} \
         belongs to somebody else",
        row.resource_group
    );
    VaultGuardView {
        operations: guarded(&row).collect(),
        guard: row.name,
        resource_group: row.resource_group,
        since,
        warning: owns_both.then_some(warning),
    }
}
