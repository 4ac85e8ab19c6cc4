//! Reading a vault's objects with nothing but the object store and a passphrase or recovery key: no service, no database.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_engine::listing::{Listed, list};
use strongroom_engine::remote::{DamagedObject, VaultReader};
use strongroom_engine::restore::{RestoreOptions, RestoreParts, RestoreReport, restore};
use strongroom_engine::{OpenPoint, Progress};
use strongroom_format::point::{POINT_BYTES_MAX, PointBody, PointHeader, parse_point};
use strongroom_format::vaultfile::{VAULT_FILE_BYTES_MAX, VaultFile};
use strongroom_model::{KeySetId, PointId};
use strongroom_seal::DataKeys;
use strongroom_store::{Disk, Store};

use crate::error::AgentError;
use crate::exported;
use crate::machine::{match_point, workers};
use crate::store_vault::{StoreVault, read, read_key_sets};
use crate::unlock::{Opener, Unlock};

/// A vault, read from its objects alone.
pub struct Rescue {
    vault: Arc<StoreVault>,
    keys: HashMap<KeySetId, Arc<DataKeys>>,
    points: Vec<RescuePoint>,
    damaged: Vec<DamagedObject>,
}

/// A recovery point in the store.
#[derive(Clone, Debug)]
pub struct RescuePoint {
    /// What everyone may know.
    pub header: PointHeader,
    /// The machine that made it; `None` if the passphrase does not open it.
    pub machine: Option<String>,
}

impl Rescue {
    /// Opens the vault at `location` (see [`find_vault`]).
    pub async fn open(location: &str, unlock: &Unlock) -> Result<Self, AgentError> {
        let folder = find_vault(location)?;
        let disk = Disk::open_read_only(&folder).map_err(|error| AgentError::Store(error.to_string()))?;
        let store: Arc<dyn Store> = Arc::new(disk);
        let mut damaged = Vec::new();
        check_vault_file(&store, &mut damaged).await;
        damaged.extend(exported::lacking(&*store).await);
        let mut keyring = Keyring::open(&store, unlock, &mut damaged).await?;
        let unopened = |readable, damaged: &[DamagedObject]| match (readable, damaged.first()) {
            (0, Some(damage)) => {
                AgentError::KeySet(format!("no key set can be read: {}: {}", damage.object, damage.why))
            }
            (0, None) => AgentError::KeySet(format!(
                "{} holds no key sets: is it the folder of a vault?",
                folder.display()
            )),
            (count, _) => unlock.wrong(count),
        };
        if keyring.opened.is_empty() {
            return Err(unopened(keyring.readable, &damaged));
        }
        let vault = Arc::new(StoreVault::index(store, &mut damaged).await?);
        let points = read_points(&vault, &mut keyring, &mut damaged).await?;
        if keyring.sets.is_empty() {
            return Err(unopened(keyring.readable, &damaged));
        }
        let keys = keyring.sets;
        Ok(Self {
            vault,
            keys,
            points,
            damaged,
        })
    }

    /// The recovery points, oldest first.
    pub fn points(&self) -> &[RescuePoint] {
        &self.points
    }

    /// Objects that could not be read on the way.
    pub fn damaged(&self) -> &[DamagedObject] {
        &self.damaged
    }

    /// The point that a person means: an id, a unique beginning of one, or `latest`.
    pub async fn open_point(&self, text: &str) -> Result<OpenPoint, AgentError> {
        let readable = || self.points.iter().filter(|point| point.machine.is_some());
        let id = match text {
            "latest" => readable().next_back().map(|point| point.header.point).ok_or_else(|| {
                AgentError::NoSuchPoint("the passphrase opens no recovery point of this vault".to_owned())
            })?,
            text => match_point(text, self.points.iter().map(|point| point.header.point))?,
        };
        let header = &self
            .points
            .iter()
            .find(|point| point.header.point == id)
            .expect("it was matched")
            .header;
        let keys = self.keys(header)?;
        let reader: Arc<dyn VaultReader> = self.vault.clone();
        Ok(OpenPoint::open(&reader, &keys, id).await?)
    }

    /// Lists what is in a point.
    pub async fn list(
        &self,
        point: &OpenPoint,
        paths: Vec<Vec<u8>>,
        each: impl FnMut(Listed),
    ) -> Result<(), AgentError> {
        let reader: Arc<dyn VaultReader> = self.vault.clone();
        Ok(list(&reader, &*self.keys(&point.header)?, point, paths, each).await?)
    }

    /// Restores a point.
    pub async fn restore(
        &self,
        point: &OpenPoint,
        options: &RestoreOptions,
        progress: Progress,
    ) -> Result<RestoreReport, AgentError> {
        let parts = RestoreParts {
            reader: self.vault.clone(),
            keys: self.keys(&point.header)?,
            progress,
            workers: workers(),
        };
        Ok(restore(&parts, point, options).await?)
    }

    fn keys(&self, header: &PointHeader) -> Result<Arc<DataKeys>, AgentError> {
        let why = || format!("recovery point {} was made with another passphrase", header.point);
        self.keys
            .get(&header.key_set)
            .cloned()
            .ok_or_else(|| AgentError::KeySet(why()))
    }
}

/// The folder of a vault: `location` itself, or the only one below it if it is the data folder of a service. A `file://`
/// URL is taken too.
pub fn find_vault(location: &str) -> Result<PathBuf, AgentError> {
    let path = location.strip_prefix("file://").unwrap_or(location);
    if path.contains("://") {
        return Err(AgentError::Store(format!(
            "\"{location}\": only folders and file:// addresses can be read so far"
        )));
    }
    let root = Path::new(path);
    let mut found = Vec::new();
    for pattern in [root.to_owned(), root.join("objects"), root.to_owned()] {
        collect_vaults(&pattern, 2, &mut found);
        if !found.is_empty() {
            break;
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(AgentError::Store(format!(
            "there is no vault in {}: name the folder that holds vault.json, or the data folder of the service",
            root.display()
        ))),
        _ => {
            let list: Vec<String> = found.iter().map(|folder| folder.display().to_string()).collect();
            Err(AgentError::Store(format!(
                "there are several vaults; name the folder of one: {}",
                list.join(", ")
            )))
        }
    }
}

fn collect_vaults(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if folder.join("vault.json").exists() || folder.join("keys").is_dir() {
        return found.push(folder.to_owned());
    }
    let folders = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|_| depth > 0);
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
        .iter()
        .for_each(|folder| collect_vaults(folder, depth - 1, found));
}

async fn check_vault_file(store: &Arc<dyn Store>, damaged: &mut Vec<DamagedObject>) {
    let problem = match read(&**store, "vault.json", VAULT_FILE_BYTES_MAX as u64).await {
        Ok(bytes) => VaultFile::decode(&bytes).err().map(|error| error.to_string()),
        Err(why) => Some(why),
    };
    damaged.extend(problem.map(|why| DamagedObject {
        object: "vault.json".to_owned(),
        why,
    }));
}

/// The keys that something opens.
struct Keyring {
    /// All of them.
    opened: Vec<Arc<DataKeys>>,
    /// Those of the key sets that are known to hold them.
    sets: HashMap<KeySetId, Arc<DataKeys>>,
    /// How many key sets can be read.
    readable: usize,
}

impl Keyring {
    async fn open(
        store: &Arc<dyn Store>,
        unlock: &Unlock,
        damaged: &mut Vec<DamagedObject>,
    ) -> Result<Self, AgentError> {
        let objects = read_key_sets(store, damaged).await?;
        let mut keyring = Self {
            opened: Vec::new(),
            sets: HashMap::new(),
            readable: objects.len(),
        };
        let mut opener = Opener::new(unlock);
        for object in &objects {
            if let Some(master) = opener.open(object)? {
                // Another passphrase was the key's before, or is it since.
                let its = objects.iter().filter(|other| other.verifier == object.verifier);
                keyring.add(master.keys(), its.map(|other| other.id));
            }
        }
        // With the key itself, its key set may be lost.
        if let (Unlock::RecoveryKey(master), true) = (unlock, keyring.opened.is_empty()) {
            keyring.add(master.keys(), []);
        }
        Ok(keyring)
    }

    fn add(&mut self, keys: DataKeys, sets: impl IntoIterator<Item = KeySetId>) {
        let keys = Arc::new(keys);
        self.sets.extend(sets.into_iter().map(|set| (set, keys.clone())));
        self.opened.push(keys);
    }

    /// The body of a recovery point; `None` if it was made with other keys.
    fn read(&mut self, header: &PointHeader, bytes: &[u8]) -> Result<Option<PointBody>, String> {
        if let Some(keys) = self.sets.get(&header.key_set) {
            return Ok(Some(OpenPoint::from_object(bytes, keys)?.body));
        }
        for keys in &self.opened {
            if let Ok(open) = OpenPoint::from_object(bytes, keys) {
                self.sets.insert(header.key_set, keys.clone());
                return Ok(Some(open.body));
            }
        }
        Ok(None)
    }
}

async fn read_points(
    vault: &StoreVault,
    keyring: &mut Keyring,
    damaged: &mut Vec<DamagedObject>,
) -> Result<Vec<RescuePoint>, AgentError> {
    let mut points = Vec::new();
    for (id, object) in &vault.points {
        match read(&*vault.store, object, POINT_BYTES_MAX as u64)
            .await
            .and_then(|bytes| point_of(*id, &bytes, keyring))
        {
            Ok(point) => points.push(point),
            Err(why) => damaged.push(DamagedObject {
                object: object.clone(),
                why,
            }),
        }
    }
    points.sort_by_key(|point| (point.header.created, point.header.point));
    Ok(points)
}

fn point_of(id: PointId, bytes: &[u8], keyring: &mut Keyring) -> Result<RescuePoint, String> {
    let header = parse_point(bytes).map_err(|error| error.to_string())?.header;
    if header.point != id {
        return Err(format!("it holds recovery point {} instead", header.point));
    }
    let machine = keyring.read(&header, bytes)?.map(|body| body.machine);
    Ok(RescuePoint { header, machine })
}
