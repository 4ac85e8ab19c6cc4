//! `strongroom backup`: this machine, now.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use strongroom_agent::{AgentSettings, Backup as Plan, Machine};
use strongroom_api::RetryPolicy;
use strongroom_engine::Progress;
use strongroom_engine::backup::BackupReport;
use strongroom_sources::files::Rules;

use crate::cli::Global;
use crate::commands::{agent, block_on};
use crate::compression::Compression;
use crate::failure::{Failure, Outcome};
use crate::issues;
use crate::progress::watch;
use crate::shown_path::absolute;
use crate::terminal::{Terminal, bytes};
use crate::waiting::{Waiting, first_calls};

/// Back up files and folders of this machine, now
///
/// What has not changed since the last backup is neither read nor sent. The recovery point exists when the command ends
/// with status 0, or with 3 when some files could not be taken as they should have been: these are listed, and the rest is
/// safe. A backup that is interrupted goes on where it was when it is started again. A service that is away is waited for,
/// up to two minutes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Patterns are those of .gitignore files: `*.o`, `cache/`, `/home/*/tmp`, `!keep.o`. One that begins with a slash is meant
from the root of the file system, others below each PATH. Folders with a valid CACHEDIR.TAG are left out but for the tag.

Examples:
  strongroom backup /etc /home
  strongroom backup /home --exclude '*.iso' --exclude '.cache/'
  strongroom backup / --one-file-system")]
pub(crate) struct Backup {
    /// Files and folders [default: what `strongroom agent settings` selects]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Leave out what fits this pattern; may be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Leave out what fits a pattern of this file, one on each line
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
    /// Take the contents of folders with a CACHEDIR.TAG too
    #[arg(long)]
    include_caches: bool,
    /// Do not enter other file systems
    #[arg(long)]
    one_file_system: bool,
    /// Read every file again, whatever its size and times say
    #[arg(long)]
    force_rehash: bool,
    #[command(flatten)]
    compression: Compression,
}

#[derive(Serialize)]
struct BackupView {
    #[serde(flatten)]
    report: BackupReport,
    seconds: f64,
    #[serde(flatten)]
    issues: issues::View,
}

impl Backup {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = agent::open(global, RetryPolicy::PATIENT)?;
        let backup = self.plan(&machine)?;
        let progress = Progress::default();
        let (report, time) = block_on(async {
            first_calls(machine.client(), terminal, machine.reach()).await?;
            let waiting = Waiting::for_service_of(machine.client());
            let (work, began) = (machine.back_up(backup, progress.clone()), Instant::now());
            let report = watch(terminal, "Backing up", &progress, Some(waiting), work).await?;
            Ok((report, began.elapsed()))
        })?;
        let issues = issues::View::new(&report.issues, report.issues_omitted);
        issues.print(terminal);
        let outcome = issues.outcome();
        let view = BackupView {
            seconds: time.as_secs_f64(),
            report,
            issues,
        };
        terminal.done(&view, summary)?;
        Ok(outcome)
    }

    /// What to take: what the command says, or if it names no path, what the machine's settings say and the command adds.
    fn plan(&self, machine: &Machine) -> Result<Plan, Failure> {
        let mut settings = match self.paths.is_empty() {
            true => machine.settings()?,
            false => AgentSettings::default(),
        };
        settings.exclude.extend(self.patterns()?);
        settings.include_caches |= self.include_caches;
        settings.one_file_system |= self.one_file_system;
        settings.compression = self.compression.or(settings.compression);
        if !self.paths.is_empty() {
            let roots = self.paths.iter().map(|path| absolute(path));
            settings.paths = roots.collect::<Result<Vec<_>, _>>()?;
        }
        refuse_nothing(&settings.paths)?;
        Ok(Plan {
            force_rehash: self.force_rehash,
            ..settings.backup()?
        })
    }

    fn patterns(&self) -> Result<Vec<String>, Failure> {
        let mut patterns = self.exclude.clone();
        for file in &self.exclude_from {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::new(format!("cannot read the patterns in {}: {error}", file.display())))?;
            patterns.extend(Rules::lines_of_file(&text).map(str::to_owned));
        }
        Ok(patterns)
    }
}

/// One path of several may be absent, which is a warning; a recovery point of nothing at all is a slip of the finger.
fn refuse_nothing(roots: &[PathBuf]) -> Result<(), Failure> {
    if roots.is_empty() {
        // The settings have a sentence for it.
        return Ok(());
    }
    for root in roots {
        match root.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            _ => return Ok(()),
        }
    }
    let paths: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
    let why = format!("there is nothing to back up: {} does not exist", paths.join(", "));
    Err(Failure::new(why))
}

fn summary(view: &BackupView) -> String {
    let BackupReport {
        point,
        entries,
        bytes: total,
        files_read,
        new_bytes,
        ..
    } = &view.report;
    let read = if *files_read == 1 { "file read" } else { "files read" };
    format!(
        "Recovery point {point}: {entries} entries, {} in all; {files_read} {read}, {} added to the vault; {}",
        bytes(*total),
        bytes(*new_bytes),
        pace(*total, Duration::from_secs_f64(view.seconds)),
    )
}

/// How long something took, and how fast that was.
pub(crate) fn pace(total: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!(
        "{seconds:.1} s, {}/s",
        bytes((total as f64 / seconds.max(0.001)) as u64)
    )
}
