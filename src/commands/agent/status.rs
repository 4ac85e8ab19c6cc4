//! `strongroom agent status`: how this machine stands.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_agent::{Here, Machine, Told};
use strongroom_api::{AlertView, ClientError, JobView, PointView, Protection, RetryPolicy};
use strongroom_model::{Limits, MachineName, VaultName};

use super::open;
use crate::cli::Global;
use crate::commands::block_on;
use crate::commands::job::took;
use crate::failure::{Failure, Outcome};
use crate::settings_flags::{line, several};
use crate::terminal::{Terminal, bytes, moment};

/// So many jobs are shown that are over.
const LAST: usize = 5;

/// Show how this machine stands: its protection, its jobs, its throttle, and what is amiss
///
/// What is known here is shown also while the service does not answer; the exit status is 3 then. `strongroom agent ui` shows
/// the same, and goes on showing it.
#[derive(Debug, Args)]
pub(crate) struct Status {}

#[derive(Serialize)]
struct View {
    machine: MachineName,
    vault: VaultName,
    service: String,
    state: PathBuf,
    /// Whether `strongroom agent run` runs with this state folder.
    agent_runs: bool,
    /// Whether the machine runs on battery.
    on_battery: bool,
    /// Whether its connection is metered.
    metered: bool,
    /// Whether scheduled backups wait because of either.
    waits: bool,
    #[serde(skip)]
    circumstances: Vec<(&'static str, String)>,
    /// What its settings select.
    paths: Vec<String>,
    /// How fast it sends and receives at this moment.
    limits: Limits,
    reachable: bool,
    problem: Option<String>,
    #[serde(flatten)]
    told: Option<ToldView>,
}

/// What the service says.
#[derive(Serialize)]
struct ToldView {
    protection: Protection,
    latest_point: Option<PointView>,
    /// Jobs that are not over.
    running: Vec<JobView>,
    /// The last that are, newest first.
    last: Vec<JobView>,
    alerts: Vec<AlertView>,
}

impl Status {
    pub(super) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = open(global, RetryPolicy::NONE)?;
        let told = block_on(async { Ok(machine.told(None).await) })?;
        let view = View::new(&machine, machine.here()?, told);
        terminal.result(&view, shown)?;
        Ok(match view.reachable {
            true => Outcome::Done,
            false => Outcome::Warnings,
        })
    }
}

impl View {
    fn new(machine: &Machine, here: Here, told: Result<Told, ClientError>) -> Self {
        let state = machine.state();
        Self {
            machine: state.name.clone(),
            vault: state.vault_name.clone(),
            service: state.url.clone(),
            state: here.state.clone(),
            agent_runs: here.has_client,
            on_battery: here.on_battery,
            metered: here.metered,
            waits: here.waits(),
            circumstances: here.circumstances(),
            paths: here.settings.paths,
            limits: here.limits,
            reachable: told.is_ok(),
            problem: told.as_ref().err().map(ToString::to_string),
            told: told.ok().map(ToldView::new),
        }
    }
}

impl ToldView {
    fn new(told: Told) -> Self {
        Self {
            running: told.open_jobs().cloned().collect(),
            last: told.ended_jobs().take(LAST).cloned().collect(),
            protection: told.own.protection,
            latest_point: told.latest,
            alerts: told.alerts,
        }
    }
}

fn shown(view: &View) -> String {
    let agent = match view.agent_runs {
        true => "`strongroom agent run` waits for work",
        false => "`strongroom agent run` does not run here: nothing is backed up on schedule",
    };
    let mut text = line("machine", &view.machine) + &line("vault", format!("{} at {}", view.vault, view.service));
    text += &line("state", view.state.display());
    text += &line("agent", agent);
    for (word, what) in &view.circumstances {
        text += &line(word, what);
    }
    match view.paths.is_empty() {
        true => {
            text += &line(
                "backs up",
                "nothing yet: `strongroom agent settings --path PATH` selects something",
            )
        }
        false => text += &several("backs up", &view.paths),
    }
    let Limits { upload, download } = view.limits;
    text += &line("throttle now", format!("upload {upload}, download {download}"));
    match (&view.told, &view.problem) {
        (Some(told), _) => text + &told_lines(told),
        (None, problem) => text + &line("service", problem.as_deref().unwrap_or("does not answer")),
    }
}

fn told_lines(told: &ToldView) -> String {
    let Protection {
        state,
        policy,
        next_backup,
    } = &told.protection;
    let policy = policy
        .as_ref()
        .map_or("no policy".to_owned(), |policy| format!("policy {policy}"));
    let mut text = line("protection", format!("{state}, {policy}"));
    text += &line("next backup", next_backup.map_or("none planned".to_owned(), moment));
    let latest = told.latest_point.as_ref().map_or("none".to_owned(), |point| {
        let size = bytes(point.total_bytes);
        format!(
            "{}: {} entries, {size} ({})",
            moment(point.created),
            point.files,
            point.id
        )
    });
    text += &line("newest point", latest);
    text += &several("under way", &told.running.iter().map(under_way).collect::<Vec<_>>());
    text += &several("last jobs", &told.last.iter().map(ended).collect::<Vec<_>>());
    let alert = |alert: &AlertView| format!("{}: {} {}", alert.title, alert.message, alert.recommendation);
    text + &several("alerts", &told.alerts.iter().map(alert).collect::<Vec<_>>())
}

/// A job that is not over, in one line.
pub(crate) fn under_way(job: &JobView) -> String {
    let mut text = format!("{} {}", job.operation, job.state);
    if let Some(percent) = job.percent {
        text += &format!(", {percent} %");
    }
    text += &format!(
        ", {} looked at, {} over the line",
        bytes(job.progress.bytes),
        bytes(job.progress.moved_bytes)
    );
    if let Some(left) = job.seconds_left {
        text += &format!(", {left} s left");
    }
    format!("{text} ({})", job.id)
}

/// A job that is over, in one line.
fn ended(job: &JobView) -> String {
    let at = job.ended.unwrap_or(job.created);
    let mut text = format!("{} {} {}, {}", moment(at), job.operation, job.state, took(job));
    if let Some(point) = job.point {
        text += &format!(", point {point}");
    }
    for error in &job.errors {
        text += &format!(": {}", error.message);
    }
    text
}
