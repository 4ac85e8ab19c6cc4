//! `strongroom import`: what another backup program has becomes recovery points.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use strongroom_agent::{AgentError, Choice, Import as Running, Machine, Planned, Wanted};
use strongroom_api::{RetryPolicy, Secret};
use strongroom_engine::{EngineError, Progress};
use strongroom_model::PointId;
use strongroom_restic::{Repository, Snapshot};
use strongroom_seal::Level;

use crate::cli::Global;
use crate::commands::backup::pace;
use crate::commands::{agent, block_on};
use crate::compression::Compression;
use crate::failure::{Failure, Outcome};
use crate::progress::watch;
use crate::terminal::{Table, Terminal, bytes, moment};
use crate::waiting::{Waiting, first_calls};
use crate::{issues, password};

/// Make recovery points of what another backup program has
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    Restic(Restic),
}

/// Make recovery points of the snapshots of a restic repository
///
/// Each snapshot becomes one recovery point of this machine, oldest first, whose moment is the snapshot's. Contents that
/// the vault has are not sent again. The repository is only read, and must be a local folder. Snapshots that were imported
/// before are left out, so the same command goes on after an interruption, and takes what is new on another day. What
/// restic has and a recovery point cannot keep is listed.
///
/// Imported recovery points are kept as those are that somebody asks for: under a policy as long as the day's, counted
/// from the import, else for 30 days. An import is no backup: what the policy still wants is wanted of the next one.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The password is read from --password-file, from the file that RESTIC_PASSWORD_FILE names, or is asked for.

Examples:
  strongroom import restic /srv/restic --dry-run
  strongroom import restic /srv/restic --password-file /root/restic-password
  strongroom import restic /srv/restic --host web-1 --path /etc
  strongroom import restic /srv/restic --snapshot 4f3c21ab")]
pub(crate) struct Restic {
    /// The folder of the repository
    #[arg(value_name = "REPO")]
    repository: PathBuf,
    /// Only snapshots of this host; may be given several times
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Only snapshots that backed up this path; may be given several times
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// Only the snapshot whose id begins like this; may be given several times
    #[arg(long, value_name = "ID")]
    snapshot: Vec<String>,
    /// The file with the repository's password
    #[arg(long, value_name = "FILE", env = "RESTIC_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    compression: Compression,
    /// Say what would be imported, and import nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was, or would be, imported.
#[derive(Serialize)]
struct ImportView {
    dry_run: bool,
    snapshots: Vec<SnapshotView>,
    /// What is wrong with the repository.
    repository_warnings: Vec<String>,
    seconds: f64,
}

#[derive(Serialize)]
struct SnapshotView {
    snapshot: String,
    time: Timestamp,
    host: String,
    paths: Vec<String>,
    tags: Vec<String>,
    state: State,
    point: Option<PointId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imported: Option<Imported>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum State {
    /// It was imported before.
    There,
    /// It would be imported.
    New,
    /// It was imported now.
    Imported,
    /// It could not be.
    Failed,
}

#[derive(Serialize)]
struct Imported {
    entries: u64,
    bytes: u64,
    files_read: u64,
    new_bytes: u64,
    #[serde(flatten)]
    issues: issues::View,
}

impl Import {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::Restic(restic) => restic.run(global, terminal),
        }
    }
}

impl Restic {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = agent::open(global, RetryPolicy::PATIENT)?;
        let level = self.level(&machine)?;
        let password = read_password(self.password_file.as_deref(), terminal)?;
        let repository = Repository::open(&self.repository, password.reveal().as_bytes())?;
        let all = repository.snapshots()?;
        let began = Instant::now();
        let mut view = ImportView {
            dry_run: self.dry_run,
            snapshots: Vec::new(),
            repository_warnings: all.damaged.clone(),
            seconds: 0.0,
        };
        let choice = self.choice();
        block_on(async {
            let planning = machine.plan_import(&all, &choice);
            let planned = first_calls(machine.client(), terminal, planning).await?;
            let nothing_new = planned.iter().all(|planned| planned.point.is_some());
            view.snapshots = planned.iter().map(SnapshotView::new).collect();
            if self.dry_run || nothing_new {
                return Ok(());
            }
            let import = machine.import(repository, &all, level).await?;
            take_all(&machine, import, &planned, &mut view, terminal).await
        })?;
        view.seconds = began.elapsed().as_secs_f64();
        view.show(terminal)
    }

    fn choice(&self) -> Choice {
        Choice {
            hosts: self.host.clone(),
            paths: self.path.clone(),
            snapshots: self.snapshot.clone(),
        }
    }

    fn level(&self, machine: &Machine) -> Result<Level, Failure> {
        let mut settings = machine.settings()?.settings;
        settings.compression = self.compression.or(settings.compression);
        Ok(Wanted::from(settings).level()?)
    }
}

/// One snapshot after the other. One that cannot be read does not keep the others from coming.
async fn take_all(
    machine: &Machine,
    mut import: Running<'_>,
    planned: &[Planned],
    view: &mut ImportView,
    terminal: &Terminal,
) -> Result<(), Failure> {
    view.repository_warnings.extend_from_slice(import.remarks());
    for (planned, view) in planned.iter().zip(&mut view.snapshots) {
        if planned.point.is_some() {
            continue;
        }
        let progress = Progress::default();
        let waiting = Waiting::for_service_of(machine.client());
        let work = import.take(&planned.snapshot, progress.clone());
        match watch(terminal, "Importing", &progress, Some(waiting), work).await {
            Ok(report) => {
                let issues = issues::View::new(&report.issues, report.issues_omitted);
                issues.print(terminal);
                view.state = State::Imported;
                view.point = Some(report.point);
                view.imported = Some(Imported {
                    entries: report.entries,
                    bytes: report.bytes,
                    files_read: report.files_read,
                    new_bytes: report.new_bytes,
                    issues,
                });
            }
            Err(AgentError::Engine(EngineError::Source(why))) => {
                view.state = State::Failed;
                view.error = Some(why);
            }
            Err(error) => return Err(error.into()),
        }
        terminal.say(&view.line());
    }
    import.finish()?;
    Ok(())
}

impl SnapshotView {
    fn new(planned: &Planned) -> Self {
        let Snapshot {
            id,
            time,
            host,
            paths,
            tags,
            ..
        } = &planned.snapshot;
        Self {
            snapshot: id.to_string(),
            time: *time,
            host: host.clone(),
            paths: paths.clone(),
            tags: tags.clone(),
            state: match planned.point {
                Some(_) => State::There,
                None => State::New,
            },
            point: planned.point,
            imported: None,
            error: None,
        }
    }

    fn short(&self) -> &str {
        &self.snapshot[..8]
    }

    fn line(&self) -> String {
        let Self { error, time, .. } = self;
        let (short, time) = (self.short(), moment(*time));
        match (&self.imported, self.point) {
            (Some(imported), Some(point)) => format!(
                "Snapshot {short} of {time} is recovery point {point}: {} entries, {} in all, {} of its files read; {} added to the vault",
                imported.entries,
                bytes(imported.bytes),
                imported.files_read,
                bytes(imported.new_bytes),
            ),
            _ => format!(
                "Snapshot {short} of {time} cannot be imported: {}",
                error.as_deref().unwrap_or_default()
            ),
        }
    }
}

impl ImportView {
    fn show(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        if !terminal.is_json() {
            for warning in &self.repository_warnings {
                eprintln!("strongroom: warning: {warning}");
            }
        }
        match self.dry_run {
            true => terminal.result(self, Self::table)?,
            false => terminal.done(self, Self::summary)?,
        }
        Ok(self.outcome())
    }

    fn outcome(&self) -> Outcome {
        let has_issues = |view: &SnapshotView| {
            let issues = view.imported.as_ref().map(|imported| imported.issues.outcome());
            view.state == State::Failed || issues == Some(Outcome::Warnings)
        };
        match !self.repository_warnings.is_empty() || self.snapshots.iter().any(has_issues) {
            true => Outcome::Warnings,
            false => Outcome::Done,
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new(&["SNAPSHOT", "TIME", "HOST", "PATHS", "RECOVERY POINT"]);
        for view in &self.snapshots {
            table.row([
                view.short().to_owned(),
                moment(view.time),
                view.host.clone(),
                view.paths.join(" "),
                view.point.map_or("would be made".to_owned(), |point| point.to_string()),
            ]);
        }
        table.to_text()
    }

    fn summary(&self) -> String {
        let count = |state| self.snapshots.iter().filter(|view| view.state == state).count();
        let imported = self.snapshots.iter().filter_map(|view| view.imported.as_ref());
        let total = imported.map(|imported| imported.bytes).sum();
        let kept = match count(State::Imported) {
            0 => "",
            _ => "\nThey are kept as recovery points that somebody asks for; `strongroom item points` says until when.",
        };
        format!(
            "{} imported, {} there already, {} failed; {}{kept}",
            count(State::Imported),
            count(State::There),
            count(State::Failed),
            pace(total, Duration::from_secs_f64(self.seconds)),
        )
    }
}

fn read_password(file: Option<&Path>, terminal: &Terminal) -> Result<Secret, Failure> {
    password::read(file, "the restic repository", terminal)
}
