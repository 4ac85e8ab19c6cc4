//! A repository in a local folder: its configuration, its keys and the small files beside the packs.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cipher::Keys;
use crate::error::ResticError;
use crate::id::Id;
use crate::keys::KeyFile;

/// No key, configuration, snapshot or index file is larger, also when decompressed. restic keeps index files below 8 MiB.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// So many keys are tried. A person has a handful.
const KEYS_MAX: usize = 256;
/// A file that begins with this is compressed; others are JSON as they are.
const COMPRESSED: u8 = 2;

/// A repository that a password has opened. Nothing is written to it.
pub struct Repository {
    folder: PathBuf,
    keys: Keys,
}

#[derive(Deserialize)]
struct Config {
    version: u32,
}

impl Repository {
    /// Opens the repository in this folder.
    ///
    /// # Errors
    /// If the folder is something else, the password opens nothing, or the format is newer than this program.
    pub fn open(folder: &Path, password: &[u8]) -> Result<Self, ResticError> {
        let missing = [
            ("config", "file config"),
            ("keys", "folder keys"),
            ("data", "folder data"),
        ]
        .into_iter()
        .find(|(name, _)| !folder.join(name).exists());
        if let Some((_, missing)) = missing {
            let folder = folder.to_owned();
            return Err(ResticError::NoRepository { folder, missing });
        }
        let repository = Self {
            folder: folder.to_owned(),
            keys: open_keys(folder, password)?,
        };
        let config: Config = repository.json("configuration", &folder.join("config"), None)?;
        match config.version {
            1 | 2 => Ok(repository),
            version => Err(ResticError::Version(version)),
        }
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The ids of the files in one of its folders. One that is not there is empty.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<Id>, ResticError> {
        list(&self.folder.join(folder))
    }

    /// Reads, checks, opens and parses one of the files that a folder lists.
    pub(crate) fn load<T: DeserializeOwned>(&self, folder: &'static str, id: Id) -> Result<T, ResticError> {
        let path = self.folder.join(folder).join(id.to_string());
        self.json(folder, &path, Some(id))
    }

    fn json<T: DeserializeOwned>(&self, what: &str, path: &Path, id: Option<Id>) -> Result<T, ResticError> {
        let damaged = |why: &str| ResticError::damaged(format!("{what} file {}", path.display()), why);
        let sealed = read(path)?;
        if id.is_some_and(|id| Id::of(&sealed) != id) {
            return Err(damaged("its contents are not what its name says"));
        }
        let opened = self.keys.open(sealed);
        let opened = opened.ok_or_else(|| damaged("the repository's key does not open it"))?;
        let plain = match opened.split_first() {
            Some((&COMPRESSED, rest)) => {
                decompress(rest, FILE_BYTES_MAX).map_err(|error| damaged(&error.to_string()))?
            }
            _ => opened,
        };
        serde_json::from_slice(&plain).map_err(|error| damaged(&error.to_string()))
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Decompresses what is at most so long when plain.
pub(crate) fn decompress(compressed: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
    decoder.take(most + 1).read_to_end(&mut plain)?;
    if plain.len() as u64 > most {
        return Err(io::Error::other("it is longer than it should be"));
    }
    Ok(plain)
}

/// Tries the password on one key after the other. A damaged one does not keep the others from being tried.
fn open_keys(folder: &Path, password: &[u8]) -> Result<Keys, ResticError> {
    let mut ids = list(&folder.join("keys"))?;
    ids.sort_unstable();
    ids.truncate(KEYS_MAX);
    let mut damaged = None;
    for id in &ids {
        let path = folder.join("keys").join(id.to_string());
        let opened = read(&path).and_then(|bytes| {
            let failed = |why: String| ResticError::damaged(format!("key file {}", path.display()), why);
            let file: KeyFile = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
            file.open(password).map_err(failed)
        });
        match opened {
            Ok(Some(keys)) => return Ok(keys),
            Ok(None) => {}
            Err(error) => damaged = Some(error),
        }
    }
    Err(damaged.unwrap_or(ResticError::WrongPassword(ids.len())))
}

fn list(folder: &Path) -> Result<Vec<Id>, ResticError> {
    let failed = || ResticError::io("list", folder);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed())?,
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed())?.file_name();
        // Other names are files that restic had not finished.
        ids.extend(name.to_str().and_then(|name| name.parse::<Id>().ok()));
    }
    Ok(ids)
}

fn read(path: &Path) -> Result<Vec<u8>, ResticError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(ResticError::io("open", path))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(ResticError::io("read", path))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ResticError::damaged(
            path.display(),
            "it is larger than any that restic makes",
        ));
    }
    Ok(bytes)
}
