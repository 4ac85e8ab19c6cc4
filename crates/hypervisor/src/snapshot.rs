//! Points: the disks of a running virtual machine as they were at one moment, readable while it goes on.
//!
//! A filter is put between each disk and its device (`copy-before-write`). What the guest overwrites is first copied into a
//! *fleece*, a sparse file; the point is read from there, or else from the disk (`snapshot-access`). If the fleece takes no
//! more, the point is lost and the guest's write goes on: never the other way round.
//!
//! ```text
//! guest ──▶ device ──▶ filter ──▶ disk ◀── bitmap
//!                        │ ▲
//!                        ▼ └──── past ◀── export, on a unix socket in a folder of its own
//!                      fleece
//! ```
//!
//! | step | if this process ends after it |
//! | --- | --- |
//! | the journal says `preparing` | the layers are removed, if there are any |
//! | fleece, filter and NBD server are made; nothing of it touches the guest | the same |
//! | the journal says `freezing` | the guest is made to run, and thawed; then the same |
//! | freeze, stop, put the filters in, begin the bitmaps, cont, thaw | the same |
//! | the journal says `live` | the filters are taken out, the layers removed |
//! | export | the same |
//!
//! Whoever takes a point holds a lock on the machine's journal for as long as the point lives, so the [`Reaper`] can tell what
//! was left from what is in use. An attempt that fails, panics or is dropped goes the reaper's way, at once.
//!
//! What changed since a point is known by a bitmap of its name, `ob-POINT`, which begins in the same instant. It goes on
//! recording until a later point is in the vault, and is copied at each point. So it alone says what changed since, however
//! many points came to nothing in between, and there is no chain of bitmaps that could have a gap.

mod attempt;
mod bitmaps;
mod journal;
mod layers;
mod point;
mod point_id;
mod quiet;
mod reaper;
mod sockets;

pub use attempt::take;
pub use bitmaps::{Base, Changed, DiskMark, FullReason};
pub use journal::JournalError;
pub use layers::LayerError;
pub use point::{Point, PointDisk};
pub use point_id::PointId;
pub use quiet::WhyNotBetter;
pub use reaper::{Left, Reaper, Unsettled};

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::disk::QomPath;
use crate::guest_agent::AgentError;
use crate::machine::Unasked;
use crate::qmp::{MonitorError, QemuVersion};

/// Where a host keeps what belongs to points.
#[derive(Debug, Clone)]
pub struct Places {
    /// The journal, which has to survive this process and the host.
    pub state: PathBuf,
    /// Fleeces and sockets. It should be on a file system of its own, or have a quota: a fleece grows with what the guest
    /// overwrites. Its path has to be short, as sockets are in it.
    pub points: PathBuf,
}

/// In which state the contents of a point are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consistency {
    /// As after a loss of power, at one moment for all disks.
    Crash,
    /// All file systems had written what they knew. Whether applications had is not said by this.
    FileSystem,
}

/// A point that is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its id, which nobody has used before.
    pub point: PointId,
    /// What to try for.
    pub wanted: Consistency,
    /// Whether less than that is an error. Otherwise the point says why it is less.
    pub insist: bool,
    /// Devices that are not to be touched.
    pub excluded: BTreeSet<QomPath>,
    /// The newest point in the vault, if what changed since is to be read and not all.
    pub base: Option<Base>,
    /// How long things may take.
    pub limits: Limits,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Freezing, with the guest's hooks. When it takes longer the guest is thawed again.
    pub freeze: Duration,
    /// From then until it is thawed. When QEMU takes longer there is no point.
    pub frozen: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            freeze: Duration::from_secs(60),
            // Windows thaws by itself after 10 s.
            frozen: Duration::from_secs(8),
        }
    }
}

/// Why there is no point; each is a sentence for the administrator of the host.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The machine cannot be asked; it may be off.
    #[error(transparent)]
    Unasked(#[from] Unasked),
    /// This QEMU cannot do it so that the guest comes first.
    #[error("QEMU {0} cannot make points without risk for the guest: 7.1 is the first that can")]
    TooOld(QemuVersion),
    /// There is nothing to back up.
    #[error("the virtual machine has no disk that can be backed up and is not excluded")]
    NoDisks,
    /// A point of it is in use, or was left and is not yet removed; or the journal cannot be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There are nodes of ours in QEMU, but the journal does not know them.
    #[error(
        "QEMU still has the node {0} of an earlier point that the journal does not know: it goes when the virtual machine is switched off"
    )]
    LeftBehind(String),
    /// QEMU did not make the layers.
    #[error(transparent)]
    Layers(#[from] LayerError),
    /// What was insisted on was not reached.
    #[error("the file systems could not be frozen: {0}")]
    NotConsistent(WhyNotBetter),
    /// The guest may be frozen still. The reaper goes on trying to thaw it.
    #[error("the guest's file systems may still be frozen: {0}; Strongroom goes on trying to thaw them")]
    NotThawed(AgentError),
    /// The guest may be stopped still. The reaper goes on trying to make it run.
    #[error("the guest was stopped for a moment and may still be: {0}; Strongroom goes on trying to make it run")]
    NotResumed(MonitorError),
}

impl From<MonitorError> for SnapshotError {
    fn from(error: MonitorError) -> Self {
        Self::Unasked(Unasked::Monitor(error))
    }
}
