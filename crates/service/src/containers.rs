//! Registered machines, for people.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use strongroom_api::{ContainerFilter, ContainerList, ContainerView, ItemChange};
use strongroom_vault::Container;

use crate::items::change;
use crate::principal::Account;
use crate::query::{Filter, page};
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/vaults/{vault}/containers`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    Filter(filter): Filter<ContainerFilter>,
) -> Answer<Json<ContainerList>> {
    let limit = page(filter.limit)?;
    let after = filter.after.unwrap_or_default().to_ascii_lowercase();
    let vault = shared.vault(&vault).await?;
    let rows = shared.vaults.containers(vault.id, &after, limit).await;
    let rows = rows.map_err(refuse)?;
    let is_full = rows.len() == limit as usize;
    let next = rows.last().filter(|_| is_full).map(|last| last.place.clone());
    let containers = rows.into_iter().map(view).collect();
    Ok(Json(ContainerList { containers, next }))
}

/// `GET /api/v1/vaults/{vault}/containers/{container}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path((vault, container)): Path<(String, String)>,
) -> Answer<Json<ContainerView>> {
    let container = find(&shared, &vault, &container).await?;
    Ok(Json(view(container)))
}

/// `DELETE /api/v1/vaults/{vault}/containers/{container}`.
pub(crate) async fn unregister(
    State(shared): State<Arc<Shared>>,
    Path((vault, container)): Path<(String, String)>,
    account: Account,
) -> Answer<Json<ItemChange>> {
    let container = find(&shared, &vault, &container).await?;
    let changed = shared.vaults.unregister(&account.actor(), &container).await;
    let changed = changed.map_err(refuse)?;
    shared.calls.call(container.id);
    tracing::info!(vault, machine = %container.name, id = %container.id, "unregistered a machine");
    Ok(Json(change(changed)))
}

async fn find(shared: &Shared, vault: &str, container: &str) -> Answer<Container> {
    let vault = shared.vault(vault).await?;
    let found = shared.vaults.find_container(vault.id, container).await;
    found.map_err(refuse)
}

fn view(container: Container) -> ContainerView {
    ContainerView {
        id: container.id,
        name: container.name,
        item: container.item,
        registered: container.registered,
        workload: container.workload,
        host: container.host,
    }
}
