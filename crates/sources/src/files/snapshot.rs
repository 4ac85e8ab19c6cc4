//! Snapshots of what is backed up: made, read, and always removed.
//!
//! A snapshot is of one subvolume of btrfs, and lies at the top of its file system. Whoever has them made keeps a note of
//! each ([`Keep`]), durably and before it exists; it is forgotten when the removal lasts. So whatever happens in between,
//! [`remove_left`] finds what was left, and touches nothing else.

mod btrfs;

use super::mounts::Mounts;
use super::selection::Selection;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use strongroom_model::SnapshotUse;

pub(super) use btrfs::SUBVOLUME_STUB;

/// What the names of all snapshots begin with that any machine has made.
const NAME: &str = "strongroom-snapshot-";

/// How many there may be at once. Each keeps two descriptors, and what its file system cannot free meanwhile.
const SNAPSHOTS_MAX: usize = 128;

const LISTABLE: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A snapshot that may exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotNote {
    /// The id of its file system.
    pub file_system: [u8; 16],
    /// Its name at the top of that.
    pub name: String,
}

/// Keeps the notes of all snapshots that may exist, durably, in place of those that it has kept before. Says why it cannot.
pub type Keep = Box<dyn Fn(&[SnapshotNote]) -> Result<(), String> + Send + Sync>;

/// The snapshots of one backup. They are removed with the last that reads from them.
pub struct Snapshots {
    using: SnapshotUse,
    ledger: Arc<Ledger>,
    made: Mutex<HashMap<SubvolumeId, Arc<Snapshot>>>,
}

/// A file system and the number of a subvolume in it.
type SubvolumeId = ([u8; 16], u64);

/// Why there is no snapshot of what was selected, though there must be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} cannot be read from a snapshot: {why}. Read it while it may change, with --snapshot auto, or select something else",
    path.display()
)]
pub struct SnapshotError {
    /// What was selected.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// How a volume that the walk comes to is read.
pub(super) enum Way {
    /// From a snapshot, in which this is the directory.
    Snapshot(Arc<Snapshot>, OwnedFd),
    /// Where it is, as it cannot change.
    ReadOnly,
    /// Where it is, while it may change; and why.
    Live(String),
}

/// A snapshot that can be read.
pub(super) struct Snapshot {
    root: OwnedFd,
    /// When it was made, by the clock that gives files their times.
    pub(super) moment: (i64, u32),
    made: Made,
}

/// A snapshot that exists. It is removed when this is dropped.
struct Made {
    note: SnapshotNote,
    /// The top of its file system.
    top: OwnedFd,
    ledger: Arc<Ledger>,
}

/// What may exist.
struct Ledger {
    names: String,
    keep: Keep,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    there: BTreeSet<SnapshotNote>,
    numbered: u64,
}

impl Snapshots {
    /// None yet. `owner` is whose they are, the same for all of a machine; `run` is this backup's own. `left` are those that
    /// could not be removed before.
    pub fn new(using: SnapshotUse, owner: &str, run: &str, left: Vec<SnapshotNote>, keep: Keep) -> Snapshots {
        let notes = Notes {
            there: left.into_iter().collect(),
            numbered: 0,
        };
        Snapshots {
            using,
            ledger: Arc::new(Ledger {
                names: format!("{}{run}-", names_of(owner)),
                keep,
                notes: Mutex::new(notes),
            }),
            made: Mutex::default(),
        }
    }

    /// Whether what has no snapshot is not to be read.
    pub(super) fn are_required(&self) -> bool {
        self.using == SnapshotUse::Always
    }

    /// Refuses a selected path of which there cannot be a snapshot, if there must be one. Before a backup begins.
    pub fn check(&self, selection: &Selection) -> Result<(), SnapshotError> {
        if !self.are_required() {
            return Ok(());
        }
        let mounts = Mounts::load();
        for path in selection.roots() {
            // What is not there is told by the walk.
            let folder = if path.is_dir() {
                Some(path.as_path())
            } else {
                path.parent()
            };
            let Some(Ok(folder)) = folder.map(|folder| openat(CWD, folder, LISTABLE, Mode::empty())) else {
                continue;
            };
            if let Err(why) = device(&folder, &mounts).and_then(top) {
                return Err(SnapshotError {
                    path: path.clone(),
                    why,
                });
            }
        }
        Ok(())
    }

    /// How to read the volume that a directory lies on.
    pub(super) fn way(&self, directory: &OwnedFd, inode: u64, mounts: &Mounts) -> Way {
        if self.using == SnapshotUse::Never {
            return Way::Live("no snapshot is wanted".to_owned());
        }
        self.try_way(directory, inode, mounts).unwrap_or_else(Way::Live)
    }

    fn try_way(&self, directory: &OwnedFd, inode: u64, mounts: &Mounts) -> Result<Way, String> {
        let device = device(directory, mounts)?;
        let subvolume = btrfs::subvolume(directory).map_err(unknown)?;
        if subvolume.is_read_only {
            return Ok(Way::ReadOnly);
        }
        let file_system = btrfs::file_system(directory).map_err(unknown)?;
        let id: SubvolumeId = (file_system, subvolume.id);
        let mut made = self.made.lock().expect("nobody panics with it");
        let snapshot = match made.get(&id) {
            Some(snapshot) => snapshot.clone(),
            None if made.len() >= SNAPSHOTS_MAX => {
                return Err(format!("there are {SNAPSHOTS_MAX} snapshots already"));
            }
            None => {
                let snapshot = Arc::new(Snapshot::make(&self.ledger, directory, file_system, device)?);
                made.insert(id, snapshot.clone());
                snapshot
            }
        };
        let inside = snapshot.open(directory, inode).map_err(|error| {
            let error = std::io::Error::from(error);
            format!("it was made while the snapshot was, and is not in it ({error})")
        })?;
        Ok(Way::Snapshot(snapshot, inside))
    }
}

impl Snapshot {
    /// Makes one of the subvolume that a directory lies in.
    fn make(ledger: &Arc<Ledger>, of: &OwnedFd, file_system: [u8; 16], device: &Path) -> Result<Snapshot, String> {
        let top = top(device)?;
        let note = ledger.announce(file_system)?;
        let name = c_string(&note.name);
        if let Err(error) = btrfs::make_snapshot(of, &top, &name) {
            ledger.forget(&note);
            return Err(impossible(error));
        }
        let opened = openat(&top, &name, LISTABLE, Mode::empty());
        let opened = opened.and_then(|root| Ok((btrfs::subvolume(&root)?.made, root)));
        let made = Made {
            note,
            top,
            ledger: ledger.clone(),
        };
        let (moment, root) = opened.map_err(impossible)?;
        Ok(Snapshot { root, moment, made })
    }

    /// Opens in it what `directory`, with this inode, was when it was made.
    fn open(&self, directory: &OwnedFd, inode: u64) -> Result<OwnedFd, Errno> {
        let path = btrfs::path_in_subvolume(directory, inode)?;
        let mut inside = openat(&self.root, c".", LISTABLE, Mode::empty())?;
        for component in path.as_bytes().split(|&byte| byte == b'/') {
            if !component.is_empty() {
                inside = openat(&inside, component, LISTABLE, Mode::empty())?;
            }
        }
        match super::meta::Meta::of_open(&inside)?.ino == inode {
            true => Ok(inside),
            false => Err(Errno::STALE),
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let removed = btrfs::remove_subvolume(&self.top, &c_string(&self.note.name));
        // If it cannot be removed now, its note stays, and the next start tries again.
        if removed.and_then(|()| btrfs::commit(&self.top)).is_ok() {
            self.ledger.forget(&self.note);
        }
    }
}

impl Ledger {
    /// Notes a snapshot that is to be made.
    fn announce(&self, file_system: [u8; 16]) -> Result<SnapshotNote, String> {
        let mut notes = self.notes();
        notes.numbered += 1;
        let note = SnapshotNote {
            file_system,
            name: format!("{}{}", self.names, notes.numbered),
        };
        notes.there.insert(note.clone());
        self.keep(&notes).inspect_err(|_| {
            notes.there.remove(&note);
        })?;
        Ok(note)
    }

    /// Forgets one that does not exist.
    fn forget(&self, note: &SnapshotNote) {
        let mut notes = self.notes();
        notes.there.remove(note);
        // If it stays noted, the next start finds that there is nothing to remove.
        let _ = self.keep(&notes);
    }

    fn keep(&self, notes: &Notes) -> Result<(), String> {
        let all: Vec<SnapshotNote> = notes.there.iter().cloned().collect();
        (self.keep)(&all)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("nobody panics with it")
    }
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots")
            .field("using", &self.using)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Snapshot").field(&self.made.note.name).finish()
    }
}

/// Removes snapshots of this owner that were left. Returns those that are left still, and why.
///
/// What has another's name, or is no read-only subvolume, is nothing of ours: it stays, and its note is dropped.
pub fn remove_left(owner: &str, notes: Vec<SnapshotNote>) -> Vec<(SnapshotNote, String)> {
    let ours = names_of(owner);
    let is_ours = |note: &SnapshotNote| note.name.starts_with(&ours) && !note.name.contains('/');
    let mounts = Mounts::load();
    let left = notes.into_iter().filter(is_ours).filter_map(|note| {
        let removed = remove(&note, &mounts);
        removed.err().map(|why| (note, why))
    });
    left.collect()
}

fn remove(note: &SnapshotNote, mounts: &Mounts) -> Result<(), String> {
    let device = mounts.of_type("btrfs").find_map(|mount| {
        let point = openat(CWD, &mount.point, LISTABLE, Mode::empty()).ok()?;
        let is_there = btrfs::file_system(&point).is_ok_and(|id| id == note.file_system);
        is_there.then_some(&mount.source)
    });
    let top = top(device.ok_or("its file system is not mounted")?)?;
    let name = c_string(&note.name);
    match openat(&top, &name, LISTABLE, Mode::empty()).and_then(btrfs::subvolume) {
        Err(Errno::NOENT) => {}
        Ok(subvolume) if subvolume.is_read_only => btrfs::remove_subvolume(&top, &name).map_err(impossible)?,
        Ok(_) | Err(Errno::NOTDIR | Errno::LOOP | Errno::NOTTY) => return Ok(()),
        Err(error) => return Err(impossible(error)),
    }
    btrfs::commit(&top).map_err(impossible)
}

/// Whether a directory that has this name and this inode is somebody's snapshot, or what another snapshot has in its place.
pub(super) fn is_snapshot(name: &[u8], inode: u64) -> bool {
    name.starts_with(NAME.as_bytes()) && [SUBVOLUME_STUB, btrfs::SUBVOLUME_ROOT].contains(&inode)
}

fn names_of(owner: &str) -> String {
    format!("{NAME}{owner}-")
}

fn c_string(name: &str) -> CString {
    CString::new(name).expect("names of snapshots have no NUL")
}

/// The device of the btrfs that a directory lies on.
fn device<'a>(directory: &OwnedFd, mounts: &'a Mounts) -> Result<&'a Path, String> {
    let mount = mounts.of(directory).ok_or("it is not known what is mounted there")?;
    match mount.file_system.as_str() {
        "btrfs" => Ok(&mount.source),
        other => Err(format!("{other} has no snapshots that this version could make")),
    }
}

fn top(device: &Path) -> Result<OwnedFd, String> {
    btrfs::mount_top(device).map_err(impossible)
}

fn impossible(error: Errno) -> String {
    match error {
        Errno::PERM | Errno::ACCESS => {
            "a snapshot needs root, or the capabilities CAP_SYS_ADMIN, CAP_DAC_OVERRIDE and CAP_FOWNER".to_owned()
        }
        Errno::ROFS => "its file system is mounted read-only".to_owned(),
        error => format!("btrfs says: {}", std::io::Error::from(error)),
    }
}

/// Why nothing is known of a subvolume. Who may not even list a directory has but a name of it, which is good for no question.
fn unknown(error: Errno) -> String {
    match error {
        Errno::BADF => impossible(Errno::ACCESS),
        error => format!(
            "btrfs does not say which subvolume it is: {}",
            std::io::Error::from(error)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{SnapshotNote, is_snapshot, remove_left};

    #[test]
    fn what_has_the_name_of_a_snapshot_is_one_only_as_a_subvolume() {
        for (name, inode, expected) in [
            ("strongroom-snapshot-m-r-1", 256, true),
            ("strongroom-snapshot-m-r-1", 2, true),
            ("strongroom-snapshot-m-r-1", 257, false),
            ("strongroom", 256, false),
        ] {
            assert_eq!(is_snapshot(name.as_bytes(), inode), expected, "{name} {inode}");
        }
    }

    #[test]
    fn notes_of_others_are_dropped_and_those_of_an_absent_file_system_kept() {
        let note = |name: &str| SnapshotNote {
            file_system: [7; 16],
            name: name.to_owned(),
        };
        let notes = [
            "strongroom-snapshot-me-1-1",
            "strongroom-snapshot-other-1-1",
            "@home",
            "strongroom-snapshot-me-/../@home",
        ];
        let left = remove_left("me", notes.map(note).to_vec());
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].0, note("strongroom-snapshot-me-1-1"));
        assert!(left[0].1.contains("not mounted"));
    }
}
