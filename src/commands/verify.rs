//! `strongroom verify`: whether a recovery point would restore.

use std::time::Instant;

use clap::Args;
use serde::Serialize;
use strongroom_api::RetryPolicy;
use strongroom_engine::Progress;
use strongroom_engine::verify::VerifyReport;
use strongroom_model::PointId;

use crate::cli::Global;
use crate::commands::backup::pace;
use crate::commands::block_on;
use crate::commands::points::Whose;
use crate::failure::{Failure, Outcome};
use crate::issues;
use crate::progress::watch;
use crate::terminal::{Terminal, bytes};
use crate::waiting::{Waiting, first_calls};

/// Read everything that a recovery point needs and check it, without restoring
///
/// The vault reads its objects and checks their hashes; this machine opens every page and every chunk and compares every
/// fingerprint. Ends with status 1 when anything is damaged, and names the objects and the files.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom verify latest
  strongroom verify latest --machine web-1")]
pub(crate) struct Verify {
    /// The recovery point: an id, a unique beginning of one, or `latest`
    #[arg(value_name = "POINT")]
    point: String,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Serialize)]
struct VerifyView {
    point: PointId,
    whole: bool,
    #[serde(flatten)]
    report: VerifyReport,
    seconds: f64,
    #[serde(flatten)]
    issues: issues::View,
}

impl Verify {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = self.whose.open(global, RetryPolicy::PATIENT)?;
        let progress = Progress::default();
        let (point, report, time) = block_on(async {
            let machine = self.whose.reader(machine, terminal).await?;
            let filter = self.whose.filter();
            let opening = machine.find_and_open(&self.point, &filter);
            let point = first_calls(machine.client(), terminal, opening).await?;
            let waiting = Waiting::for_service_of(machine.client());
            let (work, began) = (machine.verify(&point, progress.clone()), Instant::now());
            let report = watch(terminal, "Verifying", &progress, Some(waiting), work).await?;
            Ok((point.header.point, report, began.elapsed()))
        })?;
        let issues = issues::View::new(&report.issues, report.issues_omitted);
        if !terminal.is_json() {
            report
                .damaged_objects
                .iter()
                .for_each(|damage| eprintln!("strongroom: damaged: {}: {}", damage.object, damage.why));
        }
        issues.print(terminal);
        let view = VerifyView {
            point,
            whole: report.is_clean(),
            report,
            seconds: time.as_secs_f64(),
            issues,
        };
        terminal.done(&view, summary)?;
        if view.whole {
            Ok(Outcome::Done)
        } else {
            Ok(Outcome::Failed)
        }
    }
}

fn summary(view: &VerifyView) -> String {
    let time = std::time::Duration::from_secs_f64(view.seconds);
    let (entries, total) = (view.report.entries, view.report.bytes);
    match view.whole {
        true => format!(
            "Recovery point {} is whole: {entries} entries, {}; {}",
            view.point,
            bytes(total),
            pace(total, time)
        ),
        false => format!(
            "Recovery point {} is DAMAGED: see above for the objects and files",
            view.point
        ),
    }
}
