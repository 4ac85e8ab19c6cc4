//! The link: machines hold a request open, and work comes down it. Then they tell of what they do.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{
    BeginJob, Code, FinishJob, JOB_ERRORS_MAX, JOB_TASKS_MAX, JobView, LINK_SECONDS_MAX, LinkAnswer, LinkRequest,
    MACHINE_ERROR_CODES, OwnProtection, Protection, RUNNING_MAX, ReportJob, Reported,
};
use strongroom_model::{JobError, JobId, JobState, Operation, Task};
use strongroom_vault::{ItemRow, JobReport};
use tokio::time::{Instant, sleep_until};

use crate::incoming::Incoming;
use crate::jobs::view;
use crate::parse::parse;
use crate::principal::Machine;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `POST /api/v1/link`.
pub(crate) async fn link(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    incoming: Incoming,
) -> Answer<Json<LinkAnswer>> {
    let request: LinkRequest = incoming.read_json(&shared, RouteId::Link).await?;
    if request.running.len() > RUNNING_MAX {
        let detail = format!("A machine does at most {RUNNING_MAX} jobs at a time");
        return Err(Refusal::new(Code::InvalidRequest, detail));
    }
    let patience = Duration::from_secs(request.wait_seconds.min(LINK_SECONDS_MAX));
    let until = Instant::now() + patience;
    let mut ending = shared.ending.clone();
    loop {
        let place = shared.calls.wait(machine.container);
        let answer = look(&shared, machine, &request).await?;
        let has_news = request.settings.is_some_and(|seen| seen != answer.settings);
        if has_news || answer.discover || !answer.jobs.is_empty() || !answer.stop.is_empty() {
            return Ok(Json(answer));
        }
        tokio::select! {
            () = place.called() => {}
            () = sleep_until(until) => return Ok(Json(answer)),
            _ = ending.wait_for(|&ending| ending) => return Ok(Json(answer)),
        }
    }
}

/// What there is to do just now; jobs are the machine's from here on.
async fn look(shared: &Shared, machine: Machine, request: &LinkRequest) -> Answer<LinkAnswer> {
    // Who held the link may have been unregistered meanwhile.
    shared.vaults.container(machine.container).await.map_err(refuse)?;
    let work = shared.vaults.work(machine.container, &request.running).await;
    let work = work.map_err(refuse)?;
    let mut jobs = Vec::new();
    for job in work.jobs {
        let taken = shared.vaults.take_job(job.id).await.map_err(refuse)?;
        jobs.extend(taken.map(|job| view(job, shared.clock.now())));
    }
    let item = shared.vaults.item_of(machine.item).await.map_err(refuse)?;
    let wanted = shared.vaults.discovery_wanted(machine.container).await;
    Ok(LinkAnswer {
        jobs,
        stop: work.stop,
        settings: item.settings,
        discover: request.discovers && wanted.map_err(refuse)?,
        protection: protection(item),
    })
}

/// `GET /api/v1/machine/protection`.
pub(crate) async fn show_protection(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
) -> Answer<Json<OwnProtection>> {
    let item = shared.vaults.item_of(machine.item).await.map_err(refuse)?;
    Ok(Json(OwnProtection {
        name: item.name.clone(),
        container: item.container,
        item: item.id,
        latest_point: item.latest_point,
        protection: protection(item),
    }))
}

/// What a machine is told of its item.
fn protection(item: ItemRow) -> Protection {
    Protection {
        state: item.state,
        policy: item.policy,
        next_backup: item.next_due,
    }
}

/// `POST /api/v1/jobs`.
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<JobView>)> {
    let begin: BeginJob = incoming.read_json(&shared, RouteId::BeginJob).await?;
    if !matches!(begin.operation, Operation::Backup | Operation::Restore) {
        let detail = "A machine begins backups and restores only";
        return Err(Refusal::new(Code::InvalidRequest, detail));
    }
    let job = shared.vaults.begin_job(machine.container, begin.operation).await;
    let job = job.map_err(refuse)?;
    Ok((StatusCode::CREATED, Json(view(job, shared.clock.now()))))
}

/// `POST /api/v1/jobs/{job}/progress`.
pub(crate) async fn report(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path(job): Path<String>,
    incoming: Incoming,
) -> Answer<Json<Reported>> {
    let job: JobId = parse(&job)?;
    let report: ReportJob = incoming.read_json(&shared, RouteId::ReportJob).await?;
    let report = JobReport {
        progress: report.progress,
        tasks: tasks(report.tasks)?,
        errors: Vec::new(),
    };
    let state = shared.vaults.report_job(machine.container, job, &report).await;
    let state = state.map_err(refuse)?;
    Ok(Json(Reported { state }))
}

/// `POST /api/v1/jobs/{job}/finish`.
pub(crate) async fn finish(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path(job): Path<String>,
    incoming: Incoming,
) -> Answer<Json<JobView>> {
    let job: JobId = parse(&job)?;
    let finish: FinishJob = incoming.read_json(&shared, RouteId::FinishJob).await?;
    use JobState::*;
    if !matches!(finish.state, Completed | CompletedWithWarnings | Failed | Cancelled) {
        let detail = format!("A job does not end as {}", finish.state);
        return Err(Refusal::new(Code::InvalidRequest, detail));
    }
    let report = JobReport {
        progress: finish.progress,
        tasks: tasks(finish.tasks)?,
        errors: errors(finish.errors)?,
    };
    let ended = shared.vaults.finish_job(machine.container, job, finish.state, &report);
    let row = ended.await.map_err(refuse)?;
    tracing::info!(machine = %row.name, job = %row.id, operation = %row.operation, state = %row.state, "a job is over");
    shared.metrics.job_ended(row.operation, row.state);
    Ok(Json(view(row, shared.clock.now())))
}

fn tasks(tasks: Vec<Task>) -> Answer<Vec<Task>> {
    let tasks = bounded(tasks, JOB_TASKS_MAX)?;
    Ok(tasks.into_iter().map(Task::of_machine).collect())
}

/// Each code that was never heard of could raise an alert of its own: so there is none.
fn errors(errors: Vec<JobError>) -> Answer<Vec<JobError>> {
    let known = |code: &str| MACHINE_ERROR_CODES.contains(&code) || Code::ALL.iter().any(|one| one.as_str() == code);
    let errors = bounded(errors, JOB_ERRORS_MAX)?;
    Ok(errors.into_iter().map(|error| error.of_machine(known)).collect())
}

fn bounded<T>(list: Vec<T>, most: usize) -> Answer<Vec<T>> {
    match list.len() <= most {
        true => Ok(list),
        false => {
            let detail = format!("A list in the request has more than {most} members");
            Err(Refusal::new(Code::InvalidRequest, detail))
        }
    }
}
