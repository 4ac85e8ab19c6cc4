//! A point that lives: what there is to read, and its end.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Consistency;
use super::bitmaps::{Base, Changed, DiskMark};
use super::journal::Owned;
use super::layers;
use super::point_id::PointId;
use super::quiet::WhyNotBetter;
use super::reaper::{Unsettled, settle_apart};
use crate::disk::{LeftOut, NodeName};
use crate::qmp::{Monitor, MonitorError};

/// Some disks of a machine, as they were at one moment. It lives until it is released, or the process ends; what is then
/// left of it is the [`Reaper`](super::Reaper)'s.
#[derive(Debug)]
pub struct Point {
    /// Its id.
    pub id: PointId,
    /// What there is to read.
    pub disks: Vec<PointDisk>,
    /// What there is not, and why; without what was excluded.
    pub left_out: Vec<LeftOut>,
    /// What was reached.
    pub consistency: Consistency,
    /// Why that is less than it could be.
    pub why_not_better: Option<WhyNotBetter>,
    /// From before the guest's file systems were frozen until they were thawed, hooks included.
    pub frozen: Option<Duration>,
    /// For how long the guest stood still.
    pub stopped: Option<Duration>,
    /// Of the NBD server.
    pub socket: PathBuf,
    pub(super) owned: Owned,
    /// Bitmaps that are of no use when the point is in the vault.
    pub(super) older: Vec<(NodeName, Vec<String>)>,
}

/// A disk of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointDisk {
    /// The name of its export.
    pub export: String,
    /// What has to be read of it.
    pub changed: Changed,
    /// What a later point has to know of it.
    pub mark: DiskMark,
}

impl Point {
    /// What a later point is told by, when this one is in the vault.
    pub fn base(&self) -> Base {
        Base {
            point: self.id,
            disks: self.disks.iter().map(|disk| disk.mark.clone()).collect(),
        }
    }

    /// How much room its fleeces take, in bytes. Whoever has too little of it releases the point.
    pub fn fleece_bytes(&self) -> io::Result<u64> {
        layers::fleece_bytes(&self.owned.entry)
    }

    /// The vault has the point: bitmaps of older ones go. It may be called again. If it is not, or fails, they go at a later
    /// point.
    pub async fn commit(&self) -> Result<(), MonitorError> {
        let mut monitor = Monitor::connect(&self.owned.entry.qmp).await?;
        for (node, names) in &self.older {
            layers::remove_bitmaps(&mut monitor, node, names).await?;
        }
        Ok(())
    }

    /// Nobody reads it any more. The bitmap of what changes from it stays, as the vault may have the point.
    ///
    /// # Errors
    /// Something is left, which the [`Reaper`](super::Reaper) goes on trying to remove.
    pub async fn release(self) -> Result<(), Unsettled> {
        settle_apart(self.owned).await
    }
}
