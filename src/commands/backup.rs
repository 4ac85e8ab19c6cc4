//! `strongroom backup`: this machine, now.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use strongroom_agent::{Backup as Plan, Wanted, is_metered, is_on_battery};
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
use crate::volumes;
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

What lies on btrfs, LVM or ZFS is read from a snapshot, if this runs as root: the recovery point is of one moment then. The result says
how each volume was read.

Examples:
  strongroom backup --dry-run /home --preset caches
  strongroom backup /etc /home
  strongroom backup /home --exclude '*.iso' --exclude '.cache/'
  strongroom backup / --preset caches,system --exclude-larger-than 4G
  strongroom backup /home --limit-upload 5mbit
  strongroom backup /home --seed-to /mnt/usb/seed
  strongroom backup /home --include '*.odt' --include 'pictures/'
  strongroom backup /srv --snapshot always")]
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
    #[arg(long, conflicts_with_all = ["force_rehash", "compression", "snapshot", "no_commands"])]
    dry_run: bool,
    /// Read every file again, whatever its size and times say
    #[arg(long)]
    force_rehash: bool,
    /// Do not run the commands that `strongroom agent settings` has for before and after
    ///
    /// They are run without a PATH only: they belong to what the settings select.
    #[arg(long)]
    no_commands: bool,
    #[command(flatten)]
    compression: Compression,
    /// Make it in this folder, on a disk that somebody brings to the service: a seed
    ///
    /// Only what the vault lacks is written there, sealed as ever; over the line go questions, no contents. The recovery point
    /// exists when the seed was imported with `strongroom vault import-seed`, and then the next backup sends what changed
    /// since. Until then this machine makes no other backup.
    #[arg(long, value_name = "FOLDER", conflicts_with = "dry_run")]
    seed_to: Option<PathBuf>,
    /// Give up a seed that was not imported, and back up over the line
    #[arg(long, conflicts_with_all = ["dry_run", "seed_to"])]
    forget_seed: bool,
    #[command(flatten)]
    limits: LimitFlags,
}

#[derive(Serialize)]
struct BackupView {
    #[serde(flatten)]
    report: BackupReport,
    seconds: f64,
    #[serde(flatten)]
    volumes: volumes::View,
    #[serde(flatten)]
    issues: issues::View,
    /// The folder of the seed, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<PathBuf>,
}

impl Backup {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        if self.dry_run {
            return self.dry_run(global, terminal);
        }
        if !terminal.is_quiet() {
            if is_on_battery() {
                eprintln!("strongroom: this machine runs on battery");
            }
            if is_metered() {
                eprintln!("strongroom: this machine is on a metered connection");
            }
        }
        let machine = agent::open(global, RetryPolicy::PATIENT)?.with_limits(self.limits.limits());
        let seed = self.seed_to.as_deref().map(absolute).transpose()?;
        if self.forget_seed {
            machine.forget_seed()?;
        }
        let progress = Progress::default();
        let (report, time) = block_on(async {
            first_calls(machine.client(), terminal, machine.reach()).await?;
            let settings = match self.paths.is_empty() {
                true => machine.settings_now().await?,
                false => MachineSettings::default(),
            };
            let mut wanted = self.wanted(settings)?;
            wanted.exclude.extend(seed.as_deref().map(itself).transpose()?);
            let backup = Plan {
                force_rehash: self.force_rehash,
                runs_commands: self.paths.is_empty() && !self.no_commands,
                ..wanted.backup()?
            };
            let waiting = Waiting::for_service_of(machine.client());
            let (told, began) = (progress.clone(), Instant::now());
            let work = async {
                match seed.clone() {
                    Some(folder) => machine.seed(backup, folder, told).await,
                    None => machine.back_up(backup, told).await,
                }
            };
            let report = watch(terminal, "Backing up", &progress, Some(waiting), work).await?;
            Ok((report, began.elapsed()))
        })?;
        let issues = issues::View::new(&report.issues, report.issues_omitted);
        issues.print(terminal);
        let outcome = issues.outcome();
        let view = BackupView {
            seconds: time.as_secs_f64(),
            volumes: volumes::View::new(&report.volumes),
            report,
            issues,
            seed,
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

/// The pattern that leaves a seed's own folder out of it.
fn itself(folder: &Path) -> Result<Pattern, Failure> {
    let Some(text) = folder.to_str() else {
        return Err(Failure::new(format!(
            "{} is no name for a seed: it is not UTF-8",
            folder.display()
        )));
    };
    let mut pattern = String::new();
    for character in text.chars() {
        if r"\*?[]{}!# ".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    Ok(Pattern::new(pattern, "--seed-to"))
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
    let (what, added) = match &view.seed {
        Some(folder) => {
            let bring = format!(
                "bring it to the service: strongroom vault import-seed {}",
                folder.display()
            );
            (
                format!("Seed of recovery point {point}"),
                format!("written to the folder; {bring}"),
            )
        }
        None => (format!("Recovery point {point}"), "added to the vault".to_owned()),
    };
    let mut lines = vec![format!(
        "{what}: {entries} entries, {} in all; {files_read} {read}, {} {added}; {}",
        bytes(*total),
        bytes(*new_bytes),
        pace(*total, Duration::from_secs_f64(view.seconds)),
    )];
    lines.extend(view.report.volumes.in_words());
    lines.join("\n")
}

/// How long something took, and how fast that was.
pub(crate) fn pace(total: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!(
        "{seconds:.1} s, {}/s",
        bytes((total as f64 / seconds.max(0.001)) as u64)
    )
}
