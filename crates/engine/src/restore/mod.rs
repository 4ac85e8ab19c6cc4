//! A restore: walk the pages, fetch and open chunks ahead, write files in path order.
//!
//! ```text
//! plan ──batches of tasks──▶ write
//!   └──asks for chunks──▶ vault ──▶ open (threads) ──┘ slots
//! ```
//!
//! A restore that was stopped is continued by the same command: what is there already and right is kept. Right means
//! size, time *and* contents; half-written files never have the right time, as it is set last.

mod plan;
mod present;
mod task;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use strongroom_format::point::Issue;
use strongroom_seal::DataKeys;
use tokio::runtime::Handle;

use crate::error::EngineError;
use crate::point::OpenPoint;
use crate::progress::Progress;
use crate::remote::VaultReader;
use plan::Plan;
use write::write;

/// Batches that were planned and not written yet.
const BATCHES_MAX: usize = 1;

/// What to restore, and where to.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Paths below "/"; empty for all.
    pub paths: Vec<Vec<u8>>,
    /// The folder below which everything is made.
    pub target: PathBuf,
    /// Threads that decompress.
    pub workers: usize,
}

/// The parts that a restore works with.
#[derive(Clone)]
pub struct RestoreParts {
    /// Where it comes from.
    pub reader: Arc<dyn VaultReader>,
    /// The keys of the point's key set.
    pub keys: Arc<DataKeys>,
    /// Figures for whoever watches, and the way to interrupt.
    pub progress: Progress,
}

/// What a restore did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct RestoreReport {
    /// Names that are there now.
    pub entries: u64,
    /// Bytes of files that are there now.
    pub bytes: u64,
    /// Files that were there already, and right.
    pub files_kept: u64,
    /// What could not be restored as it was.
    #[serde(skip)]
    pub issues: Vec<Issue>,
    /// How many more issues there were than are listed.
    pub issues_omitted: u64,
}

impl RestoreReport {
    fn add_issue(&mut self, path: &[u8], why: impl ToString) {
        if self.issues.len() < strongroom_format::point::ISSUES_MAX {
            self.issues.push(Issue {
                path: path.to_vec(),
                why: why.to_string(),
            });
        } else {
            self.issues_omitted += 1;
        }
    }
}

/// Restores a recovery point.
pub async fn restore(
    parts: &RestoreParts,
    point: &OpenPoint,
    options: &RestoreOptions,
) -> Result<RestoreReport, EngineError> {
    let mut report = RestoreReport::default();
    for damaged in parts.reader.check_point(point.header.point).await? {
        report.add_issue(b"", format!("{}: {}", damaged.object, damaged.why));
    }
    if options.paths.is_empty() {
        parts.progress.expect(point.header.files, point.header.total_bytes);
    }
    let (batches, to_write) = crossbeam_channel::bounded(BATCHES_MAX);
    let (writing, target) = (parts.progress.clone(), options.target.clone());
    let writer = tokio::task::spawn_blocking(move || write(&target, &to_write, &writing, report));
    let plan = Plan::new(parts.clone(), point.clone(), options.clone(), batches);
    let runtime = Handle::current();
    let planned = tokio::task::spawn_blocking(move || plan.run(&runtime)).await;
    let written = writer
        .await
        .map_err(|_| EngineError::Internal("the writing stage panicked"))?;
    let planned = planned.map_err(|_| EngineError::Internal("the planning stage panicked"))?;
    // If both failed, the writer knows why.
    let mut report = written?;
    let (issues, remarks) = planned?;
    let remarks = remarks.take().into_iter().map(|remark| (Vec::new(), remark));
    for (path, why) in issues.into_iter().chain(remarks) {
        report.add_issue(&path, why);
    }
    Ok(report)
}
