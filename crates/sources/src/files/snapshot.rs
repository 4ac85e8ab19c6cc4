//! Snapshots of what is backed up: made, read, and always removed.
//!
//! A snapshot is of one subvolume of btrfs, one logical volume of LVM, or one dataset of ZFS. Whoever has them made keeps a note of each
//! ([`Keep`]), durably and before it exists; it is forgotten when the removal lasts. So whatever happens in between,
//! [`remove_left`] finds what was left, and touches nothing else.

mod btrfs;
mod dataset;
mod ledger;
mod logical_volume;
mod mounted;
mod subvolume;
mod tool;

use super::mounts::{Mount, Mounts};
use super::selection::Selection;
use dataset::Dataset;
use jiff::Timestamp;
use ledger::Ledger;
use logical_volume::LogicalVolume;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::CString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use strongroom_model::{Clock, SnapshotUse};
use subvolume::Subvolume;

use btrfs::SUBVOLUME_STUB;

/// What the names of all snapshots of btrfs begin with that any machine has made.
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
    /// Where.
    pub place: Place,
    /// Its name there.
    pub name: String,
}

/// Where snapshots lie.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At the top of the btrfs with this id.
    Btrfs([u8; 16]),
    /// In LVM's volume group with this id.
    VolumeGroup(String),
    /// Of ZFS' dataset with this name.
    Dataset(String),
}

/// Keeps the notes of all snapshots that may exist, durably, in place of those that it has kept before. Says why it cannot.
pub type Keep = Box<dyn Fn(&[SnapshotNote]) -> Result<(), String> + Send + Sync>;

/// The snapshots of one backup. They are removed with the last that reads from them.
pub struct Snapshots {
    using: SnapshotUse,
    clock: Clock,
    ledger: Arc<Ledger>,
    made: Mutex<HashMap<OriginId, Arc<Snapshot>>>,
}

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

/// What there can be a snapshot of.
#[derive(Debug)]
enum Origin<'a> {
    Subvolume(Subvolume<'a>),
    LogicalVolume(LogicalVolume<'a>),
    Dataset(Dataset<'a>),
}

/// Tells one from another, while the machine runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum OriginId {
    /// The id of the file system, and the number of the subvolume.
    Subvolume([u8; 16], u64),
    /// The numbers of the device.
    Device(u32, u32),
}

/// A snapshot that can be read.
pub(super) struct Snapshot {
    root: OwnedFd,
    /// When it was made, by the clock that gives files their times; or a little before.
    pub(super) moment: (i64, u32),
    made: Made,
}

/// A snapshot that exists. It is removed when this is dropped.
struct Made {
    note: SnapshotNote,
    ledger: Arc<Ledger>,
    /// What it is of, in words.
    of: String,
    /// If it is a subvolume.
    subvolume: Option<subvolume::Made>,
}

impl Place {
    /// The name there of a snapshot. LVM's is no longer than it has to be: with the group's, and with each dash doubled, it has to
    /// fit into 128 bytes; whose it is, a tag tells, and with ZFS a property.
    fn name(&self, owner: &str, run: &str, number: u64) -> String {
        match self {
            Self::Btrfs(_) => format!("{}{run}-{number}", names_of(owner)),
            Self::VolumeGroup(_) | Self::Dataset(_) => format!("strongroom-{}-{number}", run.replace('-', "")),
        }
    }
}

impl Snapshots {
    /// None yet. `owner` is whose they are, the same for all of a machine; `run` is this backup's own. `left` are those that
    /// could not be removed before.
    pub fn new(
        using: SnapshotUse,
        clock: Clock,
        owner: &str,
        run: &str,
        left: Vec<SnapshotNote>,
        keep: Keep,
    ) -> Snapshots {
        Snapshots {
            using,
            clock,
            ledger: Arc::new(Ledger::new(owner, run, left, keep)),
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
            if let Err(why) = Origin::of(&folder, &mounts).and_then(|origin| origin.check()) {
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
        let origin = Origin::of(directory, mounts)?;
        if origin.is_read_only() {
            return Ok(Way::ReadOnly);
        }
        let mut made = self.made();
        let snapshot = match made.get(&origin.id()) {
            Some(snapshot) => snapshot.clone(),
            None if made.len() >= SNAPSHOTS_MAX => {
                return Err(format!("there are {SNAPSHOTS_MAX} snapshots already"));
            }
            None => {
                let snapshot = Arc::new(Snapshot::make(&self.ledger, directory, &origin, self.clock.now())?);
                made.insert(origin.id(), snapshot.clone());
                snapshot
            }
        };
        let path = origin.path_of(directory, inode);
        let inside = path.and_then(|path| snapshot.open(&path, inode)).map_err(|error| {
            let error = std::io::Error::from(error);
            format!("it was made while the snapshot was, and is not in it ({error})")
        })?;
        Ok(Way::Snapshot(snapshot, inside))
    }

    /// Names volumes whose snapshot could not be read to its end, because more was overwritten meanwhile than it has room for. To
    /// be asked when all has been read.
    pub fn overflowed(&self) -> Vec<String> {
        let made = self.made();
        let made = made.values().map(|snapshot| &snapshot.made);
        let full = made.filter(|made| match &made.note.place {
            Place::VolumeGroup(group) => logical_volume::is_full(group, &made.note.name),
            Place::Btrfs(_) | Place::Dataset(_) => false,
        });
        full.map(|made| made.of.clone()).collect()
    }

    fn made(&self) -> MutexGuard<'_, HashMap<OriginId, Arc<Snapshot>>> {
        self.made.lock().expect("nobody panics with it")
    }
}

impl Origin<'_> {
    /// What a directory lies on.
    ///
    /// # Errors
    /// Why there can be no snapshot of that.
    fn of<'a>(directory: &OwnedFd, mounts: &'a Mounts) -> Result<Origin<'a>, String> {
        let mount: &'a Mount = mounts.of(directory).ok_or("it is not known what is mounted there")?;
        match mount.file_system.as_str() {
            "btrfs" => Subvolume::of(directory, mount).map(Origin::Subvolume),
            "zfs" => Dataset::of(mount).map(Origin::Dataset),
            _ => LogicalVolume::of(mount).map(Origin::LogicalVolume),
        }
    }

    fn id(&self) -> OriginId {
        match self {
            Self::Subvolume(volume) => OriginId::Subvolume(volume.file_system, volume.id),
            Self::LogicalVolume(LogicalVolume { mount, .. }) | Self::Dataset(Dataset { mount, .. }) => {
                OriginId::Device(mount.device.0, mount.device.1)
            }
        }
    }

    /// Whether nobody can write to it.
    fn is_read_only(&self) -> bool {
        match self {
            Self::Subvolume(volume) => volume.is_read_only,
            Self::LogicalVolume(_) => false,
            Self::Dataset(dataset) => dataset.is_read_only(),
        }
    }

    /// Whether a snapshot can be made, as far as can be said before.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Subvolume(volume) => volume.check(),
            Self::LogicalVolume(volume) => volume.room().map(drop),
            Self::Dataset(dataset) => dataset.check(),
        }
    }

    fn place(&self) -> Place {
        match self {
            Self::Subvolume(volume) => Place::Btrfs(volume.file_system),
            Self::LogicalVolume(volume) => Place::VolumeGroup(volume.group.clone()),
            Self::Dataset(dataset) => Place::Dataset(dataset.name.to_owned()),
        }
    }

    /// Where a directory of it, with this inode, lies below its root: components joined by `/`.
    fn path_of(&self, directory: impl AsFd, inode: u64) -> Result<CString, Errno> {
        match self {
            Self::Subvolume(_) => subvolume::path_of(directory, inode),
            Self::LogicalVolume(LogicalVolume { mount, .. }) | Self::Dataset(Dataset { mount, .. }) => {
                mounted::path_of(directory, mount)
            }
        }
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subvolume(volume) => write!(f, "subvolume {}", volume.id),
            Self::LogicalVolume(volume) => f.write_str(&volume.name),
            Self::Dataset(dataset) => f.write_str(dataset.name),
        }
    }
}

impl Snapshot {
    /// Whether a directory in it, with this inode, is but the place of another subvolume.
    pub(super) fn is_stub(&self, inode: u64) -> bool {
        self.made.subvolume.is_some() && inode == SUBVOLUME_STUB
    }

    /// Makes one of what a directory lies on, `now`.
    fn make(ledger: &Arc<Ledger>, of: &OwnedFd, origin: &Origin<'_>, now: Timestamp) -> Result<Snapshot, String> {
        let before = (now.as_second(), u32::try_from(now.subsec_nanosecond()).unwrap_or(0));
        let note = ledger.announce(origin.place())?;
        // Whatever fails from here on, dropping it removes what there is.
        let mut made = Made {
            note,
            ledger: ledger.clone(),
            of: origin.to_string(),
            subvolume: None,
        };
        let (root, moment) = match origin {
            Origin::Subvolume(volume) => {
                let subvolume = volume.make(of, &made.note.name)?;
                made.subvolume.insert(subvolume).open()?
            }
            Origin::LogicalVolume(volume) => {
                volume.make(&made.note.name, &ledger.owner)?;
                (volume.open(&made.note.name)?, before)
            }
            Origin::Dataset(dataset) => {
                dataset.make(&made.note.name, &ledger.owner)?;
                (dataset.open(&made.note.name)?, before)
            }
        };
        Ok(Snapshot { root, moment, made })
    }

    /// Opens in it what has this path and this inode.
    fn open(&self, path: &CString, inode: u64) -> Result<OwnedFd, Errno> {
        let mut inside = openat(&self.root, c".", LISTABLE, Mode::empty())?;
        for component in path.as_bytes().split(|&byte| byte == b'/') {
            if !component.is_empty() {
                inside = openat(&inside, component, LISTABLE, Mode::empty())?;
            }
        }
        // The root is the root; ZFS gives that of a snapshot another number.
        let is_root = path.as_bytes().iter().all(|&byte| byte == b'/');
        match is_root || super::meta::Meta::of_open(&inside)?.ino == inode {
            true => Ok(inside),
            false => Err(Errno::STALE),
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let removed = match (&self.note.place, &self.subvolume) {
            (Place::Btrfs(_), Some(made)) => made.remove(),
            // It was not made.
            (Place::Btrfs(_), None) => Ok(()),
            (Place::VolumeGroup(group), _) => logical_volume::remove(group, &self.note.name, &self.ledger.owner),
            (Place::Dataset(name), _) => dataset::remove(name, &self.note.name, &self.ledger.owner),
        };
        // If it cannot be removed now, its note stays, and the next start tries again.
        if removed.is_ok() {
            self.ledger.forget(&self.note);
        }
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
/// What has another's name, tag or property, or is no snapshot, is nothing of ours: it stays, and its note is dropped.
pub fn remove_left(owner: &str, notes: Vec<SnapshotNote>) -> Vec<(SnapshotNote, String)> {
    let mounts = Mounts::load();
    let left = notes.into_iter().filter_map(|note| {
        let removed = match &note.place {
            Place::Btrfs(_) if !note.name.starts_with(&names_of(owner)) || note.name.contains('/') => Ok(()),
            Place::Btrfs(file_system) => subvolume::remove(*file_system, &note.name, &mounts),
            Place::VolumeGroup(group) => logical_volume::remove(group, &note.name, owner),
            Place::Dataset(name) => dataset::remove(name, &note.name, owner),
        };
        removed.err().map(|why| (note, why))
    });
    left.collect()
}

/// Whether a directory that has this name and this inode is somebody's snapshot, what another snapshot has in its place, or
/// where ZFS shows its own.
pub(super) fn is_snapshot(name: &[u8], inode: u64) -> bool {
    let is_of_btrfs = name.starts_with(NAME.as_bytes()) && [SUBVOLUME_STUB, btrfs::SUBVOLUME_ROOT].contains(&inode);
    is_of_btrfs || (name, inode) == (b".zfs", dataset::CONTROL_ROOT)
}

fn names_of(owner: &str) -> String {
    format!("{NAME}{owner}-")
}

#[cfg(test)]
mod tests {
    use super::{Place, SnapshotNote, is_snapshot, remove_left};

    #[test]
    fn what_has_the_name_of_a_snapshot_is_one_only_as_a_subvolume() {
        for (name, inode, expected) in [
            ("strongroom-snapshot-m-r-1", 256, true),
            ("strongroom-snapshot-m-r-1", 2, true),
            ("strongroom-snapshot-m-r-1", 257, false),
            ("strongroom", 256, false),
            (".zfs", (1 << 48) - 1, true),
            (".zfs", 34, false),
        ] {
            assert_eq!(is_snapshot(name.as_bytes(), inode), expected, "{name} {inode}");
        }
    }

    #[test]
    fn notes_of_others_are_dropped_and_those_of_an_absent_file_system_kept() {
        let note = |name: &str| SnapshotNote {
            place: Place::Btrfs([7; 16]),
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

    #[test]
    fn names_of_logical_volumes_leave_room_for_those_of_their_groups() {
        let id = "01a2010e-b597-76dc-a8fc-dd21010562e2";
        let name = Place::VolumeGroup("a".to_owned()).name(id, id, 128);
        // `group-name-cow`, where each dash of a name is doubled, and a NUL at the end.
        assert!(name.replace('-', "--").len() + "--cow\0".len() <= 64, "{name}");
    }
}
