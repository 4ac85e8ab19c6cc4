//! An exported disk, as a registered machine reads it: nothing but what the disk lacks comes from the service.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use strongroom_api::{PointFilter, PointView};
use strongroom_engine::OpenPoint;
use strongroom_engine::remote::{DamagedObject, Fetched, RemoteError, VaultReader};
use strongroom_format::keyset::KeySetObject;
use strongroom_format::point::POINT_BYTES_MAX;
use strongroom_model::{BlobId, ItemId, PointId};
use strongroom_seal::DataKeys;
use strongroom_store::{Disk, Key, Store};

use crate::error::AgentError;
use crate::export::{DESCRIPTION, DESCRIPTION_BYTES_MAX, ExportDescription};
use crate::inventory::{lacking as lacking_of, listed};
use crate::service_vault::ServiceVault;
use crate::store_vault::{StoreVault, read, read_key_sets};

/// A disk with an export.
pub(crate) struct ExportedDisk {
    vault: StoreVault,
    /// Objects on it that are missing, cut or cannot be read.
    damaged: Vec<DamagedObject>,
    service: Arc<Service>,
}

/// A blob that the disk does not have whole.
struct Lost {
    id: BlobId,
    why: String,
    /// Whether its pack is there, and is to be named: one that is missing was named already.
    is_damaged: bool,
}

/// The service, in place of a disk that is damaged.
struct Service {
    vault: ServiceVault,
    /// It did not answer, and is not asked again.
    is_away: AtomicBool,
    /// Blobs that came from it.
    given: AtomicU64,
}

impl ExportedDisk {
    /// Opens the disk in a folder.
    ///
    /// # Errors
    /// [`AgentError::Disk`] when it is not whole or not described. Objects that are missing are no reason: each costs the files
    /// that need it.
    pub(crate) async fn open(folder: &Path, service: ServiceVault) -> Result<Self, AgentError> {
        let failed = |why: String| AgentError::Disk(format!("{}: {why}", folder.display()));
        let disk = Disk::open_read_only(folder).map_err(|error| AgentError::Store(error.to_string()))?;
        let store: Arc<dyn Store> = Arc::new(disk);
        let mut damaged = missing(&*store).await.map_err(failed)?.ok_or_else(|| {
            failed(format!(
                "there is no whole export: it has no {DESCRIPTION}. Let `strongroom item export` end, or copy its disk again; \
                 `strongroom rescue --store` reads what is there"
            ))
        })?;
        let vault = StoreVault::index(store, &mut damaged).await?;
        let mut named = BTreeSet::new();
        damaged.retain(|damage| named.insert(damage.object.clone()));
        let service = Arc::new(Service::new(service));
        Ok(Self {
            vault,
            damaged,
            service,
        })
    }

    /// The same disk, beside another way to the service.
    pub(crate) fn asking(self, service: ServiceVault) -> Self {
        let service = Arc::new(Service::new(service));
        Self { service, ..self }
    }

    /// The key sets on it.
    pub(crate) async fn key_sets(&self) -> Result<Vec<KeySetObject>, AgentError> {
        // What is wrong with one is told by the list, or by nobody being able to open it.
        read_key_sets(&self.vault.store, &mut Vec::new()).await
    }

    /// How many blobs came from the service, as the disk did not have them whole.
    pub(crate) fn given_by_service(&self) -> u64 {
        self.service.given.load(Ordering::Relaxed)
    }

    /// Those of its recovery points that these keys open.
    pub(crate) async fn points(&self, keys: &DataKeys, own: ItemId, filter: &PointFilter) -> Vec<PointView> {
        let mut points = Vec::new();
        for id in self.vault.points.keys() {
            let Ok(object) = self.point_object(*id).await else {
                continue;
            };
            let open = OpenPoint::from_object(&object, keys).ok();
            let wanted = open.filter(|open| open.header.point == *id).and_then(view);
            points.extend(wanted.filter(|point| match filter {
                PointFilter::Own => point.item == own,
                PointFilter::All => true,
                PointFilter::Machine(name) => point.machine.folded() == name.folded(),
            }));
        }
        points
    }
}

fn view(open: OpenPoint) -> Option<PointView> {
    let OpenPoint { header, body, digest } = open;
    Some(PointView {
        id: header.point,
        vault: header.vault,
        item: header.item,
        machine: body.machine.parse().ok()?,
        key_set: header.key_set,
        root: header.root,
        created: header.created,
        // When the service took it in, only the service knows.
        committed: header.created,
        consistency: format!("{:?}", header.consistency),
        total_bytes: header.total_bytes,
        new_bytes: header.new_bytes,
        files: header.files,
        digest,
        predecessor: header.predecessor,
    })
}

/// What an exported disk lacks of what its list says; nothing if this is no exported disk.
pub(crate) async fn lacking(store: &dyn Store) -> Vec<DamagedObject> {
    match missing(store).await {
        Ok(lacking) => lacking.unwrap_or_default(),
        Err(why) => vec![DamagedObject {
            object: DESCRIPTION.to_owned(),
            why,
        }],
    }
}

/// As [`lacking`]; `None` if this is no exported disk.
async fn missing(store: &dyn Store) -> Result<Option<Vec<DamagedObject>>, String> {
    let key = Key::new(DESCRIPTION).expect("it is a name of an object");
    if store.size(&key).await.is_err() {
        return Ok(None);
    }
    let description = read(store, DESCRIPTION, DESCRIPTION_BYTES_MAX).await?;
    let description: ExportDescription =
        serde_json::from_slice(&description).map_err(|error| format!("{DESCRIPTION} is damaged: {error}"))?;
    if description.format != ExportDescription::FORMAT {
        return Err("a newer strongroom made this export: use that to read it".to_owned());
    }
    let objects = listed(store, description.list).await?;
    Ok(Some(lacking_of(store, &objects).await))
}

impl Service {
    fn new(vault: ServiceVault) -> Self {
        Self {
            vault,
            is_away: AtomicBool::new(false),
            given: AtomicU64::new(0),
        }
    }

    fn is_asked(&self) -> bool {
        !self.is_away.load(Ordering::Relaxed)
    }

    fn failed(&self, error: &RemoteError) {
        self.is_away.store(true, Ordering::Relaxed);
        tracing::debug!(%error, "the service does not help out");
    }

    /// The blobs that the disk lacks, each with the reason.
    fn fetch(self: Arc<Self>, lost: Vec<Lost>) -> BoxStream<'static, Result<Fetched, RemoteError>> {
        let ids = lost.iter().map(|lost| lost.id).collect();
        let answers = match lost.is_empty() || !self.is_asked() {
            true => stream::empty().boxed(),
            false => self.vault.fetch(ids),
        };
        let state = (self, answers, lost);
        stream::unfold(state, |(service, mut answers, mut lost)| async move {
            while let Some(answer) = answers.next().await {
                match answer {
                    Ok(Fetched::Blob(id, bytes)) if strongroom_format::blob_id(&bytes) == id => {
                        let Some(place) = lost.iter().position(|lost| lost.id == id) else {
                            continue;
                        };
                        let Lost { why, is_damaged, .. } = lost.swap_remove(place);
                        service.given.fetch_add(1, Ordering::Relaxed);
                        let mut both = vec![Fetched::Blob(id, bytes)];
                        both.extend(is_damaged.then_some(Fetched::Remark(why)));
                        return Some((both, (service, answers, lost)));
                    }
                    // The disk's reason is told for it.
                    Ok(_) => {}
                    Err(error) => {
                        service.failed(&error);
                        break;
                    }
                }
            }
            let rest: Vec<Fetched> = lost.drain(..).map(|lost| Fetched::Lost(lost.id, lost.why)).collect();
            (!rest.is_empty()).then(|| (rest, (service, stream::empty().boxed(), lost)))
        })
        .flat_map(|answers| stream::iter(answers.into_iter().map(Ok)))
        .boxed()
    }
}

#[async_trait]
impl VaultReader for ExportedDisk {
    async fn point_object(&self, point: PointId) -> Result<Bytes, RemoteError> {
        let Some(object) = self.vault.points.get(&point) else {
            let why = format!("recovery point {point} is not on this disk: export it with `strongroom item export`");
            return Err(RemoteError::Failed(why));
        };
        read(&*self.vault.store, object, POINT_BYTES_MAX as u64)
            .await
            .map_err(RemoteError::Failed)
    }

    /// From the disk; then what could not be had there, from the service.
    fn fetch(&self, ids: Vec<BlobId>) -> BoxStream<'static, Result<Fetched, RemoteError>> {
        let absent: HashSet<BlobId> = ids.iter().copied().filter(|id| !self.vault.has(id)).collect();
        let state = Some((self.vault.fetch(ids), Vec::new(), self.service.clone(), absent));
        stream::unfold(state, |state| async move {
            let (mut blobs, mut lost, service, absent) = state?;
            while let Some(answer) = blobs.next().await {
                match answer {
                    Ok(Fetched::Lost(id, why)) => lost.push(Lost {
                        id,
                        why,
                        is_damaged: !absent.contains(&id),
                    }),
                    answer => return Some((stream::iter([answer]).boxed(), Some((blobs, lost, service, absent)))),
                }
            }
            Some((service.fetch(lost), None))
        })
        .flatten()
        .boxed()
    }

    async fn scrub_point(&self, point: PointId) -> Result<Vec<DamagedObject>, RemoteError> {
        self.check_point(point).await
    }

    async fn check_point(&self, _point: PointId) -> Result<Vec<DamagedObject>, RemoteError> {
        Ok(self.damaged.clone())
    }
}
