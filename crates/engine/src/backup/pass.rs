//! One pass over the source: the stages, wired together.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_format::point::Issue;
use strongroom_format::tree::Sums;
use strongroom_model::{BlobId, Priority};
use strongroom_sources::source::Source;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::give_way::give_way;
use super::pages::{PageStage, Pages};
use super::previous::Previous;
use super::scan::{Scan, ScanParts, Scanned, Stop};
use super::upload::upload;
use super::volumes::Volumes;
use super::workers::work;
use super::{BackupOptions, BackupParts};
use crate::error::EngineError;
use crate::progress::Progress;
use crate::remote::RemoteError;
use crate::scratch::{FingerprintMap, LastPoint, PageLog, Scratch};

/// Chunks waiting for a worker: with four MiB each at most.
const JOBS_MAX: usize = 3;
/// Batches of drafts waiting for their pages.
const BATCHES_MAX: usize = 2;
/// Sealed blobs waiting to be sent.
const SEALED_MAX: usize = 4;

/// How often it is looked whether the job was asked to stop, and how long then is sent what is on its way.
const LOOK: Duration = Duration::from_millis(200);
const FAREWELL: Duration = Duration::from_secs(5);

/// What a pass is made with.
pub struct Pass<'a, S> {
    pub source: &'a Arc<S>,
    pub parts: &'a BackupParts,
    pub options: &'a BackupOptions,
    pub scratch: &'a Arc<Scratch>,
    pub last: Option<&'a LastPoint>,
    pub distrusted: &'a [BlobId],
}

/// What a pass found. All that it sent is durable.
pub struct PassOutcome {
    pub root: BlobId,
    pub sums: Sums,
    pub tired: Vec<BlobId>,
    pub log: Mutex<Option<PageLog>>,
    pub new_bytes: u64,
    pub new_blobs: u64,
    pub files_read: u64,
    pub volumes: Volumes,
    pub issues: Vec<Issue>,
    pub issues_omitted: u64,
    /// Whether the scratch folder took what was found.
    pub kept: Result<(), EngineError>,
}

/// What the threads end with.
struct Worked {
    pages: Option<Pages>,
    scanned: Result<Scanned, Stop>,
    contents: FingerprintMap,
}

impl<S: Source> Pass<'_, S> {
    /// Runs all stages to their end.
    pub async fn run(&self) -> Result<PassOutcome, EngineError> {
        let (sealed, to_send) = mpsc::channel(SEALED_MAX);
        let progress = &self.parts.progress;
        let sending = upload(self.parts.writer.clone(), to_send, progress.clone());
        let sending = tokio::spawn(until_cancelled(progress.clone(), sending));
        let stages = self.stages(sealed)?;
        let worked = on_thread_of_its_own(self.options.priority, move || stages.run()).await;
        let sent = sending
            .await
            .map_err(|_| EngineError::Internal("the sending stage panicked"))?;
        let worked = worked.ok_or(EngineError::Internal("a stage of the backup panicked"))??;
        // What the vault acknowledged is remembered also if the backup goes no further.
        let sent = sent?.ok_or(EngineError::Cancelled)?;
        let mut worked = worked;
        let contents_kept = self.remember(&mut worked.contents);
        let scanned = worked.scanned.map_err(|stop| self.stopped(stop))?;
        let mut pages = worked
            .pages
            .ok_or(EngineError::Internal("the page stage ended early"))?;
        let kept = contents_kept.and(self.remember(&mut pages.map));
        let (issues, issues_omitted) = scanned.issues.finish();
        Ok(PassOutcome {
            root: pages.root,
            sums: pages.sums,
            tired: pages.tired,
            log: Mutex::new(Some(pages.log)),
            new_bytes: sent.bytes,
            new_blobs: sent.blobs,
            files_read: scanned.files_read,
            volumes: scanned.volumes,
            issues,
            issues_omitted,
            kept,
        })
    }

    /// The backup goes on without: only the next one has more to do.
    fn remember(&self, map: &mut FingerprintMap) -> Result<(), EngineError> {
        let flushed = map.flush().map_err(|error| self.scratch.failed("write to", error));
        flushed.inspect_err(|error| tracing::debug!(%error, "the scratch folder could not be updated"))
    }

    fn stopped(&self, stop: Stop) -> EngineError {
        match stop {
            Stop::Cancelled => EngineError::Cancelled,
            Stop::Broken => EngineError::Internal("a stage of the backup ended early"),
            Stop::Source(why) => EngineError::Source(why),
            Stop::Scratch(error) => error,
        }
    }

    fn is_comparable(&self) -> bool {
        let compared_with = self.options.past.and_then(|past| past.compared_with);
        self.last.is_some_and(|last| Some(last.digest) == compared_with)
    }

    fn stages(&self, sealed: mpsc::Sender<super::upload::SealedBlob>) -> Result<Stages<S>, EngineError> {
        let mut contents = self.scratch.contents()?;
        let mut pages = self.scratch.pages()?;
        contents.distrust(self.distrusted);
        pages.distrust(self.distrusted);
        // Contents in bundles that are mostly unused are to be stored anew.
        let tired = self.last.map_or(&[][..], |last| &last.tired);
        contents.distrust(tired);
        let unusable = self.distrusted.iter().chain(tired).copied().collect();
        Ok(Stages {
            source: self.source.clone(),
            keys: self.parts.keys.clone(),
            options: self.options.clone(),
            progress: self.parts.progress.clone(),
            previous: Previous::new(self.last, self.scratch),
            is_comparable: self.is_comparable(),
            log: self.scratch.new_page_log()?,
            unusable,
            contents,
            pages,
            sealed,
        })
    }
}

/// Sends, and for a moment yet after the job was asked to stop: over a slow line it would go on for minutes. `None`: it was
/// given up.
async fn until_cancelled<T>(
    progress: Progress,
    sending: impl Future<Output = Result<T, RemoteError>>,
) -> Result<Option<T>, RemoteError> {
    let cancelled = async {
        while !progress.is_cancelled() {
            sleep(LOOK).await;
        }
        sleep(FAREWELL).await;
    };
    tokio::select! {
        sent = sending => sent.map(Some),
        () = cancelled => Ok(None),
    }
}

/// Works on a thread that has this priority, and that others do not use afterwards: who stood back once may not step forward
/// again. `None`: it panicked.
async fn on_thread_of_its_own<T: Send + 'static>(
    priority: Priority,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (result, worked) = oneshot::channel();
    std::thread::spawn(move || {
        give_way(priority);
        // Nobody waits for it any more if the program is about to end.
        let _ = result.send(work());
    });
    worked.await.ok()
}

struct Stages<S> {
    source: Arc<S>,
    keys: Arc<strongroom_seal::DataKeys>,
    options: BackupOptions,
    progress: Progress,
    previous: Previous,
    is_comparable: bool,
    log: PageLog,
    unusable: std::collections::HashSet<BlobId>,
    contents: FingerprintMap,
    pages: FingerprintMap,
    sealed: mpsc::Sender<super::upload::SealedBlob>,
}

impl<S: Source> Stages<S> {
    fn run(self) -> Result<Worked, EngineError> {
        let (jobs, to_seal) = crossbeam_channel::bounded(JOBS_MAX);
        let (drafts, to_page) = crossbeam_channel::bounded(BATCHES_MAX);
        let (keys, level) = (self.keys, self.options.level);
        let page_stage = PageStage {
            keys: keys.clone(),
            level,
            map: self.pages,
            log: self.log,
            drafts: to_page,
            sealed: self.sealed.clone(),
        };
        let scan = Scan::new(ScanParts {
            keys: keys.clone(),
            options: self.options.clone(),
            progress: self.progress,
            previous: self.previous,
            is_comparable: self.is_comparable,
            unusable: self.unusable,
            contents: self.contents,
            jobs,
            drafts,
        });
        std::thread::scope(|scope| {
            for _ in 0..self.options.workers.max(1) {
                let (keys, to_seal, sealed) = (&keys, to_seal.clone(), self.sealed.clone());
                scope.spawn(move || work(keys, level, &to_seal, &sealed));
            }
            drop((to_seal, self.sealed));
            let pages = scope.spawn(move || page_stage.run());
            let (scanned, contents) = scan.run(&*self.source);
            let pages = pages
                .join()
                .map_err(|_| EngineError::Internal("the page stage panicked"))??;
            Ok(Worked {
                pages,
                scanned,
                contents,
            })
        })
    }
}
