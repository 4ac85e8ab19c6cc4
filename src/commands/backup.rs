//! `strongroom backup`: this machine, now.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use strongroom_agent::{Backup as Plan, Wanted, is_on_battery};
use strongroom_api::RetryPolicy;
use strongroom_engine::Progress;
use strongroom_engine::backup::BackupReport;
use strongroom_model::MachineSettings;
use strongroom_sources::files::{Pattern, Patterns};

use crate::cli::Global;
use crate::commands::{agent, block_on};
use crate::compression::Compression;
use crate::failure::{Failure, Outcome};
use crate::issues;
use crate::preview::preview;
use crate::progress::watch;
use crate::rule_flags::RuleFlags;
use crate::shown_path::absolute;
use crate::terminal::{Terminal, bytes};
use crate::throttle_flags::LimitFlags;
use crate::waiting::{Waiting, first_calls};

/// Back up files and folders of this machine, now
///
/// What has not changed since the last backup is neither read nor sent. The recovery point exists when the command ends
/// with status 0, or with 3 when some files could not be taken as they should have been: these are listed, and the rest is
/// safe. A backup that is interrupted goes on where it was when it is started again. A service that is away is waited for,
/// up to ten minutes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Patterns are those of .gitignore files: `*.o`, `cache/`, `/home/*/tmp`, `!keep.o`. One that begins with a slash is meant
from the root of the file system, others below each PATH. Folders with a valid CACHEDIR.TAG are left out but for the tag.

File systems that only show the state of the kernel, such as /proc and /sys, are never entered. Volumes on the network,
removable ones and those that a program makes up (FUSE) are taken only with --allow. A volume that /etc/fstab mounts below
a PATH, and that is not mounted, is warned of.

Examples:
  strongroom backup --dry-run /home --preset caches
  strongroom backup /etc /home
  strongroom backup /home --exclude '*.iso' --exclude '.cache/'
  strongroom backup / --preset caches,system --exclude-larger-than 4G
  strongroom backup /home --limit-upload 5mbit
  strongroom backup /home --include '*.odt' --include 'pictures/'")]
pub(crate) struct Backup {
    /// Files and folders [default: what `strongroom agent settings` selects]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    rules: RuleFlags,
    /// Leave out what fits a pattern of this file, one on each line
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    exclude_from: Vec<PathBuf>,
    /// Take the contents of folders with a CACHEDIR.TAG too
    #[arg(long, help_heading = "Rules")]
    include_caches: bool,
    /// Do not enter other file systems
    #[arg(long, help_heading = "Rules")]
    one_file_system: bool,
    /// Only list what would be taken, and what would be left out and by which rule
    ///
    /// No contents are read (but the beginnings of files that mark a folder), nothing is sent, and no job begins.
    #[arg(long, conflicts_with_all = ["force_rehash", "compression"])]
    dry_run: bool,
    /// Read every file again, whatever its size and times say
    #[arg(long)]
    force_rehash: bool,
    #[command(flatten)]
    compression: Compression,
    #[command(flatten)]
    limits: LimitFlags,
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
        if self.dry_run {
            return self.dry_run(global, terminal);
        }
        if is_on_battery() && !terminal.is_quiet() {
            eprintln!("strongroom: this machine runs on battery");
        }
        let machine = agent::open(global, RetryPolicy::PATIENT)?.with_limits(self.limits.limits());
        let progress = Progress::default();
        let (report, time) = block_on(async {
            first_calls(machine.client(), terminal, machine.reach()).await?;
            let settings = match self.paths.is_empty() {
                true => machine.settings_now().await?,
                false => MachineSettings::default(),
            };
            let backup = Plan {
                force_rehash: self.force_rehash,
                ..self.wanted(settings)?.backup()?
            };
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

    /// With paths it needs no machine that is registered.
    fn dry_run(&self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let settings = match self.paths.is_empty() {
            true => {
                let machine = agent::open(global, RetryPolicy::NONE)?;
                block_on(async { Ok(machine.settings_now().await?) })?
            }
            false => MachineSettings::default(),
        };
        let selection = self.wanted(settings)?.selection()?;
        selection.check_volumes()?;
        preview(selection, terminal)
    }

    /// What to take: what the command says, or if it names no path, what the machine's settings say and the command adds.
    fn wanted(&self, settings: MachineSettings) -> Result<Wanted, Failure> {
        let mut wanted = Wanted::from(settings);
        for path in &self.paths {
            wanted.paths.push(absolute(path)?);
        }
        refuse_nothing(&wanted.paths)?;
        let settings = &mut wanted.settings;
        self.rules.add_to(settings);
        settings.include_caches |= self.include_caches;
        settings.one_file_system |= self.one_file_system;
        settings.compression = self.compression.or(settings.compression);
        let include = self.rules.include.iter();
        wanted.include = include.map(|text| Pattern::new(text, "--include")).collect();
        wanted.exclude = self.exclude()?;
        Ok(wanted)
    }

    fn exclude(&self) -> Result<Vec<Pattern>, Failure> {
        let given = self.rules.exclude.iter();
        let mut patterns: Vec<Pattern> = given.map(|text| Pattern::new(text, "--exclude")).collect();
        for file in &self.exclude_from {
            let shown = file.display();
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::new(format!("cannot read the patterns in {shown}: {error}")))?;
            let lines = Patterns::lines_of_file(&text);
            patterns.extend(lines.map(|(number, line)| Pattern::new(line, format!("{shown}, line {number}"))));
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
