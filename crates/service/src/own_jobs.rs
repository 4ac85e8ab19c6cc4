//! Jobs, for the machine that does them. Those of others are as if they did not exist.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{JobList, JobView, PageFilter};
use strongroom_model::JobId;
use strongroom_vault::JobQuery;

use crate::jobs::view;
use crate::location::{Located, located};
use crate::parse::parse;
use crate::principal::Machine;
use crate::query::{Filter, page};
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/jobs`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Filter(filter): Filter<PageFilter>,
) -> Answer<Json<JobList>> {
    let query = JobQuery {
        before: filter.before,
        limit: page(filter.limit)?,
        item: Some(machine.item),
        ..JobQuery::default()
    };
    let (rows, next) = shared.vaults.jobs(machine.vault, &query).await.map_err(refuse)?;
    let now = shared.clock.now();
    let jobs = rows.into_iter().map(|row| view(row, now)).collect();
    Ok(Json(JobList { jobs, next }))
}

/// `GET /api/v1/jobs/{job}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path(job): Path<String>,
) -> Answer<Json<JobView>> {
    let job: JobId = parse(&job)?;
    let row = shared.vaults.own_job(machine.container, job).await.map_err(refuse)?;
    Ok(Json(view(row, shared.clock.now())))
}

/// `POST /api/v1/jobs/{job}/cancel`.
pub(crate) async fn cancel(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path(job): Path<String>,
) -> Answer<(StatusCode, Located<Json<JobView>>)> {
    let job: JobId = parse(&job)?;
    let cancelled = shared.vaults.cancel_own_job(machine.container, job).await;
    let row = cancelled.map_err(refuse)?;
    // What runs there may be another process than the one that asks.
    shared.calls.call(machine.container);
    tracing::info!(machine = %row.name, %job, "a machine told its job to stop");
    let shown = Json(view(row, shared.clock.now()));
    Ok((StatusCode::ACCEPTED, located(RouteId::ShowOwnJob, &[&job], shown)))
}
