//! `strongroom job`: what was done, what is being done, and how to stop it.

use std::time::Duration;

use clap::{Args, Subcommand};
use strongroom_api::{Client, JobFilter, JobList, JobView};
use strongroom_model::{JobId, JobState, MachineName, Operation, VaultName};
use tokio::time::Instant;

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Table, Terminal, bytes, moment};
use crate::which_vault::WhichVault;

/// How often a job is looked at that somebody waits for.
const LOOK: Duration = Duration::from_secs(1);

/// List and show jobs, wait for them and stop them
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    List(List),
    Show(Show),
    Wait(Wait),
    Stop(Stop),
}

/// List the jobs of a vault, newest first
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom job list --status Failed
  strongroom job list --item web-1 --operation Backup --limit 5")]
pub(crate) struct List {
    /// Only those in this state, such as InProgress or Failed
    #[arg(long, value_name = "STATE")]
    status: Option<JobState>,
    /// Only those that do this, such as Backup or Restore
    #[arg(long, value_name = "OPERATION")]
    operation: Option<Operation>,
    /// Only those of this item
    #[arg(long, value_name = "NAME")]
    item: Option<MachineName>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    vault: WhichVault,
}

/// Show one job
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    which: Which,
}

/// Wait until a job is over
///
/// The exit status tells how it ended: 0 done, 1 failed or cancelled, 3 done with warnings.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom job wait 019aa5e2-5d3c-7c61-9f0e-3f1d7e3c2b1a --timeout 3600")]
pub(crate) struct Wait {
    #[command(flatten)]
    which: Which,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// Tell a job to stop
///
/// One that no machine has begun is cancelled at once; another one when its machine hears of it.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    which: Which,
}

/// The job that a command is about.
#[derive(Debug, Args)]
struct Which {
    /// Its id
    job: JobId,
    #[command(flatten)]
    vault: WhichVault,
}

impl Job {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let client = AdminSession::client(global)?;
        match self {
            Self::List(list) => {
                let jobs = block_on(list.ask(&client))?;
                terminal.result(&jobs, |jobs| match jobs.jobs.is_empty() {
                    true => "There are no such jobs.".to_owned(),
                    false => table(&jobs.jobs),
                })?;
                Ok(Outcome::Done)
            }
            Self::Show(Show { which }) => {
                let job = block_on(async { Ok(client.job(&which.vault.name(&client).await?, which.job).await?) })?;
                terminal.result(&job, shown)?;
                Ok(Outcome::Done)
            }
            Self::Wait(Wait { which, timeout }) => {
                let job = block_on(async {
                    let vault = which.vault.name(&client).await?;
                    wait(&client, &vault, which.job, timeout.map(Duration::from_secs)).await
                })?;
                terminal.result(&job, sentence)?;
                Ok(outcome(&job))
            }
            Self::Stop(Stop { which }) => {
                let job =
                    block_on(async { Ok(client.cancel_job(&which.vault.name(&client).await?, which.job).await?) })?;
                terminal.done(&job, sentence)?;
                Ok(Outcome::Done)
            }
        }
    }
}

impl List {
    async fn ask(self, client: &Client) -> Result<JobList, Failure> {
        let vault = self.vault.name(client).await?;
        let filter = JobFilter {
            limit: Some(self.limit),
            state: self.status,
            operation: self.operation,
            item: self.item.map(String::from),
            ..JobFilter::default()
        };
        Ok(client.jobs(&vault, &filter).await?)
    }
}

/// Waits until a job is over.
pub(crate) async fn wait(
    client: &Client,
    vault: &VaultName,
    job: JobId,
    patience: Option<Duration>,
) -> Result<JobView, Failure> {
    let until = patience.map(|patience| Instant::now() + patience);
    loop {
        let view = client.job(vault, job).await?;
        if !view.state.is_open() {
            return Ok(view);
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            let why = format!(
                "the job is not over yet: it is {}. Wait again, or without --timeout",
                view.state
            );
            return Err(Failure::new(why));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What the end of a job means for the command that waited.
pub(crate) fn outcome(job: &JobView) -> Outcome {
    match job.state {
        JobState::Completed => Outcome::Done,
        JobState::CompletedWithWarnings => Outcome::Warnings,
        _ => Outcome::Failed,
    }
}

/// A job in one sentence.
pub(crate) fn sentence(job: &JobView) -> String {
    let mut text = format!("{} of {}: {}.", job.operation, job.name, job.state);
    for error in &job.errors {
        text += &format!("\n{}", error.message);
    }
    text
}

fn table(jobs: &[JobView]) -> String {
    let mut table = Table::new(&["JOB", "OPERATION", "ITEM", "STATE", "MADE", ">TOOK", ">BYTES"]);
    for job in jobs {
        table.row([
            job.id.to_string(),
            job.operation.to_string(),
            job.name.to_string(),
            match (job.state, job.percent) {
                (JobState::InProgress, Some(percent)) => format!("{} {percent} %", job.state),
                (state, _) => state.to_string(),
            },
            moment(job.created),
            took(job),
            bytes(job.progress.bytes),
        ]);
    }
    table.to_text()
}

/// How long a job took.
pub(crate) fn took(job: &JobView) -> String {
    match (job.started, job.ended) {
        (Some(started), Some(ended)) => format!("{} s", ended.duration_since(started).as_secs()),
        _ => "-".to_owned(),
    }
}

/// A job with all that is known of it, a line each.
pub(crate) fn shown(job: &JobView) -> String {
    let line = |name: &str, value: String| format!("{name:<12}{value}\n");
    let mut text = [
        line("job", job.id.to_string()),
        line("operation", job.operation.to_string()),
        line("item", job.name.to_string()),
        line("state", job.state.to_string()),
        line("made by", job.trigger.to_string()),
        line("made", moment(job.created)),
    ]
    .concat();
    for (name, at) in [("due", job.due), ("started", job.started), ("ended", job.ended)] {
        text += &at.map_or(String::new(), |at| line(name, moment(at)));
    }
    let progress = job.progress;
    if progress.entries > 0 {
        let figures = format!(
            "{} entries, {}, {} moved",
            progress.entries,
            bytes(progress.bytes),
            bytes(progress.moved_bytes)
        );
        text += &line("progress", figures);
    }
    if let (true, Some(percent)) = (job.state.is_open(), job.percent) {
        let left = job
            .seconds_left
            .map_or(String::new(), |left| format!(", {left} s left"));
        text += &line("", format!("{percent} %{left}"));
    }
    for task in &job.tasks {
        text += &line("task", format!("{}: {}", task.name, task.state));
    }
    if let Some(point) = job.point {
        text += &line("point", point.to_string());
    }
    for error in &job.errors {
        text += &line("error", format!("{}: {}", error.code, error.message));
        for advice in &error.recommendations {
            text += &line("", advice.clone());
        }
    }
    text
}
