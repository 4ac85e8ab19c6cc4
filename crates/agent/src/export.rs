//! Export: recovery points on a disk, sealed as they are, for a restore that is too large for the line. The disk is laid out
//! like a vault.
//!
//! ```text
//! export.json    what it is; written last: without it the disk is not whole
//! objects.list   its objects, one a line: name and size
//! vault.json     the vault's
//! keys/…         the key sets that open its recovery points
//! packs/…        their pages and chunks, each once
//! points/…       the recovery points, each after all that it needs
//! ```
//!
//! No key is needed, and none is there: pages say in the clear what they refer to. Every step may run twice, and what is on the
//! disk is not fetched again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_api::{Client, Fetched, IDENTITIES_MAX, PointExport};
use strongroom_engine::remote::{DamagedObject, Fetched as OnDisk, VaultReader as _};
use strongroom_engine::{EngineError, Progress};
use strongroom_format::blob_id;
use strongroom_format::pack::{BlobKind, PACK_BYTES_TARGET, PackBuilder};
use strongroom_format::page::parse_visible;
use strongroom_format::point::{PointHeader, parse_point};
use strongroom_format::vaultfile::{VAULT_FILE_BYTES_MAX, VaultFile};
use strongroom_model::{BlobId, Digest, PointId, VaultId, VaultName};
use strongroom_store::{Disk, Key, Store, StoreError};

use crate::disk_folder::{names, room};
use crate::error::AgentError;
use crate::inventory::{Inventory, OBJECTS};
use crate::seed::point_name;
use crate::store_vault::{StoreVault, read};

/// The description of an exported disk.
pub(crate) const DESCRIPTION: &str = "export.json";
/// No description is longer.
pub(crate) const DESCRIPTION_BYTES_MAX: u64 = 64 << 10;
const VAULT_FILE: &str = "vault.json";
/// What may be in the folder of an export.
const OWN_NAMES: [&str; 7] = [DESCRIPTION, OBJECTS, VAULT_FILE, "keys", "packs", "points", "tmp"];

/// Blobs in one request: one that was cut off asks for the others again.
const FETCHED_AT_ONCE: usize = 4096;
/// Recovery points whose contents are fetched together: so many bytes of their objects are kept meanwhile.
const POINTS_BYTES_MAX: usize = 16 << 20;
/// Chunks that are noted before they are fetched, 80 bytes each: four tebibytes or so. The room for them is looked at before.
const WANTED_MAX: usize = 4 << 20;
/// Beside its bytes, a blob takes so much of a pack.
const BLOB_OVERHEAD: u64 = 37;
/// Left free for folders, lists and the ends of packs.
const SPARE_BYTES: u64 = 256 << 10;
const MIB: u64 = 1 << 20;
/// Damaged objects that are named; the others are counted.
const DAMAGES_MAX: usize = 1000;

/// What an exported disk says of itself. Nothing in it is hidden from the vault anyway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportDescription {
    /// Version of this form: 1.
    pub format: u32,
    /// The vault that it is from.
    pub vault: VaultId,
    /// What that was called.
    pub vault_name: VaultName,
    /// When recovery points came onto it the last time.
    pub made: Timestamp,
    /// How many recovery points it has.
    pub points: u64,
    /// How many objects it has.
    pub objects: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// BLAKE3 of the list of objects.
    pub list: Digest,
}

impl ExportDescription {
    /// The version that this program writes.
    pub const FORMAT: u32 = 1;
}

/// What an export did.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    /// The folder.
    pub folder: PathBuf,
    /// Recovery points that were written.
    pub points_written: u64,
    /// Recovery points that were there already.
    pub points_known: u64,
    /// Packs that were written.
    pub packs_written: u64,
    /// Bytes of blobs that were fetched and written.
    pub new_bytes: u64,
    /// Objects on the disk now.
    pub objects: u64,
    /// Bytes on the disk now.
    pub bytes: u64,
    /// Objects that the vault could not give, for they are damaged there; a restore misses what they hold.
    pub damaged: Vec<DamagedObject>,
    /// How many more there were than are listed.
    pub damaged_omitted: u64,
}

/// Exports recovery points of a vault to a folder: an empty one, or one that has an export of this vault already.
///
/// # Errors
/// [`AgentError::Disk`] when the folder is none for it, or the disk is too small or full: with more room, the same call goes on.
pub async fn export_points(
    client: &Client,
    vault: &VaultName,
    points: &[PointId],
    folder: &Path,
    now: Timestamp,
    progress: &Progress,
) -> Result<Exported, AgentError> {
    refuse_occupied(folder)?;
    let disk = Disk::open(folder).map_err(|error| AgentError::Store(error.to_string()))?;
    let store: Arc<dyn Store> = Arc::new(disk);
    let on_disk = readable(&store).await?;
    let export = Export {
        client,
        vault,
        folder,
        store,
        on_disk,
        seen: HashSet::new(),
        wanted: Vec::new(),
        packs: [PackBuilder::new(), PackBuilder::new()],
        progress,
        id: None,
        exported: Exported {
            folder: folder.to_owned(),
            points_written: 0,
            points_known: 0,
            packs_written: 0,
            new_bytes: 0,
            objects: 0,
            bytes: 0,
            damaged: Vec::new(),
            damaged_omitted: 0,
        },
    };
    export.run(points, now).await
}

/// A folder with anything else in it was named by mistake.
fn refuse_occupied(folder: &Path) -> Result<(), AgentError> {
    match names(folder)?.iter().find(|name| !OWN_NAMES.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(AgentError::Disk(format!(
            "{} has something else in it ({name}): name an empty folder, or one with an earlier export",
            folder.display()
        ))),
    }
}

/// What is on the disk. Packs go whose table of contents is damaged, or a page: what was in them is fetched again. Chunks
/// are looked at by who restores or verifies.
async fn readable(store: &Arc<dyn Store>) -> Result<StoreVault, AgentError> {
    let mut damaged = Vec::new();
    let on_disk = StoreVault::index(store.clone(), &mut damaged).await?;
    damaged.extend(on_disk.damaged_pages().await);
    if damaged.is_empty() {
        return Ok(on_disk);
    }
    for DamagedObject { object, why } in &damaged {
        tracing::warn!(object, why, "removing what is damaged on the disk");
        let deleted = store.delete(&key(object)).await;
        deleted.map_err(|error| AgentError::Store(error.to_string()))?;
    }
    StoreVault::index(store.clone(), &mut Vec::new()).await
}

struct Export<'a> {
    client: &'a Client,
    vault: &'a VaultName,
    folder: &'a Path,
    store: Arc<dyn Store>,
    /// What is on the disk already.
    on_disk: StoreVault,
    /// Pages that were followed, and chunks that were noted.
    seen: HashSet<BlobId>,
    /// Chunks that are to be fetched, in the order of the trees: that in which they lie in the vault, mostly.
    wanted: Vec<BlobId>,
    /// The open packs: of chunks, of pages.
    packs: [PackBuilder; 2],
    progress: &'a Progress,
    /// The vault's id, once a recovery point has told it.
    id: Option<VaultId>,
    exported: Exported,
}

impl Export<'_> {
    async fn run(mut self, points: &[PointId], now: Timestamp) -> Result<Exported, AgentError> {
        let mut waiting: Vec<(String, Bytes)> = Vec::new();
        for point in points {
            self.go_on()?;
            let given = self.client.export_point(self.vault, *point).await?;
            let header = self.header(*point, &given)?;
            self.put_beside(&header, &given).await?;
            self.walk(header.root).await?;
            waiting.push((point_name(header.item, header.point), given.point.into()));
            let held: usize = waiting.iter().map(|(_, object)| object.len()).sum();
            if held >= POINTS_BYTES_MAX {
                self.settle(&mut waiting).await?;
            }
        }
        self.settle(&mut waiting).await?;
        self.describe(now).await?;
        Ok(self.exported)
    }

    fn go_on(&self) -> Result<(), AgentError> {
        match self.progress.is_cancelled() {
            true => Err(EngineError::Cancelled.into()),
            false => Ok(()),
        }
    }

    fn header(&self, point: PointId, given: &PointExport) -> Result<PointHeader, AgentError> {
        let crooked = |why: String| AgentError::Disk(format!("the service gave no recovery point {point}: {why}"));
        let header = parse_point(&given.point)
            .map_err(|error| crooked(error.to_string()))?
            .header;
        match header.point == point && self.id.is_none_or(|id| id == header.vault) {
            true => Ok(header),
            false => Err(crooked(format!("it is {} instead", header.point))),
        }
    }

    /// Writes what lies beside the packs. `vault.json` is the first of all: it says whose disk this is.
    async fn put_beside(&mut self, header: &PointHeader, given: &PointExport) -> Result<(), AgentError> {
        if self.id.is_none() {
            self.refuse_foreign(header.vault).await?;
            self.id = Some(header.vault);
        }
        if !given.vault_file.is_empty() {
            self.put_if_other(VAULT_FILE, &given.vault_file).await?;
        }
        for key_set in &given.key_sets {
            self.put_if_other(&format!("keys/{}", key_set.id), &key_set.object)
                .await?;
        }
        for damage in &given.damages {
            self.damaged(damage.object.clone(), damage.why.clone());
        }
        Ok(())
    }

    /// A disk holds recovery points of one vault.
    async fn refuse_foreign(&self, vault: VaultId) -> Result<(), AgentError> {
        let known = read(&*self.store, VAULT_FILE, VAULT_FILE_BYTES_MAX as u64).await;
        match known.ok().and_then(|bytes| VaultFile::decode(&bytes).ok()) {
            Some(file) if file.id != vault => Err(AgentError::Disk(format!(
                "{} has an export of another vault, {}: name an empty folder",
                self.folder.display(),
                file.name
            ))),
            _ => Ok(()),
        }
    }

    /// Follows a recovery point's tree level by level, writes the pages that the disk lacks, and notes the chunks.
    async fn walk(&mut self, root: BlobId) -> Result<(), AgentError> {
        let mut level = vec![root];
        while !level.is_empty() {
            level.retain(|page| self.seen.insert(*page));
            let mut below = Vec::new();
            for batch in level.chunks(FETCHED_AT_ONCE) {
                let (there, absent) = batch.iter().copied().partition(|id| self.on_disk.has(id));
                self.follow_on_disk(there, &mut below).await?;
                self.fetch(BlobKind::Page, absent, Some(&mut below)).await?;
                if self.wanted.len() >= WANTED_MAX {
                    self.fetch_wanted().await?;
                }
            }
            level = below;
        }
        Ok(())
    }

    /// Follows pages that are on the disk, and were whole a moment ago.
    async fn follow_on_disk(&mut self, ids: Vec<BlobId>, below: &mut Vec<BlobId>) -> Result<(), AgentError> {
        let mut pages = self.on_disk.fetch(ids);
        while let Some(page) = pages.next().await {
            match page.map_err(EngineError::from)? {
                OnDisk::Blob(id, bytes) => self.follow(id, &bytes, below)?,
                OnDisk::Lost(_, why) => return Err(AgentError::Disk(why)),
                OnDisk::Remark(_) => {}
            }
        }
        Ok(())
    }

    fn follow(&mut self, id: BlobId, bytes: &[u8], below: &mut Vec<BlobId>) -> Result<(), AgentError> {
        let page = parse_visible(bytes).map_err(|error| AgentError::Disk(format!("page {id}: {error}")))?;
        match page.level {
            0 => {
                for chunk in page.refs.iter() {
                    if !self.on_disk.has(&chunk) && self.seen.insert(chunk) {
                        self.wanted.push(chunk);
                    }
                }
            }
            _ => below.extend(page.refs.iter()),
        }
        Ok(())
    }

    /// Has blobs sent and writes them; pages are followed.
    async fn fetch(
        &mut self,
        kind: BlobKind,
        ids: Vec<BlobId>,
        mut below: Option<&mut Vec<BlobId>>,
    ) -> Result<(), AgentError> {
        let mut blobs = self.client.export_blobs(self.vault, ids);
        while let Some(blob) = blobs.next().await? {
            self.go_on()?;
            match blob {
                Fetched::Blob { id, bytes } if blob_id(&bytes) == id => {
                    if let Some(below) = below.as_deref_mut() {
                        self.follow(id, &bytes, below)?;
                    }
                    self.keep(kind, id, &bytes).await?;
                }
                Fetched::Blob { id, .. } => {
                    let why = format!(
                        "the service sent other bytes than those of blob {id}: is something wrong with the line?"
                    );
                    return Err(AgentError::Disk(why));
                }
                Fetched::Damaged { id, why } => self.damaged(format!("blob {id}"), why),
                Fetched::NotFound { id } => self.damaged(format!("blob {id}"), "the vault does not have it".to_owned()),
                Fetched::Remark { why } => self.damaged("a pack of the vault".to_owned(), why),
            }
        }
        Ok(())
    }

    async fn keep(&mut self, kind: BlobKind, id: BlobId, bytes: &[u8]) -> Result<(), AgentError> {
        let pack = &mut self.packs[usize::from(kind == BlobKind::Page)];
        pack.push(kind, id, bytes);
        let is_full = pack.len_bytes() >= PACK_BYTES_TARGET;
        let length = bytes.len() as u64;
        self.exported.new_bytes += length;
        self.progress.add_bytes(length);
        self.progress.add_new_bytes(length);
        if is_full {
            self.close_pack(kind).await?;
        }
        Ok(())
    }

    async fn close_pack(&mut self, kind: BlobKind) -> Result<(), AgentError> {
        let pack = std::mem::take(&mut self.packs[usize::from(kind == BlobKind::Page)]);
        if pack.is_empty() {
            return Ok(());
        }
        let (name, bytes, toc) = pack.finish();
        let name = name.to_string();
        let object = format!("packs/{}/{name}", &name[..2]);
        self.put(&object, bytes.into()).await?;
        self.on_disk.add_pack(object, toc.entries());
        self.exported.packs_written += 1;
        self.progress.add_entries(1);
        Ok(())
    }

    /// Fetches what the recovery points need that wait, and writes these.
    async fn settle(&mut self, waiting: &mut Vec<(String, Bytes)>) -> Result<(), AgentError> {
        self.fetch_wanted().await?;
        for (name, object) in waiting.drain(..) {
            match self.put_if_other(&name, &object).await? {
                true => self.exported.points_written += 1,
                false => self.exported.points_known += 1,
            }
        }
        Ok(())
    }

    async fn fetch_wanted(&mut self) -> Result<(), AgentError> {
        self.close_pack(BlobKind::Page).await?;
        let wanted = std::mem::take(&mut self.wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        self.see_that_it_fits(&wanted).await?;
        for batch in wanted.chunks(FETCHED_AT_ONCE) {
            self.fetch(BlobKind::Chunk, batch.to_vec(), None).await?;
        }
        self.close_pack(BlobKind::Chunk).await
    }

    /// The vault knows how long everything is: a disk that is too small is told before the long work.
    async fn see_that_it_fits(&mut self, wanted: &[BlobId]) -> Result<(), AgentError> {
        let mut needed = 0;
        for batch in wanted.chunks(IDENTITIES_MAX) {
            let sizes = self.client.blob_sizes(self.vault, batch).await?;
            needed += sizes.iter().map(|size| u64::from(*size)).sum::<u64>();
        }
        self.progress.expect(0, self.exported.new_bytes + needed);
        let needed = needed + wanted.len() as u64 * BLOB_OVERHEAD + SPARE_BYTES;
        match room(self.folder) {
            Some(room) if room < needed => Err(AgentError::Disk(format!(
                "the disk is too small: {} MiB are needed, and {} has {} MiB left. Make room, or name a larger disk; the \
                 same command goes on where it was",
                needed.div_ceil(MIB),
                self.folder.display(),
                room / MIB
            ))),
            _ => Ok(()),
        }
    }

    /// Completes the disk. Until then it is as whole as it was before, for its list has what was there then.
    async fn describe(&mut self, now: Timestamp) -> Result<(), AgentError> {
        let failed = |error: StoreError| AgentError::Store(error.to_string());
        let mut inventory = Inventory::take(&*self.store, &["keys", "packs", "points"])
            .await
            .map_err(failed)?;
        if let Ok(size) = self.store.size(&key(VAULT_FILE)).await {
            inventory.add(VAULT_FILE, size);
        }
        let points = self.store.list("points").await.map_err(failed)?.len() as u64;
        (self.exported.objects, self.exported.bytes) = (inventory.objects, inventory.bytes);
        let Some(vault) = self.id else { return Ok(()) };
        let description = ExportDescription {
            format: ExportDescription::FORMAT,
            vault,
            vault_name: self.vault.clone(),
            made: now,
            points,
            objects: inventory.objects,
            bytes: inventory.bytes,
            list: inventory.digest(),
        };
        // The old description does not fit the new list: between the two there is none.
        self.store.delete(&key(DESCRIPTION)).await.map_err(failed)?;
        self.put(OBJECTS, inventory.text.into()).await?;
        let description = serde_json::to_vec_pretty(&description).expect("plain fields always serialise");
        self.put(DESCRIPTION, description.into()).await
    }

    /// Writes an object unless it is there; returns whether it had to.
    async fn put_if_other(&self, name: &str, bytes: &[u8]) -> Result<bool, AgentError> {
        if read(&*self.store, name, bytes.len() as u64)
            .await
            .is_ok_and(|known| known == bytes)
        {
            return Ok(false);
        }
        self.put(name, Bytes::copy_from_slice(bytes)).await?;
        Ok(true)
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), AgentError> {
        self.store.put(&key(name), bytes).await.map_err(|error| match error {
            StoreError::NoSpace { .. } => AgentError::Disk(format!(
                "the disk is full: make room in {}, and the same command goes on where it was",
                self.folder.display()
            )),
            error => AgentError::Store(error.to_string()),
        })
    }

    fn damaged(&mut self, object: String, why: String) {
        if self.exported.damaged.len() >= DAMAGES_MAX {
            self.exported.damaged_omitted += 1;
        } else if !self.exported.damaged.iter().any(|known| known.why == why) {
            self.exported.damaged.push(DamagedObject { object, why });
        }
    }
}

fn key(name: &str) -> Key {
    Key::new(name).expect("ids and hashes are legal segments")
}
