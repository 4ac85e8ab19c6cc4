//! `strongroom restore`: from the vault to a folder.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use strongroom_api::RetryPolicy;
use strongroom_engine::Progress;
use strongroom_engine::restore::RestoreReport;

use crate::cli::Global;
use crate::commands::backup::pace;
use crate::commands::points::Whose;
use crate::commands::{agent, block_on};
use crate::failure::{Failure, Outcome};
use crate::issues;
use crate::progress::watch;
use crate::shown_path::{absolute, stored};
use crate::terminal::{Terminal, bytes};
use crate::waiting::{Waiting, first_calls};

/// Restore a recovery point, or parts of it, to a folder
///
/// Everything is made below the folder with its full path: `--to /tmp/r` restores /etc/hosts to /tmp/r/etc/hosts. What is
/// there already and right stays as it is, what differs is replaced, and nothing is deleted; so the same command continues a
/// restore that was interrupted. `--to /` restores to the original place.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom restore latest --to /tmp/restored
  strongroom restore latest /etc /home/ann --to /tmp/restored
  strongroom restore latest --machine web-1 --to /srv/web-1
  strongroom restore 0199f3a0-7c1e /etc/hosts --to /")]
pub(crate) struct Restore {
    /// The recovery point: an id, a unique beginning of one, or `latest`
    #[arg(value_name = "POINT")]
    point: String,
    /// Only these and what lies below them [default: all]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The folder to restore to; it is made if it does not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Serialize)]
struct RestoreView {
    target: PathBuf,
    #[serde(flatten)]
    report: RestoreReport,
    seconds: f64,
    #[serde(flatten)]
    issues: issues::View,
}

impl Restore {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = agent::open(global, RetryPolicy::PATIENT)?;
        let paths = stored_paths(&self.paths);
        let (target, progress) = (absolute(&self.to)?, Progress::default());
        let (report, time) = block_on(async {
            let filter = self.whose.filter();
            let opening = machine.find_and_open(&self.point, &filter);
            let point = first_calls(machine.client(), terminal, opening).await?;
            let waiting = Waiting::for_service_of(machine.client());
            let work = machine.restore(&point, paths, target.clone(), progress.clone());
            let began = Instant::now();
            let report = watch(terminal, "Restoring", &progress, Some(waiting), work).await?;
            Ok((report, began.elapsed()))
        })?;
        show(target, report, time, terminal)
    }
}

/// Paths as they are stored; "/" is all.
pub(crate) fn stored_paths(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    let paths: Vec<Vec<u8>> = paths.iter().map(|path| stored(path)).collect();
    if paths.iter().any(Vec::is_empty) {
        Vec::new()
    } else {
        paths
    }
}

/// Prints what a restore did.
pub(crate) fn show(
    target: PathBuf,
    report: RestoreReport,
    time: Duration,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let issues = issues::View::new(&report.issues, report.issues_omitted);
    issues.print(terminal);
    let outcome = match report.entries {
        0 => Outcome::Failed,
        _ => issues.outcome(),
    };
    let view = RestoreView {
        target,
        report,
        seconds: time.as_secs_f64(),
        issues,
    };
    terminal.done(&view, |view| {
        let kept = match view.report.files_kept {
            0 => String::new(),
            kept => format!(" ({kept} files were there already)"),
        };
        format!(
            "Restored {} entries, {} to {}{kept}; {}",
            view.report.entries,
            bytes(view.report.bytes),
            view.target.display(),
            pace(view.report.bytes, time)
        )
    })?;
    Ok(outcome)
}
