//! A backup: walk, compare, read, cut, fingerprint, compress, seal, ask, send, commit.
//!
//! Four stages run at once with bounded queues between them, and the last is the only one that talks:
//!
//! ```text
//! scan ──drafts──▶ pages ─────sealed pages────▶ upload ──▶ vault
//!   └────chunks──▶ workers ───sealed chunks────▶──┘
//! ```
//!
//! `scan` decides everything that the result depends on, in path order and alone; the other stages only carry it out. So
//! equal input gives equal identities, however the threads run. A draft names chunks that are still being sealed by
//! [`Slot`](crate::slot::Slot)s; it leaves `scan` only when all its chunks are on their way, so `pages` never waits for
//! something that waits for `pages`.

mod bundle;
mod content;
mod draft;
mod earlier;
mod give_way;
mod image;
mod issues;
mod pages;
mod pass;
mod previous;
mod scan;
mod upload;
mod volumes;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use strongroom_format::point::{Consistency, Issue, PointBody, PointHeader, point_digest, put_head};
use strongroom_model::{BlobId, Clock, Digest, ItemId, KeySetId, PointId, Priority, VaultId};
use strongroom_seal::{DataKeys, Level, SealKind, Sealer};
use strongroom_sources::source::Source;

use crate::error::EngineError;
use crate::point::OpenPoint;
use crate::progress::Progress;
use crate::remote::{Begun, CommitOutcome, IDS_MAX, VaultReader, VaultWriter};
use crate::scratch::{LastPoint, Scratch, Unsure};
use pass::{Pass, PassOutcome};

pub use volumes::Volumes;

pub(crate) use draft::content as record_content;
pub(crate) use pages::page_fingerprint;

/// How often a commit that names missing blobs is answered by reading and sending them again.
const PASSES_MAX: usize = 3;

/// Who makes the backup, and how.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// How hard to compress.
    pub level: Level,
    /// The vault.
    pub vault: VaultId,
    /// The machine's item.
    pub item: ItemId,
    /// The key set that `keys` belong to.
    pub key_set: KeySetId,
    /// The machine's name, for the sealed body.
    pub machine: String,
    /// Name and version of the program, for the sealed body.
    pub program: String,
    /// The machine's clock.
    pub clock: Clock,
    /// If the source is not as it is now, but a state of the past.
    pub past: Option<Past>,
    /// Reads every file, whatever size and times say.
    pub force_rehash: bool,
    /// How far its threads stand back behind other programs.
    pub priority: Priority,
    /// Threads that compress and seal.
    pub workers: usize,
    /// BLAKE3 of the last recovery point that this machine made, as far as it remembers.
    pub remembered: Option<Digest>,
}

impl BackupOptions {
    /// The moment that the recovery point is of: `now`, or that of the past.
    fn moment(&self, now: Timestamp) -> Timestamp {
        self.past.map_or(now, |past| past.moment)
    }
}

/// A state of the past that is made a recovery point.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// Its moment.
    pub moment: Timestamp,
    /// The recovery point with which the source compares itself. What it says then counts only if the vault's newest point
    /// is still that.
    pub compared_with: Option<Digest>,
    /// How consistent it is, if all of it is of one moment. Then there is no recovery point unless all of it can be read.
    pub frozen: Option<Consistency>,
}

/// The parts that a backup works with.
#[derive(Clone)]
pub struct BackupParts {
    /// Where it goes.
    pub writer: Arc<dyn VaultWriter>,
    /// Where the last point is read from if the scratch folder does not have it.
    pub reader: Arc<dyn VaultReader>,
    /// The key set's keys.
    pub keys: Arc<DataKeys>,
    /// Figures for whoever watches, and the way to interrupt.
    pub progress: Progress,
}

/// What a backup did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BackupReport {
    /// The new recovery point.
    pub point: PointId,
    /// Its moment, by the vault's clock; of a past state, when that was.
    pub created: Timestamp,
    /// BLAKE3 of its object: remember it, to notice a vault that withholds it.
    pub digest: Digest,
    /// How many names it has.
    pub entries: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// How many files were opened because they were new or changed.
    pub files_read: u64,
    /// Sealed bytes that the vault did not have before.
    pub new_bytes: u64,
    /// How many sealed blobs that was.
    pub new_blobs: u64,
    /// The volumes that it was read from, and how.
    #[serde(skip)]
    pub volumes: Volumes,
    /// What could not be taken as it should have been.
    #[serde(skip)]
    pub issues: Vec<Issue>,
    /// How many more issues there were than are listed.
    pub issues_omitted: u64,
}

/// Makes a backup of `source`.
pub async fn back_up<S: Source>(
    parts: &BackupParts,
    scratch: Arc<Scratch>,
    source: S,
    options: &BackupOptions,
) -> Result<BackupReport, EngineError> {
    let begun = parts.writer.begin().await?;
    let heartbeat = Heartbeat::start(parts.writer.clone(), begun.lease_seconds);
    let result = passes(parts, &scratch, &Arc::new(source), options, &begun).await;
    drop(heartbeat);
    // The lease ends by itself if this does not get through.
    let ended = parts.writer.end().await;
    tracing::debug!(?ended, "session ended");
    result
}

async fn passes<S: Source>(
    parts: &BackupParts,
    scratch: &Arc<Scratch>,
    source: &Arc<S>,
    options: &BackupOptions,
    begun: &Begun,
) -> Result<BackupReport, EngineError> {
    let withheld = withheld(parts, scratch, options, begun).await;
    let last = agree_on_last(parts, scratch, begun).await?;
    if let Some(last) = &last {
        parts.progress.expect(last.entries, last.bytes);
    }
    let started = options.clock.now();
    let mut distrusted: Vec<BlobId> = Vec::new();
    let mut sent = (0, 0);
    for _ in 0..PASSES_MAX {
        let pass = Pass {
            source,
            parts,
            options,
            scratch,
            last: last.as_ref(),
            distrusted: &distrusted,
        };
        let mut outcome = pass.run().await?;
        outcome.issues.extend(withheld.clone());
        sent = (sent.0 + outcome.new_bytes, sent.1 + outcome.new_blobs);
        let point = Uuid7(begun.now).point_id();
        let object = point_object(
            parts,
            &**source,
            options,
            begun,
            &outcome,
            Moments {
                started,
                point,
                new_bytes: sent.0,
            },
        );
        match parts.writer.commit(object.clone()).await? {
            CommitOutcome::Committed => {
                let digest = point_digest(&object);
                let unkept = keep(scratch, &mut outcome, point, digest).err();
                outcome.issues.extend(unkept.map(slower_next_time));
                return Ok(report(
                    outcome,
                    Committed {
                        point,
                        digest,
                        created: options.moment(begun.now),
                        sent,
                    },
                ));
            }
            CommitOutcome::Missing(ids) => {
                tracing::warn!(
                    blobs = ids.len(),
                    "the vault lacks blobs that this machine believed it had; sending them again"
                );
                distrusted.extend(ids);
                distrusted.extend(lost(parts, scratch).await?);
                parts.progress.restart();
            }
        }
    }
    Err(EngineError::Internal(
        "the vault goes on asking for blobs that were sent",
    ))
}

/// What the scratch folder believes to be in the vault and is not. A vault that lacks a page cannot tell what else it lacks
/// below that page, so one that lacks anything is asked about everything.
async fn lost(parts: &BackupParts, scratch: &Scratch) -> Result<Vec<BlobId>, EngineError> {
    let mut lost = Vec::new();
    for map in [scratch.contents()?, scratch.pages()?] {
        let ids: Vec<BlobId> = map.chunks().collect();
        for batch in ids.chunks(IDS_MAX) {
            let missing = parts.writer.missing(batch).await?;
            lost.extend(
                batch
                    .iter()
                    .zip(missing)
                    .filter_map(|(id, missing)| missing.then_some(*id)),
            );
        }
    }
    Ok(lost)
}

/// What the scratch folder holds of the vault's newest point; filled from the vault if it does not.
async fn agree_on_last(
    parts: &BackupParts,
    scratch: &Arc<Scratch>,
    begun: &Begun,
) -> Result<Option<LastPoint>, EngineError> {
    let Some((point, digest)) = begun.latest else {
        // A vault without any point of ours, be it new or another one: nothing that we remember is there.
        scratch.clear()?;
        return Ok(None);
    };
    if let Some(last) = scratch.last().filter(|last| last.digest == digest) {
        return Ok(Some(last));
    }
    tracing::info!(%point, "the scratch folder does not have the newest recovery point; reading its pages from the vault");
    scratch.clear()?;
    match crate::resync::resync(parts, scratch, point).await {
        Ok(last) => Ok(Some(last)),
        Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
        Err(error) => {
            tracing::warn!(%error, "the newest recovery point cannot be read; this backup reads every file");
            scratch.clear()?;
            Ok(None)
        }
    }
}

/// A vault that does not show the last point that this machine made withholds it, or was put back to an older state.
async fn withheld(parts: &BackupParts, scratch: &Scratch, options: &BackupOptions, begun: &Begun) -> Option<Issue> {
    let known = [
        options.remembered?,
        scratch.last().map_or(options.remembered?, |last| last.digest),
    ];
    let follows = match begun.latest {
        None => false,
        Some((_, digest)) if digest == known[0] => true,
        Some((point, digest)) => names_as_predecessor(parts, point, digest, &known).await,
    };
    let why = "the vault does not show the last recovery point that this machine made as its newest: the \
               vault or this machine was put back to an older state, another copy of this machine backs up too, or somebody \
               removed recovery points";
    (!follows).then(|| Issue {
        path: Vec::new(),
        why: why.to_owned(),
    })
}

/// Whether the vault's newest point was made right after one of these: a run that is killed after its commit cannot
/// remember its own, but nobody without the keys can make one up.
async fn names_as_predecessor(parts: &BackupParts, point: PointId, digest: Digest, known: &[Digest]) -> bool {
    match OpenPoint::open(&parts.reader, &parts.keys, point).await {
        Ok(open) => open.digest == digest && open.header.predecessor.is_some_and(|before| known.contains(&before)),
        Err(error) => {
            tracing::warn!(%error, "the newest recovery point cannot be read");
            false
        }
    }
}

struct Moments {
    started: Timestamp,
    point: PointId,
    new_bytes: u64,
}

fn point_object(
    parts: &BackupParts,
    source: &impl Source,
    options: &BackupOptions,
    begun: &Begun,
    outcome: &PassOutcome,
    moments: Moments,
) -> Bytes {
    let header = PointHeader {
        vault: options.vault,
        item: options.item,
        point: moments.point,
        key_set: options.key_set,
        root: outcome.root,
        created: options.moment(begun.now),
        consistency: (options.past.and_then(|past| past.frozen)).unwrap_or_else(|| outcome.volumes.consistency()),
        total_bytes: outcome.sums.bytes,
        new_bytes: moments.new_bytes,
        files: outcome.sums.entries,
        predecessor: begun.latest.map(|(_, digest)| digest),
    };
    let mut object = Vec::new();
    put_head(&mut object, &header);
    let head = object.clone();
    let body = point_body(source, options, outcome, moments.started).encode();
    Sealer::new(&parts.keys, options.level).seal(SealKind::PointBody, &head, &body, &mut object);
    object.into()
}

fn point_body(source: &impl Source, options: &BackupOptions, outcome: &PassOutcome, started: Timestamp) -> PointBody {
    PointBody {
        machine: options.machine.clone(),
        program: options.program.clone(),
        started: nanoseconds(options.moment(started)),
        finished: nanoseconds(options.moment(options.clock.now())),
        paths: source.paths(),
        exclusions: source.exclusions(),
        issues: outcome.issues.clone(),
        issues_omitted: outcome.issues_omitted,
    }
}

fn keep(scratch: &Scratch, outcome: &mut PassOutcome, point: PointId, digest: Digest) -> Result<(), EngineError> {
    let last = LastPoint {
        point,
        digest,
        entries: outcome.sums.entries,
        bytes: outcome.sums.bytes,
        tired: outcome.tired.clone(),
        unsure: Unsure::of(&outcome.issues, outcome.issues_omitted),
    };
    let log = outcome.log.lock().expect("no thread panicked with the log").take();
    let log_kept = log.map_or(Ok(()), |log| scratch.keep(log, &last));
    std::mem::replace(&mut outcome.kept, Ok(())).and(log_kept)
}

/// The recovery point exists; without the scratch folder the next run takes longer, no more.
fn slower_next_time(error: EngineError) -> Issue {
    Issue {
        path: Vec::new(),
        why: format!("{error}; the recovery point is whole, but the next backup has to read more than what changed"),
    }
}

struct Committed {
    point: PointId,
    digest: Digest,
    created: Timestamp,
    sent: (u64, u64),
}

fn report(outcome: PassOutcome, committed: Committed) -> BackupReport {
    BackupReport {
        point: committed.point,
        created: committed.created,
        digest: committed.digest,
        entries: outcome.sums.entries,
        bytes: outcome.sums.bytes,
        files_read: outcome.files_read,
        new_bytes: committed.sent.0,
        new_blobs: committed.sent.1,
        volumes: outcome.volumes,
        issues: outcome.issues,
        issues_omitted: outcome.issues_omitted,
    }
}

/// Makes ids that sort by the vault's clock.
struct Uuid7(Timestamp);

impl Uuid7 {
    fn point_id(&self) -> PointId {
        let seconds = u64::try_from(self.0.as_second()).unwrap_or(0);
        let moment = uuid::Timestamp::from_unix_time(seconds, self.0.subsec_nanosecond().unsigned_abs(), 0, 0);
        PointId::from_uuid(uuid::Uuid::new_v7(moment))
    }
}

fn nanoseconds(moment: Timestamp) -> i64 {
    i64::try_from(moment.as_nanosecond()).unwrap_or(i64::MAX)
}

/// Renews the lease while the machine walks through unchanged files and has nothing to send.
struct Heartbeat(tokio::task::JoinHandle<()>);

impl Heartbeat {
    fn start(writer: Arc<dyn VaultWriter>, lease_seconds: u64) -> Self {
        let every = Duration::from_secs((lease_seconds / 4).max(1));
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                if let Err(error) = writer.missing(&[]).await {
                    tracing::debug!(%error, "the lease could not be renewed");
                }
            }
        }))
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}
