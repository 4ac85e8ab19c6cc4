//! The blobs of a repository: found, read, opened, decompressed, checked.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use crate::cipher::OVERHEAD;
use crate::error::ResticError;
use crate::id::Id;
use crate::index::{BlobKind, Index, IndexBuilder, Located};
use crate::pack::read_header;
use crate::repository::{Repository, decompress};

/// No part of a file is longer: restic cuts at 8 MiB, others a little later.
const DATA_BYTES_MAX: u32 = 64 << 20;
/// No folder's list is longer: a million names.
const TREE_BYTES_MAX: u32 = 512 << 20;
/// So many packs are open at once.
const OPEN_PACKS: usize = 8;
/// restic cuts zeros into pieces of this size, the smallest it makes.
const ZEROS_BYTES: u32 = 512 << 10;

/// Everything that lies in the packs of a repository. Memory is 32 bytes for each pack, and what is being read.
pub struct Blobs {
    repository: Repository,
    index: Index,
    packs: Vec<Id>,
    open: Mutex<Vec<(u32, Arc<File>)>>,
    zeros: Id,
    remarks: Vec<String>,
}

#[derive(Deserialize)]
struct IndexFile {
    packs: Vec<IndexedPack>,
}

#[derive(Deserialize)]
struct IndexedPack {
    id: Id,
    blobs: Vec<IndexedBlob>,
}

#[derive(Deserialize)]
struct IndexedBlob {
    id: Id,
    #[serde(rename = "type")]
    kind: IndexedKind,
    offset: u32,
    length: u32,
    #[serde(default)]
    uncompressed_length: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum IndexedKind {
    Data,
    Tree,
}

impl Blobs {
    /// Finds out what is where: from the index and, of packs that it does not know, from their own headers. What that
    /// takes lies in a file without a name in `scratch`.
    ///
    /// # Errors
    /// If the packs cannot be listed or `scratch` cannot be written to. Damage is a remark.
    pub fn load(repository: Repository, scratch: &Path) -> Result<Self, ResticError> {
        let failed = || ResticError::io("write to", scratch);
        let mut builder = IndexBuilder::new(scratch).map_err(failed())?;
        let packs = packs(&repository)?;
        let numbers: HashMap<Id, u32> = (0..).zip(&packs).map(|(number, id)| (*id, number)).collect();
        let mut is_known = vec![false; packs.len()];
        let mut remarks = Vec::new();
        for id in repository.list("index")? {
            let file: IndexFile = match repository.load("index", id) {
                Ok(file) => file,
                Err(error) => {
                    remarks.push(format!("{error}; its packs are asked themselves"));
                    continue;
                }
            };
            // Packs that are gone: an index that a later one has replaced still speaks of them.
            let there = file
                .packs
                .iter()
                .filter_map(|pack| Some((*numbers.get(&pack.id)?, pack)));
            for (number, pack) in there {
                is_known[number as usize] = true;
                let blobs = pack.blobs.iter().map(|blob| located(number, blob));
                blobs
                    .into_iter()
                    .try_for_each(|blob| builder.push(blob))
                    .map_err(failed())?;
            }
        }
        for (number, id) in (0..).zip(&packs).filter(|(number, _)| !is_known[*number as usize]) {
            match read_header(repository.keys(), number, &pack_path(&repository, id)) {
                Ok(blobs) => blobs
                    .into_iter()
                    .try_for_each(|blob| builder.push(blob))
                    .map_err(failed())?,
                Err(error) => remarks.push(error.to_string()),
            }
        }
        Ok(Self {
            index: builder.finish().map_err(failed())?,
            repository,
            packs,
            open: Mutex::default(),
            zeros: Id::of(&vec![0; ZEROS_BYTES as usize]),
            remarks,
        })
    }

    /// What is wrong with index files and packs, as far as it has shown.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Whether this is a piece of zeros, as restic cuts long stretches of them.
    pub(crate) fn is_zeros(&self, id: &Id) -> bool {
        *id == self.zeros
    }

    /// How long a part of a file is.
    pub(crate) fn length(&self, id: &Id) -> Result<u64, ResticError> {
        if self.is_zeros(id) {
            return Ok(u64::from(ZEROS_BYTES));
        }
        let places = self.find(BlobKind::Data, id)?;
        Ok(u64::from(plain_length(&places[0])))
    }

    /// The contents of a blob. If it lies in several packs, one that is whole suffices.
    pub(crate) fn read(&self, kind: BlobKind, id: &Id) -> Result<Vec<u8>, ResticError> {
        let mut failed = None;
        for place in self.find(kind, id)? {
            match self.read_at(&place) {
                Ok(contents) => return Ok(contents),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or(ResticError::NoBlob(*id)))
    }

    /// At least one place.
    fn find(&self, kind: BlobKind, id: &Id) -> Result<Vec<Located>, ResticError> {
        let found = self.index.find(kind, id);
        let places = found.map_err(ResticError::io("read", "the sorted index"))?;
        match places.is_empty() {
            true => Err(ResticError::NoBlob(*id)),
            false => Ok(places),
        }
    }

    fn read_at(&self, place: &Located) -> Result<Vec<u8>, ResticError> {
        let path = self.path(place.pack);
        let damaged = |why: String| ResticError::damaged(format!("blob {} in pack {}", place.id, path.display()), why);
        let most = match place.kind {
            BlobKind::Data => DATA_BYTES_MAX,
            BlobKind::Tree => TREE_BYTES_MAX,
        };
        let plain_length = plain_length(place);
        if plain_length > most || place.length > most.saturating_add(OVERHEAD as u32) {
            return Err(damaged("it is longer than any that restic makes".to_owned()));
        }
        let file = self.pack(place.pack)?;
        let mut sealed = vec![0; place.length as usize];
        let read = file.read_exact_at(&mut sealed, u64::from(place.offset));
        read.map_err(|error| damaged(format!("cannot read it: {error}")))?;
        let opened = self.repository.keys().open(sealed);
        let opened = opened.ok_or_else(|| damaged("the repository's key does not open it".to_owned()))?;
        let contents = match place.plain_length {
            None => opened,
            Some(length) => decompress(&opened, u64::from(length)).map_err(|error| damaged(error.to_string()))?,
        };
        match Id::of(&contents) == place.id {
            true => Ok(contents),
            false => Err(damaged("its contents are not what its name says".to_owned())),
        }
    }

    fn pack(&self, number: u32) -> Result<Arc<File>, ResticError> {
        let mut open = self.open.lock().expect("no thread panics with it");
        if let Some(at) = open.iter().position(|(pack, _)| *pack == number) {
            open[..=at].rotate_right(1);
            return Ok(open[0].1.clone());
        }
        let path = self.path(number);
        let file = Arc::new(File::open(&path).map_err(ResticError::io("open", path))?);
        open.truncate(OPEN_PACKS - 1);
        open.insert(0, (number, file.clone()));
        Ok(file)
    }

    fn path(&self, pack: u32) -> PathBuf {
        pack_path(&self.repository, &self.packs[pack as usize])
    }
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blobs")
            .field("repository", &self.repository)
            .finish_non_exhaustive()
    }
}

/// All packs, by what lies below `data`.
fn packs(repository: &Repository) -> Result<Vec<Id>, ResticError> {
    let data = repository.folder().join("data");
    let mut packs = Vec::new();
    for entry in fs::read_dir(&data).map_err(ResticError::io("list", &data))? {
        let name = entry.map_err(ResticError::io("list", &data))?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.len() == 2) {
            packs.extend(repository.list(&format!("data/{name}"))?);
        }
    }
    packs.sort_unstable();
    Ok(packs)
}

fn pack_path(repository: &Repository, pack: &Id) -> PathBuf {
    let name = pack.to_string();
    repository.folder().join("data").join(&name[..2]).join(name)
}

fn located(pack: u32, blob: &IndexedBlob) -> Located {
    Located {
        id: blob.id,
        kind: match blob.kind {
            IndexedKind::Data => BlobKind::Data,
            IndexedKind::Tree => BlobKind::Tree,
        },
        pack,
        offset: blob.offset,
        length: blob.length,
        plain_length: blob.uncompressed_length.filter(|length| *length > 0),
    }
}

fn plain_length(place: &Located) -> u32 {
    let sealed = place.length.saturating_sub(OVERHEAD as u32);
    place.plain_length.unwrap_or(sealed)
}
