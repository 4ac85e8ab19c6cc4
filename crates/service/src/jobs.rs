//! Jobs, for people.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use strongroom_api::routes::RouteId;
use strongroom_api::{JobFilter, JobList, JobView};
use strongroom_model::JobId;
use strongroom_vault::{JobQuery, JobRow};

use crate::location::{Located, located};
use crate::parse::parse;
use crate::query::{Filter, page};
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/vaults/{vault}/jobs`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    Filter(filter): Filter<JobFilter>,
) -> Answer<Json<JobList>> {
    let limit = page(filter.limit)?;
    let vault = shared.vault(&vault).await?;
    let item = match &filter.item {
        Some(item) => Some(shared.vaults.item(vault.id, item).await.map_err(refuse)?.id),
        None => None,
    };
    let query = JobQuery {
        before: filter.before,
        limit,
        states: filter.state.into_iter().collect(),
        operation: filter.operation,
        workload: None,
        item,
        since: filter.since,
        until: filter.until,
    };
    let (rows, next) = shared.vaults.jobs(vault.id, &query).await.map_err(refuse)?;
    let now = shared.clock.now();
    let jobs = rows.into_iter().map(|row| view(row, now)).collect();
    Ok(Json(JobList { jobs, next }))
}

/// `GET /api/v1/vaults/{vault}/jobs/{job}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path((vault, job)): Path<(String, String)>,
) -> Answer<Json<JobView>> {
    let job: JobId = parse(&job)?;
    let vault = shared.vault(&vault).await?;
    let row = shared.vaults.job(vault.id, job).await.map_err(refuse)?;
    Ok(Json(view(row, shared.clock.now())))
}

/// `POST /api/v1/vaults/{vault}/jobs/{job}/cancel`.
pub(crate) async fn cancel(
    State(shared): State<Arc<Shared>>,
    Path((vault, job)): Path<(String, String)>,
) -> Answer<(StatusCode, Located<Json<JobView>>)> {
    let job: JobId = parse(&job)?;
    let found = shared.vault(&vault).await?;
    let row = shared.vaults.cancel_job(found.id, job).await.map_err(refuse)?;
    shared.calls.call(row.container);
    tracing::info!(vault, %job, "told a job to stop");
    Ok((StatusCode::ACCEPTED, located_view(&vault, row, shared.clock.now())))
}

/// A job that goes on after the answer, and where it is watched.
pub(crate) fn located_view(vault: &str, row: JobRow, now: Timestamp) -> Located<Json<JobView>> {
    located(RouteId::ShowJob, &[&vault, &row.id.clone()], Json(view(row, now)))
}

/// A job as it is shown at this moment.
pub(crate) fn view(row: JobRow, now: Timestamp) -> JobView {
    let seconds = row.started.map(|started| {
        let end = row.ended.unwrap_or(now);
        u64::try_from(end.duration_since(started).as_secs()).unwrap_or(0)
    });
    let rate = seconds.and_then(|seconds| row.progress.bytes.checked_div(seconds));
    let is_open = row.state.is_open();
    let left = row.progress.expected_bytes.saturating_sub(row.progress.bytes);
    let seconds_left = rate
        .filter(|_| is_open && row.progress.expected_bytes > 0)
        .and_then(|rate| left.checked_div(rate));
    JobView {
        id: row.id,
        operation: row.operation,
        state: row.state,
        trigger: row.trigger,
        item: row.item,
        name: row.name,
        container: row.container,
        due: row.due,
        created: row.created,
        started: row.started,
        ended: row.ended,
        percent: if is_open { row.progress.percent() } else { Some(100) },
        progress: row.progress,
        rate,
        seconds_left,
        tasks: row.tasks,
        errors: row.errors,
        point: row.point,
    }
}
