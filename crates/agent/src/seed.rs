//! A seed: a recovery point on a disk, which somebody brings to the service. It is laid out like a vault.
//!
//! ```text
//! seed.json      what it is, signed; written last: without it the seed is not whole
//! objects.list   its objects, one a line: name and size
//! packs/…        what the vault lacked when the seed was made
//! points/…       the recovery point
//! ```

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_api::{MachineKey, PointFilter, SeedStatement};
use strongroom_engine::Progress;
use strongroom_engine::backup::{BackupParts, BackupReport};
use strongroom_engine::remote::{Begun, CommitOutcome, RemoteError, VaultWriter};
use strongroom_format::point::{parse_point, point_digest};
use strongroom_model::{
    BlobId, ContainerId, Digest, ItemId, KeySetId, MachineName, PackId, PointId, VaultId, VaultName,
};
use strongroom_store::{Disk, Key, Store, StoreError};

use crate::backup::Backup;
use crate::disk_folder::names;
use crate::error::AgentError;
use crate::inventory::{Inventory, OBJECTS};
use crate::machine::Machine;
use crate::service_vault::ServiceVault;
use crate::state::{LastMade, MachineState, Seeded};
use crate::store_vault::read_toc;

/// The description of a seed.
pub(crate) const DESCRIPTION: &str = "seed.json";
/// No description is longer.
pub(crate) const DESCRIPTION_BYTES_MAX: u64 = 64 << 10;
/// Blobs of an interrupted seed that are remembered, so that they are not written twice: 40 bytes each. With more than these,
/// which are a tebibyte or so, some are; the vault keeps them once.
const RESUMED_BLOBS_MAX: usize = 1 << 20;

/// What is in the folder of a seed.
const OWN_NAMES: [&str; 3] = ["packs", "points", "tmp"];

/// What a seed says of itself. Nothing in it is hidden from the vault anyway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedDescription {
    /// Version of this form: 1.
    pub format: u32,
    /// The vault that it is for.
    pub vault: VaultId,
    /// What that was called.
    pub vault_name: VaultName,
    /// The machine that made it.
    pub machine: MachineName,
    /// Its id.
    pub container: ContainerId,
    /// Its item.
    pub item: ItemId,
    /// The key set that opens it.
    pub key_set: KeySetId,
    /// The recovery point.
    pub point: PointId,
    /// BLAKE3 of the recovery point's object.
    pub digest: Digest,
    /// When it was made.
    pub made: Timestamp,
    /// How many objects it has.
    pub objects: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// BLAKE3 of the list of objects.
    pub list: Digest,
    /// What the machine says of it, signed with its key: the service goes by this alone.
    pub statement: String,
}

impl SeedDescription {
    /// The version that this program writes.
    pub const FORMAT: u32 = 1;
}

impl Machine {
    /// Makes a backup onto a disk, which somebody brings to the service: nothing but questions goes over the line. The recovery
    /// point exists when that was imported; until then no other backup is made.
    pub async fn seed(&self, backup: Backup, folder: PathBuf, progress: Progress) -> Result<BackupReport, AgentError> {
        self.wait_for_seed().await?;
        let prepared = self.prepare(backup)?;
        let commands = prepared.commands.clone();
        let work = async {
            let vault = ServiceVault::new(self.client().clone(), None);
            let key = self.folder().machine_key()?;
            let writer = SeedWriter::open(vault, &folder, self.state().clone(), key, self.now()).await?;
            let parts = BackupParts {
                writer: Arc::new(writer),
                ..self.writing(None, progress.clone())
            };
            self.write_point(&parts, prepared).await
        };
        let report = self.between(commands, &progress, work).await?;
        let point = LastMade {
            point: report.point,
            digest: report.digest,
        };
        self.folder().keep_seeded(&Seeded {
            point,
            folder: folder.clone(),
        })?;
        Ok(report)
    }

    /// Gives up a seed that is on its way.
    pub fn forget_seed(&self) -> Result<(), AgentError> {
        self.folder().forget_seeded()
    }

    /// Refuses to go on while a seed is on its way; one that has arrived is the machine's newest recovery point.
    pub(crate) async fn wait_for_seed(&self) -> Result<(), AgentError> {
        let Some(Seeded { point, folder }) = self.folder().seeded()? else {
            return Ok(());
        };
        let points = self.client().points(&PointFilter::Own).await?.points;
        if !points.iter().any(|known| known.digest == point.digest) {
            return Err(AgentError::SeedOnItsWay(folder));
        }
        self.folder().remember(&point)?;
        self.folder().forget_seeded()
    }
}

/// Writes a seed, and asks the vault what it lacks. Nothing but questions goes over the line.
pub(crate) struct SeedWriter {
    vault: ServiceVault,
    store: Disk,
    folder: PathBuf,
    machine: MachineState,
    key: MachineKey,
    now: Timestamp,
    /// What an interrupted run has written.
    written: HashSet<BlobId>,
    predecessor: Mutex<Option<Digest>>,
}

impl SeedWriter {
    /// Begins in an empty folder, or goes on in one where a seed was begun.
    pub(crate) async fn open(
        vault: ServiceVault,
        folder: &Path,
        machine: MachineState,
        key: MachineKey,
        now: Timestamp,
    ) -> Result<Self, AgentError> {
        refuse_occupied(folder)?;
        let store = Disk::open(folder).map_err(|error| AgentError::Store(error.to_string()))?;
        let written = written(&store).await?;
        Ok(Self {
            vault,
            store,
            folder: folder.to_owned(),
            machine,
            key,
            now,
            written,
            predecessor: Mutex::default(),
        })
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), RemoteError> {
        let key = Key::new(name).map_err(|error| RemoteError::Failed(error.to_string()))?;
        self.store.put(&key, bytes).await.map_err(|error| match error {
            StoreError::NoSpace { .. } => RemoteError::NoSpace(format!(
                "the seed's disk is full: make room in {}, and the same command goes on where it was",
                self.folder.display()
            )),
            error => RemoteError::Failed(error.to_string()),
        })
    }
}

/// A folder with anything else in it was named by mistake.
fn refuse_occupied(folder: &Path) -> Result<(), AgentError> {
    for name in names(folder)? {
        let why = match &*name {
            // Left when the last step of a run was cut off: it is written again.
            OBJECTS => continue,
            name if OWN_NAMES.contains(&name) => continue,
            DESCRIPTION => "holds a seed already: have it imported with `strongroom vault import-seed`, or remove it",
            _ => "is not empty: name an empty folder",
        };
        return Err(AgentError::Seed(format!("{} {why}", folder.display())));
    }
    Ok(())
}

/// The blobs that an interrupted run has written.
async fn written(store: &Disk) -> Result<HashSet<BlobId>, AgentError> {
    let failed = |error: StoreError| AgentError::Store(error.to_string());
    // One that was cut off with its last step has a recovery point already, which becomes another one.
    for point in store.list("points").await.map_err(failed)? {
        store.delete(&point.key).await.map_err(failed)?;
    }
    let mut written = HashSet::new();
    for pack in store.list("packs").await.map_err(failed)? {
        if written.len() >= RESUMED_BLOBS_MAX {
            break;
        }
        // One that cannot be read is as good as absent: what was in it is written again, and the pack goes.
        match read_toc(store, pack.key.as_str()).await {
            Ok((_, toc)) => written.extend(toc.entries().iter().map(|entry| entry.id)),
            Err(why) => {
                tracing::warn!(pack = %pack.key.as_str(), why, "removing what is no pack");
                store.delete(&pack.key).await.map_err(failed)?;
            }
        }
    }
    Ok(written)
}

#[async_trait]
impl VaultWriter for SeedWriter {
    async fn begin(&self) -> Result<Begun, RemoteError> {
        let begun = self.vault.begin().await?;
        let predecessor = begun.latest.map(|(_, digest)| digest);
        *self.predecessor.lock().expect("no thread panicked here") = predecessor;
        Ok(begun)
    }

    async fn missing(&self, ids: &[BlobId]) -> Result<Vec<bool>, RemoteError> {
        let missing = self.vault.missing(ids).await?;
        let lacking = ids.iter().zip(missing);
        Ok(lacking
            .map(|(id, missing)| missing && !self.written.contains(id))
            .collect())
    }

    async fn put_pack(&self, pack: PackId, bytes: Bytes) -> Result<(), RemoteError> {
        let name = pack.to_string();
        self.put(&format!("packs/{}/{name}", &name[..2]), bytes).await
    }

    /// Completes the seed. The recovery point exists when it was imported, not before.
    async fn commit(&self, point: Bytes) -> Result<CommitOutcome, RemoteError> {
        let failed = |why: String| RemoteError::Failed(why);
        let header = parse_point(&point).map_err(|error| failed(error.to_string()))?.header;
        let digest = point_digest(&point);
        let statement = SeedStatement::new(
            self.machine.container,
            self.machine.vault,
            self.machine.item,
            header.key_set,
            (header.point, digest),
            *self.predecessor.lock().expect("no thread panicked here"),
        );
        self.put(&point_name(header.item, header.point), point).await?;
        let taken = Inventory::take(&self.store, &["packs", "points"]).await;
        let inventory = taken.map_err(|error| failed(error.to_string()))?;
        let description = SeedDescription {
            format: SeedDescription::FORMAT,
            vault: self.machine.vault,
            vault_name: self.machine.vault_name.clone(),
            machine: self.machine.name.clone(),
            container: self.machine.container,
            item: self.machine.item,
            key_set: header.key_set,
            point: header.point,
            digest,
            made: self.now,
            objects: inventory.objects,
            bytes: inventory.bytes,
            list: inventory.digest(),
            statement: statement.sign(&self.key),
        };
        self.put(OBJECTS, inventory.text.into()).await?;
        let description = serde_json::to_vec_pretty(&description).expect("plain fields always serialise");
        self.put(DESCRIPTION, description.into()).await?;
        Ok(CommitOutcome::Committed)
    }

    async fn end(&self) -> Result<(), RemoteError> {
        self.vault.end().await
    }
}

/// Where a recovery point lies, in a vault as in a seed.
pub(crate) fn point_name(item: ItemId, point: PointId) -> String {
    format!("points/{item}/{point}")
}
