//! The volumes that a walk has entered, and how each is read.

use super::meta::Meta;
use super::mounts::Mounts;
use super::selection::Selection;
use super::snapshot::{Snapshot, Snapshots, Way};
use crate::source::{Reading, VolumeRead, VolumesRead};
use rustix::fd::OwnedFd;
use rustix::fs::CWD;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// How many volumes are told one by one.
const VOLUMES_MAX: usize = 256;

/// A volume that a walk is in.
#[derive(Debug)]
pub(super) struct Volume {
    /// The number of its device in the tree, whatever a snapshot of it has.
    pub(super) device: u64,
    /// Which of the volumes that are told it is.
    pub(super) told: Option<usize>,
    /// Where it is read, if not where it is.
    pub(super) snapshot: Option<InSnapshot>,
}

/// Where a snapshot is read.
#[derive(Debug)]
pub(super) struct InSnapshot {
    /// What the snapshot has of the directory in which the walk entered the volume. Given back before the snapshot is.
    pub(super) start: Arc<OwnedFd>,
    pub(super) snapshot: Arc<Snapshot>,
    /// Length of the path of that directory.
    pub(super) path_length: usize,
}

/// The volumes of a walk.
#[derive(Debug)]
pub(super) struct Entered {
    snapshots: Option<Arc<Snapshots>>,
    /// Devices that something selected lies on.
    selected: HashSet<u64>,
    told: VolumesRead,
}

impl Volume {
    /// One that is read where it is, and of which nothing is told.
    pub(super) fn untold(device: u64) -> Arc<Volume> {
        Arc::new(Volume {
            device,
            told: None,
            snapshot: None,
        })
    }

    /// The device that something on it has in the tree, whatever a snapshot says.
    pub(super) fn device_of(&self, meta: &Meta) -> u64 {
        match self.snapshot {
            Some(_) => self.device,
            None => meta.dev,
        }
    }
}

impl Entered {
    pub(super) fn new(selection: &Selection, snapshots: Option<Arc<Snapshots>>) -> Entered {
        Entered {
            snapshots,
            selected: selection.roots().iter().filter_map(|root| device_of(root)).collect(),
            told: VolumesRead::default(),
        }
    }

    /// Which were entered so far.
    pub(super) fn told(&self) -> &VolumesRead {
        &self.told
    }

    /// Whether something selected lies on this device.
    pub(super) fn is_selected(&self, device: u64) -> bool {
        self.selected.contains(&device)
    }

    /// Enters a volume at an open directory with these facts, which lies at `path`.
    ///
    /// # Errors
    /// If it has no snapshot, and is not to be read without one: why it has none.
    pub(super) fn enter(
        &mut self,
        directory: &OwnedFd,
        meta: &Meta,
        path: &[u8],
        mounts: &Mounts,
    ) -> Result<Arc<Volume>, String> {
        let way = match &self.snapshots {
            Some(snapshots) => snapshots.way(directory, meta.ino, mounts),
            None => Way::Live("no snapshot is wanted".to_owned()),
        };
        let is_required = self
            .snapshots
            .as_ref()
            .is_some_and(|snapshots| snapshots.are_required());
        let (reading, snapshot) = match way {
            Way::Live(why) if is_required => return Err(why),
            Way::Live(why) => (Reading::Live { why }, None),
            Way::ReadOnly => (Reading::ReadOnly, None),
            Way::Snapshot(snapshot, start) => {
                let inside = InSnapshot {
                    snapshot,
                    start: Arc::new(start),
                    path_length: path.len(),
                };
                (Reading::Snapshot, Some(inside))
            }
        };
        let file_system = mounts.of(directory).map_or("", |mount| &mount.file_system);
        let told = self.tell(VolumeRead {
            path: path.to_vec(),
            file_system: file_system.to_owned(),
            reading,
        });
        Ok(Arc::new(Volume {
            device: meta.dev,
            told,
            snapshot,
        }))
    }

    fn tell(&mut self, volume: VolumeRead) -> Option<usize> {
        let number = self.told.volumes.len();
        if number == VOLUMES_MAX {
            self.told.omitted += 1;
            return None;
        }
        self.told.volumes.push(volume);
        Some(number)
    }
}

/// The device of a directory, or of the one that something else lies in: to overlayfs, files have others.
fn device_of(path: &Path) -> Option<u64> {
    let meta = Meta::of_entry(CWD, path).ok()?;
    match meta.kind.is_directory() {
        true => Some(meta.dev),
        false => Some(Meta::of_entry(CWD, path.parent()?).ok()?.dev),
    }
}
