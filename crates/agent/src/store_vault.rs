//! A vault's objects in a folder, read without a service: what `rescue` and exported disks have in common.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use strongroom_engine::remote::{DamagedObject, Fetched, RemoteError, VaultReader};
use strongroom_format::keyset::{KEY_SET_BYTES_MAX, KeySetObject};
use strongroom_format::pack::{
    BlobKind, FOOTER_LENGTH, PACK_BYTES_MAX, Toc, TocEntry, parse_toc, toc_range, verify_pack,
};
use strongroom_format::point::POINT_BYTES_MAX;
use strongroom_format::salvage::salvage;
use strongroom_model::{BlobId, PackId, PointId};
use strongroom_store::{Key, Store};

use crate::error::AgentError;

/// Where a blob lies.
#[derive(Clone, Copy, Debug)]
struct Location {
    pack: u32,
    length: u32,
    offset: u64,
}

/// The objects of one vault, with an index made from the packs' tables of contents.
pub(crate) struct StoreVault {
    pub(crate) store: Arc<dyn Store>,
    packs: Vec<String>,
    index: HashMap<BlobId, Location>,
    /// Those of the packs that hold pages.
    with_pages: Vec<u32>,
    /// The recovery points, and where they lie.
    pub(crate) points: HashMap<PointId, String>,
}

impl StoreVault {
    pub(crate) async fn index(store: Arc<dyn Store>, damaged: &mut Vec<DamagedObject>) -> Result<Self, AgentError> {
        let mut vault = Self {
            packs: Vec::new(),
            index: HashMap::new(),
            with_pages: Vec::new(),
            points: HashMap::new(),
            store,
        };
        for object in list_keys(&vault.store, "packs").await? {
            let entries = match read_toc(&*vault.store, &object).await {
                Ok((_, toc)) => toc.entries().to_vec(),
                Err(why) => {
                    let whole = read_without_toc(&vault.store, &object).await;
                    let why = format!("{why}; {} of its blobs were found all the same", whole.len());
                    damaged.push(DamagedObject {
                        object: object.clone(),
                        why,
                    });
                    whole
                }
            };
            vault.add_pack(object, &entries);
        }
        let points = list_keys(&vault.store, "points").await?.into_iter();
        vault.points = points
            .filter_map(|object| Some((object.rsplit('/').next()?.parse().ok()?, object)))
            .collect();
        Ok(vault)
    }

    /// One more pack, with what lies in it.
    pub(crate) fn add_pack(&mut self, object: String, entries: &[TocEntry]) {
        let pack = self.packs.len() as u32;
        self.packs.push(object);
        if entries.iter().any(|entry| entry.kind == BlobKind::Page) {
            self.with_pages.push(pack);
        }
        self.index.extend(entries.iter().map(|entry| {
            let location = Location {
                pack,
                offset: entry.offset,
                length: entry.length,
            };
            (entry.id, location)
        }));
    }

    /// Reads the packs that hold pages, and tells which of them are not what their names say.
    pub(crate) async fn damaged_pages(&self) -> Vec<DamagedObject> {
        let mut damaged = Vec::new();
        for pack in &self.with_pages {
            let object = &self.packs[*pack as usize];
            if let Err(why) = check(&*self.store, object).await {
                let object = object.clone();
                damaged.push(DamagedObject { object, why });
            }
        }
        damaged
    }

    /// Whether a pack has the blob.
    pub(crate) fn has(&self, id: &BlobId) -> bool {
        self.index.contains_key(id)
    }
}

/// What is wrong with a pack, if anything is.
async fn check(store: &dyn Store, object: &str) -> Result<(), String> {
    let bytes = read(store, object, PACK_BYTES_MAX as u64).await?;
    let checked = verify_pack(pack_name(object)?, &bytes);
    checked.map(drop).map_err(|error| error.to_string())
}

fn pack_name(object: &str) -> Result<PackId, String> {
    let name = object.rsplit('/').next().unwrap_or_default();
    name.parse().map_err(|_| "its name is none of a pack".to_owned())
}

/// The name of a pack, and its table of contents; or what is wrong with it.
pub(crate) async fn read_toc(store: &dyn Store, object: &str) -> Result<(PackId, Toc), String> {
    let name = pack_name(object)?;
    let key = Key::new(object).map_err(|error| error.to_string())?;
    let size = store.size(&key).await.map_err(|error| error.to_string())?;
    if size > PACK_BYTES_MAX as u64 || size < FOOTER_LENGTH as u64 {
        return Err("it does not have the size of a pack".to_owned());
    }
    let footer = store
        .get_range(&key, size - FOOTER_LENGTH as u64..size)
        .await
        .map_err(|error| error.to_string())?;
    let footer = footer[..].try_into().map_err(|_| "it is cut short".to_owned())?;
    let range = toc_range(size, footer).map_err(|error| error.to_string())?;
    let toc = store.get_range(&key, range).await.map_err(|error| error.to_string())?;
    let toc = parse_toc(name, size, &toc).map_err(|error| error.to_string())?;
    Ok((name, toc))
}

/// The whole blobs of a pack whose table of contents is damaged.
async fn read_without_toc(store: &Arc<dyn Store>, object: &str) -> Vec<TocEntry> {
    let Ok(key) = Key::new(object) else { return Vec::new() };
    match store.size(&key).await {
        Ok(size) if size <= PACK_BYTES_MAX as u64 => {}
        _ => return Vec::new(),
    }
    store
        .get(&key)
        .await
        .map_or_else(|_| Vec::new(), |bytes| salvage(&bytes))
}

/// The key sets of a vault, oldest first.
pub(crate) async fn read_key_sets(
    store: &Arc<dyn Store>,
    damaged: &mut Vec<DamagedObject>,
) -> Result<Vec<KeySetObject>, AgentError> {
    let mut key_sets = Vec::new();
    for object in list_keys(store, "keys").await? {
        let bytes = read(&**store, &object, KEY_SET_BYTES_MAX as u64).await;
        let decoded = bytes.and_then(|bytes| KeySetObject::decode(&bytes).map_err(|error| error.to_string()));
        match decoded {
            Err(why) => damaged.push(DamagedObject { object, why }),
            Ok(key_set) => key_sets.push(key_set),
        }
    }
    key_sets.sort_by_key(|key_set| key_set.created);
    Ok(key_sets)
}

async fn list_keys(store: &Arc<dyn Store>, prefix: &str) -> Result<Vec<String>, AgentError> {
    let listed = store
        .list(prefix)
        .await
        .map_err(|error| AgentError::Store(error.to_string()))?;
    Ok(listed
        .into_iter()
        .map(|listed| listed.key.as_str().to_owned())
        .collect())
}

/// A whole object, if it is no longer than it can be.
pub(crate) async fn read(store: &dyn Store, object: &str, bytes_max: u64) -> Result<Bytes, String> {
    let key = Key::new(object).map_err(|error| error.to_string())?;
    let size = store.size(&key).await.map_err(|error| error.to_string())?;
    if size > bytes_max {
        return Err(format!("it has {size} bytes, more than it can have"));
    }
    store.get(&key).await.map_err(|error| error.to_string())
}

#[async_trait]
impl VaultReader for StoreVault {
    async fn point_object(&self, point: PointId) -> Result<Bytes, RemoteError> {
        let object = self
            .points
            .get(&point)
            .ok_or_else(|| RemoteError::Failed(format!("there is no recovery point {point}")))?;
        read(&*self.store, object, POINT_BYTES_MAX as u64)
            .await
            .map_err(RemoteError::Failed)
    }

    fn fetch(&self, ids: Vec<BlobId>) -> BoxStream<'static, Result<Fetched, RemoteError>> {
        let mut lost = Vec::new();
        let mut found = Vec::new();
        for id in ids {
            match self.index.get(&id) {
                Some(location) => found.push((id, *location)),
                None => lost.push(Ok(Fetched::Lost(id, format!("no readable pack holds blob {id}")))),
            }
        }
        found.sort_by_key(|(_, location)| (location.pack, location.offset));
        let packs: Vec<(BlobId, Location, String)> = found
            .into_iter()
            .map(|(id, location)| (id, location, self.packs[location.pack as usize].clone()))
            .collect();
        let store = self.store.clone();
        let blobs = stream::iter(packs).then(move |(id, location, pack)| {
            let store = store.clone();
            async move { Ok(read_blob(&store, id, location, &pack).await) }
        });
        stream::iter(lost).chain(blobs).boxed()
    }

    async fn scrub_point(&self, _point: PointId) -> Result<Vec<DamagedObject>, RemoteError> {
        Ok(Vec::new())
    }

    async fn check_point(&self, _point: PointId) -> Result<Vec<DamagedObject>, RemoteError> {
        Ok(Vec::new())
    }
}

async fn read_blob(store: &Arc<dyn Store>, id: BlobId, location: Location, pack: &str) -> Fetched {
    let range = location.offset..location.offset + u64::from(location.length);
    let read = match Key::new(pack) {
        Ok(key) => store.get_range(&key, range).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok(bytes) if strongroom_format::blob_id(&bytes) == id => Fetched::Blob(id, bytes),
        Ok(_) => Fetched::Lost(id, format!("{pack} is damaged: blob {id} in it does not have its hash")),
        Err(why) => Fetched::Lost(id, why),
    }
}
