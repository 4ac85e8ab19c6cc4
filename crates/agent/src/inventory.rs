//! The list of a disk's objects, one a line with its size: by it a copy that is not whole is noticed.

use strongroom_engine::remote::DamagedObject;
use strongroom_model::Digest;
use strongroom_store::{Key, Store, StoreError};

use crate::store_vault::read;

/// The list's own name.
pub(crate) const OBJECTS: &str = "objects.list";
/// No list of objects is longer: packs of 40 TiB.
const LIST_BYTES_MAX: u64 = 256 << 20;

/// What lies on a disk.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// The list.
    pub(crate) text: String,
    /// How many objects it has.
    pub(crate) objects: u64,
    /// How many bytes they have.
    pub(crate) bytes: u64,
}

impl Inventory {
    /// Lists what lies in these folders.
    pub(crate) async fn take(store: &dyn Store, folders: &[&str]) -> Result<Self, StoreError> {
        let mut inventory = Self {
            text: String::new(),
            objects: 0,
            bytes: 0,
        };
        for folder in folders {
            for object in store.list(folder).await? {
                inventory.add(object.key.as_str(), object.size);
            }
        }
        Ok(inventory)
    }

    /// One more object.
    pub(crate) fn add(&mut self, name: &str, size: u64) {
        self.text.push_str(&format!("{name} {size}\n"));
        self.objects += 1;
        self.bytes += size;
    }

    /// BLAKE3 of the list, which the disk's description has.
    pub(crate) fn digest(&self) -> Digest {
        digest(self.text.as_bytes())
    }
}

fn digest(list: &[u8]) -> Digest {
    Digest::from_bytes(*blake3::hash(list).as_bytes())
}

/// Names and sizes of the list, if it is the one with this digest.
pub(crate) async fn listed(store: &dyn Store, expected: Digest) -> Result<Vec<(String, u64)>, String> {
    let list = read(store, OBJECTS, LIST_BYTES_MAX).await?;
    if digest(&list) != expected {
        return Err(format!("{OBJECTS} is damaged: it is not what was written"));
    }
    parse(&list).ok_or_else(|| format!("{OBJECTS} is damaged"))
}

fn parse(list: &[u8]) -> Option<Vec<(String, u64)>> {
    let lines = str::from_utf8(list).ok()?.lines();
    let line = |line: &str| {
        let (name, size) = line.split_once(' ')?;
        Some((name.to_owned(), size.parse().ok()?))
    };
    lines.map(line).collect()
}

/// Those of the objects that are not there, or have another size.
pub(crate) async fn lacking(store: &dyn Store, objects: &[(String, u64)]) -> Vec<DamagedObject> {
    let mut lacking = Vec::new();
    for (name, size) in objects {
        let found = match Key::new(name) {
            Ok(key) => store.size(&key).await.map_err(|_| "is missing".to_owned()),
            Err(_) => Err("is no name of an object".to_owned()),
        };
        let why = match found {
            Ok(found) if found == *size => continue,
            Ok(found) => format!("has {found} bytes instead of {size}"),
            Err(why) => why,
        };
        let object = name.clone();
        lacking.push(DamagedObject { object, why });
    }
    lacking
}
