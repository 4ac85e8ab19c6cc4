//! Protected items, for people.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use strongroom_api::routes::RouteId;
use strongroom_api::{
    BackUpItem, ItemChange, ItemFilter, ItemList, ItemView, JobView, KeptPoint, KeptPointList, LastBackup, ProtectItem,
    StopData, StopItem,
};
use strongroom_model::ItemState;
use strongroom_vault::{ItemChanged, ItemQuery, ItemRow, Stop};

use crate::etag::{IfMatch, Tagged, tagged};
use crate::incoming::Incoming;
use crate::jobs;
use crate::location::Located;
use crate::points;
use crate::principal::Account;
use crate::query::{Filter, page};
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/vaults/{vault}/items`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    Filter(filter): Filter<ItemFilter>,
) -> Answer<Json<ItemList>> {
    let query = ItemQuery {
        after: filter.after.unwrap_or_default().to_ascii_lowercase(),
        limit: page(filter.limit)?,
        policy: filter.policy,
        state: filter.state,
        deleted: filter.deleted,
    };
    let vault = shared.vault(&vault).await?;
    let (rows, next) = shared.vaults.items(vault.id, &query).await.map_err(refuse)?;
    let now = shared.clock.now();
    let items = rows.into_iter().map(|row| view(row, now)).collect();
    Ok(Json(ItemList { items, next }))
}

/// `GET /api/v1/vaults/{vault}/items/{item}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path((vault, item)): Path<(String, String)>,
) -> Answer<Tagged<ItemView>> {
    let item = find(&shared, &vault, &item).await?;
    Ok(tagged(item.version, view(item, shared.clock.now())))
}

/// `PUT /api/v1/vaults/{vault}/items/{item}/protection`.
pub(crate) async fn protect(
    State(shared): State<Arc<Shared>>,
    Path((vault, item)): Path<(String, String)>,
    account: Account,
    IfMatch(version): IfMatch,
    incoming: Incoming,
) -> Answer<Json<ItemChange>> {
    let protect: ProtectItem = incoming.read_json(&shared, RouteId::ProtectItem).await?;
    let item = find(&shared, &vault, &item).await?;
    let changed = shared
        .vaults
        .protect(&account.actor(), &item, &protect.policy, version)
        .await;
    let changed = changed.map_err(refuse)?;
    tracing::info!(vault, item = %item.name, policy = %protect.policy, "protects an item");
    Ok(Json(change(changed)))
}

/// `POST /api/v1/vaults/{vault}/items/{item}/stop`.
pub(crate) async fn stop(
    State(shared): State<Arc<Shared>>,
    Path((vault, item)): Path<(String, String)>,
    account: Account,
    IfMatch(version): IfMatch,
    incoming: Incoming,
) -> Answer<Json<ItemChange>> {
    let stop: StopItem = incoming.read_json(&shared, RouteId::StopItem).await?;
    let item = find(&shared, &vault, &item).await?;
    let how = match stop.data {
        StopData::Retain => Stop::Retain,
        StopData::RetainByPolicy => Stop::RetainByPolicy,
        StopData::Delete => Stop::Delete,
    };
    let changed = shared.vaults.stop(&account.actor(), &item, how, version).await;
    let changed = changed.map_err(refuse)?;
    shared.calls.call(item.container);
    tracing::info!(vault, item = %item.name, ?how, "stopped the protection of an item");
    Ok(Json(change(changed)))
}

/// `POST /api/v1/vaults/{vault}/items/{item}/undelete`.
pub(crate) async fn undelete(
    State(shared): State<Arc<Shared>>,
    Path((vault, item)): Path<(String, String)>,
    IfMatch(version): IfMatch,
) -> Answer<Json<ItemChange>> {
    let item = find(&shared, &vault, &item).await?;
    let changed = shared.vaults.undelete(&item, version).await.map_err(refuse)?;
    tracing::info!(vault, item = %item.name, "brought a soft-deleted item back");
    Ok(Json(change(changed)))
}

/// `POST /api/v1/vaults/{vault}/items/{item}/backup`.
pub(crate) async fn back_up(
    State(shared): State<Arc<Shared>>,
    Path((vault, item)): Path<(String, String)>,
    incoming: Incoming,
) -> Answer<(StatusCode, Located<Json<JobView>>)> {
    let wish: BackUpItem = incoming.read_json(&shared, RouteId::BackUpItem).await?;
    let item = find(&shared, &vault, &item).await?;
    let job = shared
        .vaults
        .back_up_now(&item, wish.keep_until)
        .await
        .map_err(refuse)?;
    shared.calls.call(item.container);
    tracing::info!(vault, item = %item.name, job = %job.id, "asked for a backup");
    Ok((
        StatusCode::ACCEPTED,
        jobs::located_view(&vault, job, shared.clock.now()),
    ))
}

/// `GET /api/v1/vaults/{vault}/items/{item}/points`.
pub(crate) async fn list_points(
    State(shared): State<Arc<Shared>>,
    Path((vault, item)): Path<(String, String)>,
) -> Answer<Json<KeptPointList>> {
    let item = find(&shared, &vault, &item).await?;
    let verdicts = shared.vaults.verdicts(item.id).await.map_err(refuse)?;
    let verdicts: HashMap<_, _> = verdicts
        .into_iter()
        .map(|(kept, verdict)| (kept.point, verdict))
        .collect();
    let rows = shared.vaults.item_points(&item).await.map_err(refuse)?;
    let kept = |row: strongroom_vault::PointRow| {
        let verdict = verdicts.get(&row.id)?;
        Some(KeptPoint {
            tags: row.tags,
            verdict: *verdict,
            why: verdict.to_string(),
            point: points::view(row),
        })
    };
    // One that was committed or went between the two questions is left out.
    let points = rows.into_iter().filter_map(kept).collect();
    Ok(Json(KeptPointList { points }))
}

pub(crate) async fn find(shared: &Shared, vault: &str, item: &str) -> Answer<ItemRow> {
    let vault = shared.vault(vault).await?;
    shared.vaults.item(vault.id, item).await.map_err(refuse)
}

pub(crate) fn change(changed: ItemChanged) -> ItemChange {
    let now = changed.job.created;
    ItemChange {
        item: changed.item.map(|row| view(row, now)),
        job: jobs::view(changed.job, now),
    }
}

/// An item as people see it at a moment. One that is stopped remembers its policy, but is not under it.
pub(crate) fn view(row: ItemRow, now: Timestamp) -> ItemView {
    let is_under = row.state != ItemState::ProtectionStopped && row.deleted.is_none();
    ItemView {
        id: row.id,
        name: row.name,
        container: row.container,
        unregistered: row.unregistered,
        workload: row.workload,
        state: row.state,
        policy: row.policy.filter(|_| is_under),
        next_backup: row.next_due,
        last_backup: row.last_backup.map(|(state, at)| LastBackup { state, at }),
        latest_point: row.latest_point,
        rpo: row.rpo.map(|basis| basis.light(now)),
        deleted: row.deleted,
        purged_at: row.purge_at,
        version: row.version,
    }
}
