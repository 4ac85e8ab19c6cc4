//! A vault in memory, and folders to back up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use strongroom_engine::backup::{BackupOptions, BackupParts, BackupReport, Past, back_up};
use strongroom_engine::remote::{Begun, CommitOutcome, DamagedObject, Fetched, RemoteError, VaultReader, VaultWriter};
use strongroom_engine::restore::{RestoreOptions, RestoreParts, RestoreReport, restore};
use strongroom_engine::{EngineError, OpenPoint, Progress, Scratch};
use strongroom_format::page::parse_visible;
use strongroom_format::point::{parse_point, point_digest};
use strongroom_model::{BlobId, Clock, Digest, ItemId, KeySetId, PackId, PointId, Priority, VaultId};
use strongroom_seal::{DataKeys, Level, MasterKey};
use strongroom_sources::files::{Rules, Selection};
use strongroom_sources::source::Source;

/// What the vault holds, and what it was asked.
#[derive(Default)]
pub struct Held {
    pub blobs: BTreeMap<BlobId, Bytes>,
    pub points: Vec<(PointId, Bytes)>,
    pub packs: Vec<PackId>,
    pub sent_bytes: u64,
    /// Refuse packs after this many.
    pub packs_max: Option<usize>,
}

/// A vault in memory that behaves as the real one: it checks packs, and commits only what is complete.
#[derive(Default)]
pub struct MemoryVault {
    pub held: Mutex<Held>,
}

impl MemoryVault {
    pub fn lacking(held: &Held, root: BlobId) -> Vec<BlobId> {
        let (mut lacking, mut queue) = (Vec::new(), vec![(root, true)]);
        while let Some((id, is_page)) = queue.pop() {
            match held.blobs.get(&id) {
                None => lacking.push(id),
                Some(bytes) if is_page => {
                    let page = parse_visible(bytes).unwrap();
                    queue.extend(page.refs.iter().map(|id| (id, page.level > 0)));
                }
                Some(_) => {}
            }
        }
        lacking
    }
}

#[async_trait]
impl VaultReader for MemoryVault {
    async fn point_object(&self, point: PointId) -> Result<Bytes, RemoteError> {
        let held = self.held.lock().unwrap();
        let found = held.points.iter().find(|(id, _)| *id == point);
        found
            .map(|(_, bytes)| bytes.clone())
            .ok_or_else(|| RemoteError::Failed("no such point".into()))
    }

    fn fetch(&self, ids: Vec<BlobId>) -> BoxStream<'static, Result<Fetched, RemoteError>> {
        let held = self.held.lock().unwrap();
        let answers: Vec<_> = ids
            .into_iter()
            .map(|id| match held.blobs.get(&id) {
                Some(bytes) => Ok(Fetched::Blob(id, bytes.clone())),
                None => Ok(Fetched::Lost(id, format!("blob {id} is lost"))),
            })
            .collect();
        stream::iter(answers).boxed()
    }

    async fn scrub_point(&self, _: PointId) -> Result<Vec<DamagedObject>, RemoteError> {
        Ok(Vec::new())
    }

    async fn check_point(&self, _: PointId) -> Result<Vec<DamagedObject>, RemoteError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl VaultWriter for MemoryVault {
    async fn begin(&self) -> Result<Begun, RemoteError> {
        let held = self.held.lock().unwrap();
        let latest = held.points.last().map(|(id, bytes)| (*id, point_digest(bytes)));
        let now = Timestamp::from_second(1_800_000_000 + held.points.len() as i64).unwrap();
        Ok(Begun {
            now,
            latest,
            lease_seconds: 900,
        })
    }

    async fn missing(&self, ids: &[BlobId]) -> Result<Vec<bool>, RemoteError> {
        let held = self.held.lock().unwrap();
        Ok(ids.iter().map(|id| !held.blobs.contains_key(id)).collect())
    }

    async fn put_pack(&self, pack: PackId, bytes: Bytes) -> Result<(), RemoteError> {
        let toc = strongroom_format::pack::verify_pack(pack, &bytes).unwrap();
        let mut held = self.held.lock().unwrap();
        if held.packs_max.is_some_and(|max| held.packs.len() >= max) {
            return Err(RemoteError::Failed("the line was cut".into()));
        }
        held.packs.push(pack);
        held.sent_bytes += toc.blobs_length();
        for entry in toc.entries() {
            let blob = bytes.slice(entry.offset as usize..(entry.offset + u64::from(entry.length)) as usize);
            held.blobs.insert(entry.id, blob);
        }
        Ok(())
    }

    async fn commit(&self, point: Bytes) -> Result<CommitOutcome, RemoteError> {
        let mut held = self.held.lock().unwrap();
        let header = parse_point(&point).unwrap().header;
        let lacking = Self::lacking(&held, header.root);
        if !lacking.is_empty() {
            return Ok(CommitOutcome::Missing(lacking));
        }
        let latest: Option<Digest> = held.points.last().map(|(_, bytes)| point_digest(bytes));
        assert_eq!(header.predecessor, latest);
        held.points.push((header.point, point));
        Ok(CommitOutcome::Committed)
    }

    async fn end(&self) -> Result<(), RemoteError> {
        Ok(())
    }
}

/// A machine with a folder to back up and a vault.
pub struct World {
    pub folder: tempfile::TempDir,
    pub vault: Arc<MemoryVault>,
    pub keys: Arc<DataKeys>,
    pub progress: Progress,
    pub clock: Clock,
}

impl World {
    pub fn new() -> Self {
        // Long after whatever the tests write, so that no file counts as too fresh to trust its times.
        let (clock, _) = Clock::simulated("2100-01-01T00:00:00Z".parse().unwrap());
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            vault: Arc::default(),
            keys: Arc::new(MasterKey::from_bytes([7; 32]).keys()),
            progress: Progress::default(),
            clock,
        };
        std::fs::create_dir(world.source()).unwrap();
        world
    }

    pub fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    pub fn scratch_path(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.source().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    pub async fn try_backup(&self) -> Result<BackupReport, EngineError> {
        let source = Selection::new(vec![self.source()], Rules::default()).unwrap();
        self.try_backup_of(source, None).await
    }

    pub async fn try_backup_of(&self, source: impl Source, past: Option<Past>) -> Result<BackupReport, EngineError> {
        let parts = BackupParts {
            writer: self.vault.clone(),
            reader: self.vault.clone(),
            keys: self.keys.clone(),
            progress: self.progress.clone(),
        };
        let options = BackupOptions {
            level: Level::default(),
            vault: VaultId::from_bytes([1; 16]),
            item: ItemId::from_bytes([2; 16]),
            key_set: KeySetId::from_bytes([3; 16]),
            machine: "test".into(),
            program: "test".into(),
            clock: self.clock.clone(),
            past,
            force_rehash: false,
            priority: Priority::Low,
            workers: 2,
            remembered: None,
        };
        let scratch = Arc::new(Scratch::open(&self.scratch_path())?);
        back_up(&parts, scratch, source, &options).await
    }

    pub async fn backup(&self) -> BackupReport {
        self.try_backup().await.unwrap()
    }

    pub fn parts(&self) -> RestoreParts {
        RestoreParts {
            reader: self.vault.clone(),
            keys: self.keys.clone(),
            progress: Progress::default(),
            workers: 2,
        }
    }

    pub async fn open(&self, point: PointId) -> OpenPoint {
        let reader: Arc<dyn VaultReader> = self.vault.clone();
        OpenPoint::open(&reader, &self.keys, point).await.unwrap()
    }

    pub async fn restore_to(&self, point: PointId, target: &Path) -> RestoreReport {
        let options = RestoreOptions::to(target);
        restore(&self.parts(), &self.open(point).await, &options).await.unwrap()
    }

    /// Restores to a new folder and compares it with the source.
    pub async fn check_restore(&self, point: PointId) {
        let target = tempfile::tempdir().unwrap();
        let report = self.restore_to(point, target.path()).await;
        assert!(report.issues.is_empty(), "{:?}", report.issues);
        let restored = target.path().join(self.source().strip_prefix("/").unwrap());
        compare(&self.source(), &restored);
    }

    pub fn sent_bytes(&self) -> u64 {
        self.vault.held.lock().unwrap().sent_bytes
    }

    pub fn blob_count(&self) -> usize {
        self.vault.held.lock().unwrap().blobs.len()
    }
}

/// `rsync` finds no difference in contents, attributes, hard links, ACLs and times.
pub fn compare(left: &Path, right: &Path) {
    let run = std::process::Command::new("rsync")
        .args(["-aHAXn", "--checksum", "--delete", "--itemize-changes"])
        .args([format!("{}/", left.display()), format!("{}/", right.display())])
        .output()
        .expect("these tests need rsync; ./scripts/test installs it");
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.is_empty(), "{said}");
}

/// Bytes that do not compress.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}
