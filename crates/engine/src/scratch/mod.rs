//! The scratch folder (the cache): the pages of the last recovery point, and which contents the vault has.
//!
//! Nothing here is needed. Each file carries checksums; whatever is damaged, missing or of another recovery point than
//! the vault's newest counts as absent, and is filled again from the vault ([`crate::resync`]).

mod last;
mod map;
mod place;
mod segment;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use strongroom_model::Digest;

pub use last::{LastPoint, PageLog, PageLogReader, Unsure};
pub use map::{FingerprintMap, Known, Placed};

use crate::error::EngineError;

/// An open scratch folder. One process at a time: it is locked while this lives.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Opens the folder, making it if needed, and locks it. Refuses one that is not this user's alone, or not on a disk of
    /// this machine.
    pub fn open(root: &Path) -> Result<Self, EngineError> {
        let scratch = |action| {
            move |source| EngineError::Scratch {
                action,
                path: root.to_owned(),
                source,
            }
        };
        make_private(root).map_err(scratch("make"))?;
        place::check_place(root)?;
        let lock = File::create(root.join("lock")).map_err(scratch("write to"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                root: root.to_owned(),
                _lock: lock,
            }),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Err(EngineError::Busy),
            Err(error) => Err(scratch("lock")(error.into())),
        }
    }

    /// What contents the vault has, as far as this machine knows.
    pub fn contents(&self) -> Result<FingerprintMap, EngineError> {
        self.map("contents")
    }

    /// What pages the vault has, as far as this machine knows.
    pub fn pages(&self) -> Result<FingerprintMap, EngineError> {
        self.map("pages")
    }

    /// The last recovery point, if its description is here and whole.
    pub fn last(&self) -> Option<LastPoint> {
        LastPoint::load(&self.root)
    }

    /// Begins to write the leaf pages of the next recovery point.
    pub fn new_page_log(&self) -> Result<PageLog, EngineError> {
        PageLog::create(&self.root).map_err(|source| self.failed("write to", source))
    }

    /// Keeps `log` as the pages of `last`, instead of those before.
    pub fn keep(&self, log: PageLog, last: &LastPoint) -> Result<(), EngineError> {
        log.finish(&self.root, last)
            .map_err(|source| self.failed("write to", source))
    }

    /// Takes note that the vault's newest point is another one now, made by this machine from something else: what is
    /// here stays true of the machine's own files. Without it the next run reads the newest point's pages instead.
    pub fn follow(&self, before: Digest, now: Digest) -> Result<(), EngineError> {
        match self.last().filter(|last| last.digest == before) {
            Some(last) => last
                .follow(&self.root, now)
                .map_err(|source| self.failed("write to", source)),
            None => Ok(()),
        }
    }

    /// Removes the folder and all that is in it.
    pub fn discard(&self) -> Result<(), EngineError> {
        fs::remove_dir_all(&self.root).map_err(|source| self.failed("remove", source))
    }

    /// Forgets everything; the next run asks the vault.
    pub fn clear(&self) -> Result<(), EngineError> {
        LastPoint::remove(&self.root);
        for map in ["contents", "pages"] {
            match fs::remove_dir_all(self.root.join(map)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.failed("clear", error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn map(&self, name: &str) -> Result<FingerprintMap, EngineError> {
        let folder = self.root.join(name);
        make_private(&folder)
            .and_then(|()| FingerprintMap::open(&folder))
            .map_err(|source| self.failed("read", source))
    }

    pub(crate) fn failed(&self, action: &'static str, source: io::Error) -> EngineError {
        EngineError::Scratch {
            action,
            path: self.root.clone(),
            source,
        }
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
