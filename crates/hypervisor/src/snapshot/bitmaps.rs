//! What changed on a disk since an earlier point, and whether that can be believed.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::point_id::PointId;
use crate::block::{Bitmap, Node};
use crate::disk::{Bitmaps, Disk, DiskFormat, DiskSize, NodeName, QomPath};

/// What one bit of a bitmap stands for.
const GRANULARITY_BYTES: u64 = 64 * 1024;

/// How many bitmaps of points a disk may keep, if none of them is the base: those of points that never came into a vault.
const BITMAPS_MAX: usize = 8;

/// What has to be known of a disk at a later point, to tell what changed since this one. It is kept with the point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskMark {
    /// The device.
    pub device: QomPath,
    /// The file that was written to.
    pub file: PathBuf,
    /// Its number in its file system; of a block device, the device's number. None if it cannot be looked at from here.
    pub number: Option<u64>,
    /// Of the file.
    pub format: DiskFormat,
    /// As the guest saw it.
    pub size: DiskSize,
    /// Whether the bitmap outlives QEMU.
    pub bitmaps: Bitmaps,
}

impl DiskMark {
    /// Whether a disk of a machine that is off is the one that this is of, whatever its size.
    pub fn is_of(&self, disk: &Disk) -> bool {
        self.number.is_some()
            && (&self.file, self.number, &self.format) == (&disk.file, number(&disk.file), &disk.format)
    }
}

/// A point in the vault that another one can be told by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The point.
    pub point: PointId,
    /// Its disks.
    pub disks: Vec<DiskMark>,
}

/// What has to be read of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// What a bitmap of the export has, and all beyond what was the end.
    Since {
        /// The base.
        base: PointId,
        /// The export's context is `qemu:dirty-bitmap:` and this.
        bitmap: String,
        /// How large the disk was then.
        size: DiskSize,
    },
    /// All of it.
    Full(FullReason),
}

/// Why all of a disk has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullReason {
    /// There is no earlier point, or this disk is not in it.
    First,
    /// The bitmap is not there: the host failed after the earlier point, or somebody removed it.
    BitmapMissing,
    /// QEMU did not end properly, and does not believe the bitmap.
    BitmapInconsistent,
    /// The bitmap was stopped or is in use by somebody.
    BitmapUnusable,
    /// The bitmap was in the memory of a QEMU that has ended.
    TransientAfterRestart,
    /// The disk is now in another file, as after somebody's snapshot.
    DiskReplaced,
    /// The disk is smaller than it was.
    Shrunk,
}

impl fmt::Display for FullReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "there is no earlier point of it",
            Self::BitmapMissing => "the bitmap of what changed is gone",
            Self::BitmapInconsistent => "the virtual machine was not shut down properly",
            Self::BitmapUnusable => "the bitmap of what changed was stopped, or is in use",
            Self::TransientAfterRestart => "the virtual machine was restarted, and the disk's format keeps no bitmap",
            Self::DiskReplaced => "the disk is in another file than it was",
            Self::Shrunk => "the disk is smaller than it was",
        })
    }
}

/// What becomes of a disk's bitmaps at a point.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) node: NodeName,
    pub(super) mark: DiskMark,
    pub(super) changed: Changed,
    /// Bitmaps that can never be of use again.
    pub(super) useless: Vec<String>,
    /// Bitmaps that are of no use when this point is in the vault.
    pub(super) older: Vec<String>,
    granularity: u64,
}

impl Plan {
    /// `node` is the disk's.
    pub(super) fn new(point: PointId, device: QomPath, disk: &Disk, node: &Node, base: Option<&Base>) -> Self {
        let mark = DiskMark {
            device,
            number: number(&disk.file),
            file: disk.file.clone(),
            format: disk.format.clone(),
            size: disk.size,
            bitmaps: disk.bitmaps,
        };
        let believed = believed(base, &mark, node);
        let keep = believed.as_ref().ok().map(|(earlier, ..)| earlier.bitmap());
        let (useless, older) = superseded(&node.dirty_bitmaps, keep.as_deref());
        Self {
            node: node.name().expect("a disk's node has a name"),
            mark,
            granularity: believed
                .as_ref()
                .map_or(GRANULARITY_BYTES, |(.., bitmap)| bitmap.granularity),
            changed: match believed {
                Ok((base, size, _)) => Changed::Since {
                    base,
                    bitmap: point.changes(),
                    size,
                },
                Err(reason) => Changed::Full(reason),
            },
            useless,
            older,
        }
    }

    /// What a transaction does at the moment of the point: copies what changed until now, and begins anew.
    pub(super) fn actions(&self, point: PointId) -> Vec<Value> {
        let add = |name: String, more: Value| {
            let mut data = json!({"node": self.node, "name": name, "granularity": self.granularity});
            let (data_map, more) = (data.as_object_mut(), more.as_object().cloned());
            data_map.expect("it is an object").extend(more.unwrap_or_default());
            json!({"type": "block-dirty-bitmap-add", "data": data})
        };
        let mut actions = Vec::new();
        if let Changed::Since { base, bitmap, .. } = &self.changed {
            actions.push(add(bitmap.clone(), json!({"disabled": true})));
            let merge = json!({"node": self.node, "target": bitmap, "bitmaps": [base.bitmap()]});
            actions.push(json!({"type": "block-dirty-bitmap-merge", "data": merge}));
        }
        let persistent = self.mark.bitmaps == Bitmaps::Persistent;
        actions.push(add(point.bitmap(), json!({"persistent": persistent})));
        actions
    }
}

/// The base's point and size, and its bitmap; or why that says nothing.
fn believed<'a>(
    base: Option<&Base>,
    mark: &DiskMark,
    node: &'a Node,
) -> Result<(PointId, DiskSize, &'a Bitmap), FullReason> {
    let base = base.ok_or(FullReason::First)?;
    let then = base
        .disks
        .iter()
        .find(|disk| disk.device == mark.device)
        .ok_or(FullReason::First)?;
    if then.number.is_none() || (&then.file, then.number, &then.format) != (&mark.file, mark.number, &mark.format) {
        return Err(FullReason::DiskReplaced);
    }
    if then.size > mark.size {
        return Err(FullReason::Shrunk);
    }
    match node.bitmap(&base.point.bitmap()) {
        None if then.bitmaps == Bitmaps::Transient => Err(FullReason::TransientAfterRestart),
        None => Err(FullReason::BitmapMissing),
        Some(bitmap) if bitmap.inconsistent => Err(FullReason::BitmapInconsistent),
        Some(bitmap) if bitmap.busy || !bitmap.recording => Err(FullReason::BitmapUnusable),
        Some(bitmap) => Ok((base.point, then.size, bitmap)),
    }
}

/// Which of a disk's bitmaps are useless now, and which when the point is in the vault. Only ours are among them.
fn superseded(bitmaps: &[Bitmap], base: Option<&str>) -> (Vec<String>, Vec<String>) {
    let (mut useless, mut older) = (Vec::new(), Vec::new());
    for bitmap in bitmaps.iter().filter(|bitmap| !bitmap.busy) {
        let name = bitmap.name.clone();
        if PointId::is_changes(&name) {
            useless.push(name);
        } else if PointId::of_bitmap(&name).is_some() {
            let is_base = base == Some(name.as_str());
            // No point but the newest in the vault can ever be a base.
            let outlived = base.is_some() && !is_base;
            match bitmap.inconsistent || outlived || older.len() >= BITMAPS_MAX {
                true => useless.push(name),
                false => older.push(name),
            }
        }
    }
    (useless, older)
}

/// What tells a file from another of the same name. What is no file, but an address, has only that.
fn number(path: &Path) -> Option<u64> {
    if !path.is_absolute() {
        return Some(0);
    }
    let found = fs::metadata(path).ok()?;
    Some(match found.rdev() {
        0 => found.ino(),
        device => device,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn point(number: u128) -> PointId {
        PointId::new(Uuid::from_u128(number))
    }

    fn bitmap(name: String) -> Value {
        json!({"name": name, "recording": true, "busy": false, "granularity": 65536, "count": 0})
    }

    fn node(bitmaps: Vec<Value>) -> Node {
        let node =
            json!({"node-name": "d1", "drv": "qcow2", "image": {"virtual-size": 1024}, "dirty-bitmaps": bitmaps});
        serde_json::from_value(node).unwrap()
    }

    fn mark() -> DiskMark {
        DiskMark {
            device: "/d".parse().unwrap(),
            file: "/f".into(),
            number: Some(5),
            format: DiskFormat::Qcow2,
            size: 1024.try_into().unwrap(),
            bitmaps: Bitmaps::Persistent,
        }
    }

    fn judged(change: impl FnOnce(&mut DiskMark), bitmaps: Vec<Value>) -> Option<FullReason> {
        let mut then = mark();
        change(&mut then);
        let base = Base {
            point: point(1),
            disks: vec![then],
        };
        believed(Some(&base), &mark(), &node(bitmaps)).err()
    }

    #[test]
    fn a_bitmap_is_believed_only_if_nothing_speaks_against_it() {
        let ours = || vec![bitmap(point(1).bitmap())];
        let with = |key: &str, value: bool| {
            let mut bitmap = bitmap(point(1).bitmap());
            bitmap[key] = value.into();
            vec![bitmap]
        };
        assert_eq!(judged(|_| (), ours()), None);
        assert_eq!(judged(|then| then.size = 512.try_into().unwrap(), ours()), None);
        for (reason, found) in [
            (
                FullReason::First,
                judged(|then| then.device = "/e".parse().unwrap(), ours()),
            ),
            (FullReason::DiskReplaced, judged(|then| then.file = "/g".into(), ours())),
            (FullReason::DiskReplaced, judged(|then| then.number = Some(6), ours())),
            (FullReason::DiskReplaced, judged(|then| then.number = None, ours())),
            (
                FullReason::DiskReplaced,
                judged(|then| then.format = DiskFormat::Raw, ours()),
            ),
            (
                FullReason::Shrunk,
                judged(|then| then.size = 2048.try_into().unwrap(), ours()),
            ),
            (
                FullReason::BitmapMissing,
                judged(|_| (), vec![bitmap(point(2).bitmap())]),
            ),
            (
                FullReason::TransientAfterRestart,
                judged(|then| then.bitmaps = Bitmaps::Transient, vec![]),
            ),
            (
                FullReason::BitmapInconsistent,
                judged(|_| (), with("inconsistent", true)),
            ),
            (FullReason::BitmapUnusable, judged(|_| (), with("recording", false))),
            (FullReason::BitmapUnusable, judged(|_| (), with("busy", true))),
        ] {
            assert_eq!(found, Some(reason));
        }
        assert_eq!(believed(None, &mark(), &node(ours())).err(), Some(FullReason::First));
    }

    #[test]
    fn only_our_own_bitmaps_are_ever_removed() {
        let mut all: Vec<Value> = (1..=10).map(|number| bitmap(point(number).bitmap())).collect();
        all.extend(["bm1", "ob-1", "", "libvirt-ob-2"].map(|name| bitmap(name.to_owned())));
        all.push(bitmap(point(3).changes()));
        let all = node(all).dirty_bitmaps;
        let base = point(4).bitmap();
        let (useless, older) = superseded(&all, Some(&base));
        assert_eq!((useless.len(), older), (10, vec![base.clone()]));
        assert!(!useless.contains(&base) && useless.iter().all(|name| name.starts_with("ob-") && name.len() > 10));
        let (useless, older) = superseded(&all, None);
        assert_eq!((useless.len(), older.len()), (3, BITMAPS_MAX));
    }
}
