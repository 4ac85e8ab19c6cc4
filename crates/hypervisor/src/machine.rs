//! A virtual machine as QEMU tells of it.

use std::path::PathBuf;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::block::{self, Device, Node};
use crate::capabilities::Capabilities;
use crate::description::{DescriptionError, MachineName};
use crate::disk::{Bitmaps, Disk, DiskFormat, DiskSize, LeftOut, QomPath, WhyLeftOut};
use crate::qmp::{Monitor, MonitorError, QemuVersion};

/// Nodes of ours begin with this, and nobody else's should.
pub(crate) const OURS: &str = "ob-";

/// What a virtual machine does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// Somebody paused it, or it has not begun, or is being moved: QEMU runs, the guest does not.
    Paused,
    /// QEMU paused it because a disk refused a write.
    IoError,
    /// There is no QEMU.
    Off,
}

/// What is known of the agent in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// The description names no socket for one.
    None,
    /// Nobody in the guest has opened the channel.
    Absent,
    /// It is there, and does not answer.
    Silent,
    /// It answers; its version.
    Answers(String),
}

/// Why a virtual machine could not be asked; each is a sentence for the administrator of the host.
#[derive(Debug, thiserror::Error)]
pub enum Unasked {
    /// It is not described as it should be.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// Its monitor does not answer as it should.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// The monitor is another machine's.
    #[error("another virtual machine answers at {}: its UUID is {found}, not {expected}", path.display())]
    Another {
        /// The monitor.
        path: PathBuf,
        /// What it says.
        found: Uuid,
        /// What the description says.
        expected: Uuid,
    },
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// As the host calls it.
    pub name: MachineName,
    /// QEMU's `-uuid`; none if it was given none.
    pub uuid: Option<Uuid>,
    /// What it does.
    pub state: State,
    /// What can be backed up.
    pub disks: Vec<Disk>,
    /// What cannot, and why.
    pub left_out: Vec<LeftOut>,
    /// The agent in the guest.
    pub agent: AgentState,
    /// Which QEMU runs it, if one does.
    pub qemu: Option<QemuVersion>,
    /// What that can do.
    pub capabilities: Option<Capabilities>,
}

pub(crate) async fn capabilities(monitor: &mut Monitor) -> Result<Capabilities, MonitorError> {
    let schema: Vec<Value> = monitor.ask("query-qmp-schema", json!({})).await?;
    Ok(Capabilities::of_schema(&schema))
}

pub(crate) async fn uuid(monitor: &mut Monitor) -> Result<Option<Uuid>, MonitorError> {
    let answer: Value = monitor.ask("query-uuid", json!({})).await?;
    let uuid = answer["UUID"].as_str().and_then(|text| Uuid::parse_str(text).ok());
    Ok(uuid.filter(|uuid| !uuid.is_nil()))
}

pub(crate) async fn state(monitor: &mut Monitor) -> Result<State, MonitorError> {
    let answer: Value = monitor.ask("query-status", json!({})).await?;
    Ok(match answer["status"].as_str() {
        Some("running") => State::Running,
        Some("io-error") => State::IoError,
        _ => State::Paused,
    })
}

/// Whether the guest stands still because somebody said `stop`, and for no other reason.
pub(crate) async fn was_told_to_stop(monitor: &mut Monitor) -> Result<bool, MonitorError> {
    let answer: Value = monitor.ask("query-status", json!({})).await?;
    Ok(answer["status"] == "paused")
}

/// A machine's disks, and what is none, in QEMU's order.
pub(crate) async fn disks(monitor: &mut Monitor) -> Result<(Vec<Disk>, Vec<LeftOut>), MonitorError> {
    let nodes = block::nodes(monitor).await?;
    let (mut disks, mut left_out) = (Vec::new(), Vec::new());
    for device in block::devices(monitor).await? {
        let looked = match disk(&device, &nodes) {
            Ok((path, _)) if has_io_thread(monitor, &path).await? => Err(WhyLeftOut::IoThread),
            looked => looked.map(|(_, disk)| disk),
        };
        match looked {
            Ok(disk) => disks.push(disk),
            Err(why) => left_out.push(LeftOut {
                device: device.shown(),
                why,
            }),
        }
    }
    Ok((disks, left_out))
}

fn disk(device: &Device, nodes: &[Node]) -> Result<(QomPath, Disk), WhyLeftOut> {
    if device.removable {
        return Err(WhyLeftOut::Removable);
    }
    let inserted = device.inserted.as_ref().ok_or(WhyLeftOut::Empty)?;
    if inserted.ro {
        return Err(WhyLeftOut::ReadOnly);
    }
    let path = device.path().ok_or(WhyLeftOut::Unattached)?;
    let malformed = |why: &str| WhyLeftOut::Malformed(why.to_owned());
    let name = device.node().ok_or_else(|| malformed("its node has no name"))?;
    let of_disk = |node: &&Node| match name.as_str().starts_with(OURS) && inserted.drv == "copy-before-write" {
        // While a point of ours exists, its filter stands between the device and the disk.
        true => node.file.as_os_str() == inserted.file.as_str() && is_format(node),
        false => node.is(&name),
    };
    let node = nodes
        .iter()
        .find(of_disk)
        .ok_or_else(|| malformed("its node is not listed"))?;
    let size = DiskSize::try_from(node.image.virtual_size).map_err(|error| malformed(&error.to_string()))?;
    let disk = Disk {
        device: Some(path.clone()),
        node: node.name(),
        file: node
            .written_file()
            .ok_or_else(|| malformed("it cannot be told in which file it is"))?,
        format: DiskFormat::of(&node.drv),
        size,
        bitmaps: match node.keeps_bitmaps() {
            true => Bitmaps::Persistent,
            false => Bitmaps::Transient,
        },
    };
    Ok((path, disk))
}

/// Whether a node is of a format, and neither ours nor the file below one.
fn is_format(node: &Node) -> bool {
    let below = ["file", "host_device", "copy-before-write", "snapshot-access"];
    !below.contains(&node.drv.as_str()) && node.name().is_some_and(|name| !name.as_str().starts_with(OURS))
}

/// The device tells, or that which it is the inside of.
async fn has_io_thread(monitor: &mut Monitor, path: &QomPath) -> Result<bool, MonitorError> {
    let inside = path.as_str();
    let mut places = vec![inside];
    places.extend(inside.rsplit_once('/').map(|(outside, _)| outside));
    // A disk of a SCSI bus is served by the thread of its controller, two steps up by `parent_bus`.
    for place in places {
        if is_set(monitor, place, "iothread").await? {
            return Ok(true);
        }
    }
    let bus = text(monitor, inside, "parent_bus").await?;
    match bus.as_deref().and_then(|bus| bus.rsplit_once('/')) {
        Some((controller, _)) => Ok(is_set(monitor, controller, "iothread").await?
            || match controller.rsplit_once('/') {
                Some((outside, _)) => is_set(monitor, outside, "iothread").await?,
                None => false,
            }),
        None => Ok(false),
    }
}

async fn is_set(monitor: &mut Monitor, path: &str, property: &str) -> Result<bool, MonitorError> {
    Ok(text(monitor, path, property)
        .await?
        .is_some_and(|value| !value.is_empty()))
}

/// A property of a device, if it has that.
async fn text(monitor: &mut Monitor, path: &str, property: &str) -> Result<Option<String>, MonitorError> {
    match monitor
        .ask::<Value>("qom-get", json!({"path": path, "property": property}))
        .await
    {
        Ok(value) => Ok(value.as_str().map(str::to_owned)),
        Err(MonitorError::Command { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
