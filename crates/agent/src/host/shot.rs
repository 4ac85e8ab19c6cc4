//! The disks of a virtual machine at one moment: of one that runs, or of one that is off.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use strongroom_format::point::Consistency;
use strongroom_hypervisor::off::{self, OffDisk, Shown};
use strongroom_hypervisor::snapshot::{
    self, Base, Changed, FullReason, Limits, Point, PointId, Request, SnapshotError, WhyNotBetter,
};
use strongroom_hypervisor::{Description, MonitorError, Unasked};

use super::disks::{DESCRIPTION, Disks};
use super::found::{name_of_device, name_of_disk};
use super::state::Tracked;
use super::{Host, SocketFolder};
use crate::error::AgentError;

/// The disks at one moment. It has to be released.
pub(super) struct Shot {
    taken: Taken,
    pub(super) moment: Timestamp,
    pub(super) consistency: Consistency,
}

enum Taken {
    /// Of a machine that runs: QEMU keeps what the guest overwrites.
    Running(Box<Point>),
    /// Of one that is off: as long as nothing writes to them.
    Off(
        Vec<OffShot>,
        #[allow(dead_code, reason = "the folder goes with it")] SocketFolder,
    ),
}

/// A disk of a machine that is off.
struct OffShot {
    name: String,
    disk: OffDisk,
    changed: Changed,
    shown: Shown,
}

/// What a recovery point says of the machine and how it was made.
#[derive(Debug, Serialize)]
struct Described<'a> {
    version: u32,
    name: &'a str,
    consistency: Consistency,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not_better: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_ms: Option<u64>,
    disks: Vec<DescribedDisk>,
    left_out: Vec<DescribedLeftOut>,
}

#[derive(Debug, Serialize)]
struct DescribedDisk {
    /// Its file in the recovery point is this, with `.raw`.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    file: PathBuf,
    format: String,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_whole_because: Option<String>,
}

#[derive(Debug, Serialize)]
struct DescribedLeftOut {
    device: String,
    why: String,
}

impl Shot {
    /// Takes one. The guest's file systems are frozen for it if that is possible.
    pub(super) async fn take(
        host: &Host,
        description: &Description,
        tracked: Option<&Tracked>,
        moment: Timestamp,
    ) -> Result<Self, AgentError> {
        let request = Request {
            point: PointId::new(uuid::Uuid::new_v4()),
            wanted: snapshot::Consistency::FileSystem,
            insist: false,
            excluded: BTreeSet::new(),
            base: tracked.and_then(|tracked| tracked.base.clone()),
            limits: Limits::default(),
        };
        let (taken, consistency) = match snapshot::take(&host.places(), description, request).await {
            Ok(point) => {
                let consistency = match point.consistency {
                    snapshot::Consistency::Crash => Consistency::CrashConsistent,
                    snapshot::Consistency::FileSystem => Consistency::FileSystemConsistent,
                };
                (Taken::Running(Box::new(point)), consistency)
            }
            // Nobody listens at its monitor: it is off.
            Err(SnapshotError::Unasked(Unasked::Monitor(MonitorError::Absent { .. })))
                if !description.disks.is_empty() =>
            {
                (
                    off_shots(host, description, tracked).await?,
                    Consistency::CrashConsistent,
                )
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            taken,
            moment,
            consistency,
        })
    }

    fn why_not_better(&self) -> Option<String> {
        match &self.taken {
            Taken::Running(point) => point.why_not_better.as_ref().map(ToString::to_string),
            Taken::Off(..) => Some("the virtual machine is switched off".to_owned()),
        }
    }

    /// What is to be said of it, as it is less than it could be.
    pub(super) fn warning(&self) -> Option<String> {
        match &self.taken {
            Taken::Running(point) => match &point.why_not_better {
                None | Some(WhyNotBetter::NotAsked) => None,
                Some(why) => Some(format!("the recovery point is crash-consistent only: {why}")),
            },
            Taken::Off(..) => None,
        }
    }

    /// Its files.
    pub(super) async fn disks(&self, description: &Description) -> Result<Disks, AgentError> {
        let mut disks = Disks::new(self.moment);
        match &self.taken {
            Taken::Running(point) => {
                for disk in &point.disks {
                    let name = name_of_device(&disk.mark.device);
                    let added = disks.add_disk(&name, (&point.socket, &disk.export), &disk.changed, None);
                    added.await.map_err(AgentError::Nbd)?;
                }
            }
            Taken::Off(shots, _) => {
                for shot in shots {
                    let from = (shot.shown.socket(), Shown::EXPORT);
                    let file = Some(shot.disk.disk.file.as_path());
                    let added = disks.add_disk(&shot.name, from, &shot.changed, file);
                    added.await.map_err(AgentError::Nbd)?;
                }
            }
        }
        disks.add_bytes(DESCRIPTION, self.described(description));
        Ok(disks)
    }

    fn described(&self, description: &Description) -> Vec<u8> {
        let milliseconds = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let whole = |changed: &Changed| match changed {
            Changed::Since { .. } => None,
            Changed::Full(why) => Some(why.to_string()),
        };
        let mut described = Described {
            version: 1,
            name: description.name.as_str(),
            consistency: self.consistency,
            why_not_better: self.why_not_better(),
            frozen_ms: None,
            stopped_ms: None,
            disks: Vec::new(),
            left_out: Vec::new(),
        };
        match &self.taken {
            Taken::Running(point) => {
                described.frozen_ms = point.frozen.map(milliseconds);
                described.stopped_ms = point.stopped.map(milliseconds);
                described.disks.extend(point.disks.iter().map(|disk| DescribedDisk {
                    name: name_of_device(&disk.mark.device),
                    device: Some(disk.mark.device.to_string()),
                    file: disk.mark.file.clone(),
                    format: disk.mark.format.to_string(),
                    bytes: disk.mark.size.bytes(),
                    read_whole_because: whole(&disk.changed),
                }));
                let left_out = point.left_out.iter().map(|left_out| DescribedLeftOut {
                    device: left_out.device.clone(),
                    why: left_out.why.to_string(),
                });
                described.left_out.extend(left_out);
            }
            Taken::Off(shots, _) => described.disks.extend(shots.iter().map(|shot| DescribedDisk {
                name: shot.name.clone(),
                device: None,
                file: shot.disk.disk.file.clone(),
                format: shot.disk.disk.format.to_string(),
                bytes: shot.disk.disk.size.bytes(),
                read_whole_because: whole(&shot.changed),
            })),
        }
        serde_json::to_vec_pretty(&described).expect("it is made of texts and numbers")
    }

    /// What the next one is told by, when this one is in the vault.
    ///
    /// Of a machine that is off it is what this one was told by: what has not changed since then has not changed since now.
    pub(super) fn base(&self, tracked: Option<&Tracked>) -> Option<Base> {
        match &self.taken {
            Taken::Running(point) => Some(point.base()),
            Taken::Off(..) => tracked.and_then(|tracked| tracked.base.clone()),
        }
    }

    /// The vault has it, and the next one is told by it: what older ones were told by goes.
    pub(super) async fn commit(&self) {
        if let Taken::Running(point) = &self.taken
            && let Err(error) = point.commit().await
        {
            tracing::info!(%error, "bitmaps of older points go with the next backup");
        }
    }

    pub(super) async fn release(self) {
        match self.taken {
            Taken::Running(point) => {
                if let Err(error) = point.release().await {
                    tracing::warn!("{error}; it is tried again");
                }
            }
            // Who shows them ends with it.
            Taken::Off(..) => {}
        }
    }
}

/// Has all disks shown that are described.
async fn off_shots(host: &Host, description: &Description, tracked: Option<&Tracked>) -> Result<Taken, AgentError> {
    let folder = host.folder_for_sockets()?;
    let mut shots = Vec::new();
    for (number, disk) in off::disks(description).await?.into_iter().enumerate() {
        let known = tracked.and_then(|tracked| tracked.base.as_ref());
        let (name, changed) = known_as(&disk, number, known);
        let bitmap = match &changed {
            Changed::Since { bitmap, .. } => Some(bitmap.as_str()),
            Changed::Full(_) => None,
        };
        let shown = Shown::begin(&disk.disk, bitmap, &folder.path().join(number.to_string())).await?;
        shots.push(OffShot {
            name,
            disk,
            changed,
            shown,
        });
    }
    Ok(Taken::Off(shots, folder))
}

/// How a disk was called while the machine ran, and what has changed on it since the base.
fn known_as(disk: &OffDisk, number: usize, base: Option<&Base>) -> (String, Changed) {
    let mark = base.and_then(|base| base.disks.iter().find(|mark| mark.file == disk.disk.file));
    let (Some(base), Some(mark)) = (base, mark) else {
        return (name_of_disk(&disk.disk, number), Changed::Full(FullReason::First));
    };
    let bitmap = base.point.bitmap();
    let changed = match disk.bitmaps.iter().find(|kept| kept.name == bitmap) {
        _ if !mark.is_of(&disk.disk) => Changed::Full(FullReason::DiskReplaced),
        _ if mark.size > disk.disk.size => Changed::Full(FullReason::Shrunk),
        None => Changed::Full(FullReason::BitmapMissing),
        Some(kept) if !kept.is_believed() => Changed::Full(FullReason::BitmapInconsistent),
        Some(_) => Changed::Since {
            base: base.point,
            bitmap,
            size: mark.size,
        },
    };
    (name_of_device(&mark.device), changed)
}
