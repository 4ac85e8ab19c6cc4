//! Where the scratch folder may be, how much room it needs, and how it moves (SEMANTICS.md §3.6, in Linux terms).

use std::fs::{self, DirEntry, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use rustix::process::geteuid;
use strongroom_sources::files::volume_to_allow;

use super::{LastPoint, Scratch, make_private};
use crate::error::EngineError;

/// Room for what one name takes: its records in the pages of the last recovery point, and its small contents in the map.
/// Twice what bench/README.md measured, for longer names and attributes.
const ENTRY_BYTES: u64 = 150;

/// Room for each GiB of large files: a fingerprint for every block of a disk image in the pages and in the map, rounded up from
/// what bench/README.md measured. Other files need less.
const GIB_BYTES: u64 = 1 << 20;

/// While a backup ends, the old pages and the new ones are there, and a map and what it is merged into.
const COPIES: u64 = 2;

/// What there is in any case.
const BASE_BYTES: u64 = 1 << 20;

/// Sub-folders: the maps.
const MAPS: [&str; 2] = ["contents", "pages"];

impl Scratch {
    /// How many bytes there are too few for a backup of so many names and bytes, if there are.
    pub fn lacks(&self, entries: u64, bytes: u64) -> Result<Option<u64>, EngineError> {
        let system = statvfs(&self.root).map_err(|error| self.failed("look at", error.into()))?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let present = files(&self.root).map_err(|error| self.failed("look at", error))?;
        let present: u64 = present.iter().map(|(_, length)| length).sum();
        let lacking = needed(entries, bytes).saturating_sub(free.saturating_add(present));
        Ok((lacking > 0).then_some(lacking))
    }

    /// How many names and bytes the last recovery point has, as far as is known here.
    pub fn last_size(&self) -> Option<(u64, u64)> {
        self.last().map(|last| (last.entries, last.bytes))
    }

    /// Begins one that knows nothing, in a folder that is empty or holds what an earlier attempt left.
    pub fn begin(root: &Path) -> Result<Scratch, EngineError> {
        refuse_foreign(root)?;
        let scratch = Scratch::open(root)?;
        scratch.clear()?;
        Ok(scratch)
    }

    /// Copies it to another folder, which is empty or holds what an earlier attempt left. The copy counts when all of it is
    /// there; this one stays as it is.
    pub fn copy_to(&self, root: &Path) -> Result<Scratch, EngineError> {
        if root.starts_with(&self.root) || self.root.starts_with(root) {
            let why = "it lies in the present one, or the present one in it: choose a folder beside it";
            return Err(unusable(root, why));
        }
        let copy = Scratch::begin(root)?;
        let present = files(&self.root).map_err(|error| self.failed("read", error))?;
        let written = |error| copy.failed("write to", error);
        for map in MAPS {
            make_private(&copy.root.join(map)).map_err(written)?;
        }
        for (name, _) in present {
            copy_file(&self.root.join(&name), &copy.root.join(&name)).map_err(written)?;
        }
        for folder in MAPS.iter().map(|map| copy.root.join(map)).chain([copy.root.clone()]) {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(written)?;
        }
        Ok(copy)
    }

    /// Removes what a scratch folder has in it, and the folder if there is nothing else. One that is not there is no failure.
    pub fn remove(root: &Path) -> Result<(), EngineError> {
        if !root.exists() {
            return Ok(());
        }
        let scratch = Scratch::open(root)?;
        scratch.clear()?;
        for name in ["lock", "pages.new", "last.new"] {
            let _there_may_be_none = fs::remove_file(root.join(name));
        }
        // What is not ours stays.
        let _is_empty = fs::remove_dir(root);
        Ok(())
    }
}

/// Whether a folder is one that only this user can write to, on a disk of this machine.
pub(super) fn check_place(root: &Path) -> Result<(), EngineError> {
    let meta = fs::symlink_metadata(root).map_err(|source| EngineError::Scratch {
        action: "look at",
        path: root.to_owned(),
        source,
    })?;
    if meta.is_symlink() {
        return Err(unusable(root, "it is a link: name the folder that it leads to"));
    }
    if meta.uid() != geteuid().as_raw() {
        let why = format!("it belongs to user {}, and not to the one who backs up", meta.uid());
        return Err(unusable(root, &why));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(unusable(root, "others may write to it: take that away with chmod go-w"));
    }
    match volume_to_allow(root) {
        Some(volume) => Err(unusable(
            root,
            &format!("it is on {volume}, and must be on a disk of this machine"),
        )),
        None => Ok(()),
    }
}

fn unusable(root: &Path, why: &str) -> EngineError {
    EngineError::ScratchPlace {
        path: root.to_owned(),
        why: why.to_owned(),
    }
}

/// A folder with anything but the files of a scratch folder in it is somebody's.
fn refuse_foreign(root: &Path) -> Result<(), EngineError> {
    let Ok(folder) = fs::read_dir(root) else { return Ok(()) };
    let is_ours = |entry: &DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        MAPS.contains(&&*name) || name == "lock" || name.starts_with("pages.") || name.starts_with("last.")
    };
    match folder.flatten().find(|entry| !is_ours(entry)) {
        None => Ok(()),
        Some(entry) => {
            let why = format!("it is not empty: {} is in it", entry.file_name().display());
            Err(unusable(root, &why))
        }
    }
}

/// The files that count, by their path below the folder, with their lengths; what describes the others comes last.
fn files(root: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for folder in MAPS.iter().map(Path::new).chain([Path::new("")]) {
        let listed = match fs::read_dir(root.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            listed => listed?,
        };
        for entry in listed {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_file() && entry.file_name() != "lock" {
                found.push((folder.join(entry.file_name()), meta.len()));
            }
        }
    }
    found.sort_by_key(|(name, _)| LastPoint::describes(name));
    Ok(found)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn needed(entries: u64, bytes: u64) -> u64 {
    let gibs = (bytes >> 30).saturating_add(1);
    let once = entries
        .saturating_mul(ENTRY_BYTES)
        .saturating_add(gibs.saturating_mul(GIB_BYTES));
    once.saturating_mul(COPIES).saturating_add(BASE_BYTES)
}
