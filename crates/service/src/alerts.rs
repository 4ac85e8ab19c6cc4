//! Alerts, for people.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use strongroom_api::routes::RouteId;
use strongroom_api::{AlertFilter, AlertList, AlertView, InactivateAlert, PageFilter};
use strongroom_model::{AlertId, AlertState};
use strongroom_vault::{AlertQuery, AlertRow};

use crate::incoming::Incoming;
use crate::parse::parse;
use crate::principal::{Account, Machine};
use crate::query::{Filter, page};
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/vaults/{vault}/alerts`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    Filter(filter): Filter<AlertFilter>,
) -> Answer<Json<AlertList>> {
    let limit = page(filter.limit)?;
    let vault = shared.vault(&vault).await?;
    let item = match &filter.item {
        Some(item) => Some(shared.vaults.item(vault.id, item).await.map_err(refuse)?.id),
        None => None,
    };
    let query = AlertQuery {
        before: filter.before,
        limit,
        state: filter.state,
        severity: filter.severity,
        kind: filter.kind,
        item,
        since: filter.since,
        until: filter.until,
    };
    let (rows, next) = shared.vaults.alerts(vault.id, &query).await.map_err(refuse)?;
    let alerts = rows.into_iter().map(view).collect();
    Ok(Json(AlertList { alerts, next }))
}

/// `GET /api/v1/machine/alerts`.
pub(crate) async fn list_own(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Filter(filter): Filter<PageFilter>,
) -> Answer<Json<AlertList>> {
    let query = AlertQuery {
        before: filter.before,
        limit: page(filter.limit)?,
        state: Some(AlertState::Active),
        item: Some(machine.item),
        ..AlertQuery::default()
    };
    let (rows, next) = shared.vaults.alerts(machine.vault, &query).await.map_err(refuse)?;
    let alerts = rows.into_iter().map(view).collect();
    Ok(Json(AlertList { alerts, next }))
}

/// `GET /api/v1/vaults/{vault}/alerts/{alert}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path((vault, alert)): Path<(String, String)>,
) -> Answer<Json<AlertView>> {
    let alert: AlertId = parse(&alert)?;
    let vault = shared.vault(&vault).await?;
    let row = shared.vaults.alert(vault.id, alert).await.map_err(refuse)?;
    Ok(Json(view(row)))
}

/// `POST /api/v1/vaults/{vault}/alerts/{alert}/inactivate`.
pub(crate) async fn inactivate(
    State(shared): State<Arc<Shared>>,
    Path((vault, alert)): Path<(String, String)>,
    Account { name: user, .. }: Account,
    incoming: Incoming,
) -> Answer<Json<AlertView>> {
    let alert: AlertId = parse(&alert)?;
    let InactivateAlert { note } = incoming.read_json(&shared, RouteId::InactivateAlert).await?;
    let found = shared.vault(&vault).await?;
    let closed = shared.vaults.inactivate_alert(found.id, alert, &user, &note).await;
    let row = closed.map_err(refuse)?;
    tracing::info!(vault, %alert, kind = %row.kind, user, "closed an alert");
    Ok(Json(view(row)))
}

/// An alert as people and programs see it.
pub(crate) fn view(row: AlertRow) -> AlertView {
    let some = |text: String| (!text.is_empty()).then_some(text);
    AlertView {
        id: row.id,
        kind: row.kind,
        title: row.kind.title().to_owned(),
        severity: row.kind.severity(),
        sev: row.kind.sev(),
        state: row.state,
        code: row.code,
        subject: row.subject,
        item: row.item,
        job: row.job,
        message: row.message,
        recommendation: row.recommendation,
        count: row.count,
        raised: row.raised,
        last: row.last,
        ended: row.ended,
        ended_by: some(row.ended_by),
        note: some(row.note),
    }
}
