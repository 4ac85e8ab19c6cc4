//! A restore: walk the pages, fetch and open chunks ahead, write files in path order.
//!
//! ```text
//! plan ──batches of tasks──▶ write
//!   └──asks for chunks──▶ vault ──▶ open (threads) ──┘ slots
//! ```
//!
//! A restore that was stopped is continued by the same command: what is there already and right is kept, where right means
//! that the contents were compared. What becomes of what is there and differs is a [`Conflict`]; [`Picked`] says which
//! entries are meant at all. The planning stage decides both, in path order, so that nothing is fetched in vain.

mod archive;
mod conflict;
mod finder;
mod open_file;
mod picked;
mod plan;
mod present;
mod preview;
mod task;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use strongroom_format::entry::Node;
use strongroom_format::point::Issue;
use strongroom_seal::DataKeys;
use strongroom_sources::files;
use tokio::runtime::Handle;

use crate::error::EngineError;
use crate::point::OpenPoint;
use crate::progress::Progress;
use crate::remote::VaultReader;
pub use archive::{ArchiveForm, Output};
pub use conflict::Conflict;
pub use picked::Picked;
use plan::Plan;
pub use preview::Planned;
pub use task::Fate;
use task::Task;
use write::write;

/// Batches that were planned and not written yet.
const BATCHES_MAX: usize = 1;

/// What to restore, where to, and how.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Which entries of the recovery point.
    pub picked: Picked,
    /// The folder below which everything is made.
    pub target: PathBuf,
    /// What becomes of what is there already and differs.
    pub conflict: Conflict,
    /// Whether somebody may be working in the target: then nobody sees half a file, not even a new one.
    pub in_use: bool,
    /// Whether entries get the owners and groups that they had, if this process may give them away.
    pub owners: bool,
    /// Whether entries get the ACLs that they had.
    pub acls: bool,
}

impl RestoreOptions {
    /// All of a recovery point, with everything, to a folder that is this restore's own.
    pub fn to(target: impl Into<PathBuf>) -> Self {
        Self {
            picked: Picked::default(),
            target: target.into(),
            conflict: Conflict::default(),
            in_use: false,
            owners: true,
            acls: true,
        }
    }

    /// What an entry is given.
    fn attributes(&self, node: &Node) -> files::Attributes {
        let attributes = files::Attributes {
            mode: node.mode,
            uid: node.owner.uid,
            gid: node.owner.gid,
            mtime: (node.mtime.seconds, node.mtime.nanoseconds),
            xattrs: node.attributes.clone(),
        };
        match self.acls {
            true => attributes,
            false => attributes.without_acls(),
        }
    }

    fn of_target(&self) -> files::RestoreOptions {
        let usual = files::RestoreOptions::default();
        files::RestoreOptions {
            owners: usual.owners && self.owners,
            acls: self.acls,
            overwrite: self.conflict == Conflict::Overwrite,
            // If what is there stays, it must be whole: the next run of a restore that was cut off takes it for the user's.
            beside: self.in_use || self.conflict != Conflict::Overwrite,
        }
    }
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
    /// Threads that decompress.
    pub workers: usize,
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
    /// What made room for something of the recovery point.
    pub replaced: u64,
    /// What was not restored, as something else is there.
    pub skipped: u64,
    /// What has another name, as something else is there.
    pub copied: u64,
    /// What could not be restored as it was.
    #[serde(skip)]
    pub issues: Vec<Issue>,
    /// How many more issues there were than are listed.
    pub issues_omitted: u64,
}

impl RestoreReport {
    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::New | Fate::Kept => {}
            Fate::Replaced => self.replaced += 1,
            Fate::Skipped => self.skipped += 1,
            Fate::Copied => self.copied += 1,
        }
    }

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
    let (progress, how) = (parts.progress.clone(), options.clone());
    let write = move |batches: &Batches, report| write(&how, batches, &progress, report);
    run(parts, point, options, Contents::Fetched, write).await
}

/// Says what a restore would do, entry by entry, and does nothing. Files of the same size are compared.
pub async fn preview(
    parts: &RestoreParts,
    point: &OpenPoint,
    options: &RestoreOptions,
    each: impl FnMut(Planned) + Send + 'static,
) -> Result<RestoreReport, EngineError> {
    let tell = move |batches: &Batches, report| Ok(preview::tell(batches, report, each));
    run(parts, point, options, Contents::Left, tell).await
}

/// Writes an archive instead of files. What the options say of a target does not count.
pub async fn archive(
    parts: &RestoreParts,
    point: &OpenPoint,
    options: &RestoreOptions,
    form: ArchiveForm,
    output: Output,
) -> Result<RestoreReport, EngineError> {
    let (progress, how) = (parts.progress.clone(), options.clone());
    let write = move |batches: &Batches, report| archive::write(&how, form, output, batches, &progress, report);
    run(parts, point, options, Contents::Archived(form), write).await
}

/// What the writing stage takes.
type Batches = crossbeam_channel::Receiver<Vec<Task>>;

/// Whether the contents of files are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    Fetched,
    Left,
    /// For an archive: there is no target, and where a file has holes is told before its contents.
    Archived(ArchiveForm),
}

/// Plans in one thread and has `write` carry it out in another.
async fn run(
    parts: &RestoreParts,
    point: &OpenPoint,
    options: &RestoreOptions,
    contents: Contents,
    write: impl FnOnce(&Batches, RestoreReport) -> Result<RestoreReport, EngineError> + Send + 'static,
) -> Result<RestoreReport, EngineError> {
    let mut report = RestoreReport::default();
    for damaged in parts.reader.check_point(point.header.point).await? {
        report.add_issue(b"", format!("{}: {}", damaged.object, damaged.why));
    }
    if options.picked.is_all() {
        parts.progress.expect(point.header.files, point.header.total_bytes);
    }
    let (batches, to_write) = crossbeam_channel::bounded(BATCHES_MAX);
    let writer = tokio::task::spawn_blocking(move || write(&to_write, report));
    let plan = Plan {
        parts: parts.clone(),
        point: point.clone(),
        options: options.clone(),
        contents,
        batches,
    };
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
