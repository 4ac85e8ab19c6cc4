//! The layers of a point in QEMU: fleece, filter, past and export of each disk, and the NBD server for all of them.
//!
//! All names are made of the point's id, so what an entry of the journal says is enough to take them away again, in
//! whichever state they are.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::bitmaps::{Changed, Plan};
use super::journal::Entry;
use super::point_id::Layer;
use super::sockets::Sockets;
use crate::block;
use crate::disk::NodeName;
use crate::qmp::{Monitor, MonitorError, SHORT};

/// The path of a socket is kept in 108 bytes, the last of which is zero.
const SOCKET_PATH_MAX: usize = 107;

/// How many connections may read at once.
const READERS_MAX: u32 = 8;

/// How long a write of the guest waits for the fleece before the point is given up, in seconds.
const FLEECE_SECONDS_MAX: u32 = 45;

/// The guest is made to run again within this, or somebody is told.
const RESUME_LIMIT: Duration = Duration::from_secs(10);

/// Why layers could not be made, or taken away.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// QEMU has one NBD server, which somebody else started.
    #[error(
        "QEMU's NBD server is in use by somebody else, and there is only one: try again when that backup or migration is over"
    )]
    ForeignServer,
    /// The path of the socket would be too long.
    #[error("{} is too long for the path of a socket: choose a folder with a shorter path", .0.display())]
    PathTooLong(PathBuf),
    /// Some program has connected to the server and says nothing.
    #[error(
        "{0} clients are still connected to QEMU's NBD server, which cannot be stopped without harm to the guest before they are gone"
    )]
    Clients(usize),
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// A verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// QEMU refused, or did not answer.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
}

/// How long is waited for clients that should be gone.
const CLIENTS_LIMIT: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
struct Export {
    id: String,
}

pub(super) fn socket(entry: &Entry) -> PathBuf {
    entry.folder.join("nbd")
}

fn fleece(entry: &Entry, disk: usize) -> PathBuf {
    entry.folder.join(format!("fleece-{disk}"))
}

/// How much room the fleeces take.
pub(super) fn fleece_bytes(entry: &Entry) -> io::Result<u64> {
    let mut bytes = 0;
    for at in 0..entry.disks.len() {
        // Blocks are of 512 bytes here, whatever the file system has.
        bytes += fs::metadata(fleece(entry, at))?.blocks() * 512;
    }
    Ok(bytes)
}

/// Makes fleeces and filters, which nothing passes yet, and starts the server.
pub(super) async fn prepare(monitor: &mut Monitor, entry: &Entry, plans: &[Plan]) -> Result<(), LayerError> {
    make_files(entry, plans, monitor.owner())?;
    let address = json!({"type": "unix", "data": {"path": socket(entry)}});
    let start = json!({"addr": address, "max-connections": READERS_MAX});
    match monitor.command("nbd-server-start", start, SHORT).await {
        Err(error) if error.says("already running") => return Err(LayerError::ForeignServer),
        started => started?,
    };
    for (at, plan) in plans.iter().enumerate() {
        let fleece_node = entry.point.layer(Layer::Fleece, at);
        let file = json!({"driver": "file", "filename": fleece(entry, at)});
        add(
            monitor,
            json!({"driver": "raw", "node-name": fleece_node, "discard": "unmap", "file": file}),
        )
        .await?;
        let filter = entry.point.layer(Layer::Filter, at);
        let filter = json!({"driver": "copy-before-write", "node-name": filter, "file": plan.node, "target": fleece_node,
            "on-cbw-error": "break-snapshot", "cbw-timeout": FLEECE_SECONDS_MAX});
        add(monitor, filter).await?;
    }
    Ok(())
}

/// What a switch came to, and what became of the guest by it.
pub(super) struct Switched {
    /// Whether the filters are in and the bitmaps have begun.
    pub(super) done: Result<(), MonitorError>,
    /// Whether the guest runs again.
    pub(super) resumed: Result<(), MonitorError>,
    /// For how long it did not.
    pub(super) stopped: Duration,
}

/// Puts the filters in and begins the bitmaps, all in one moment: the guest is stopped for it.
pub(super) async fn switch(monitor: &mut Monitor, entry: &Entry, plans: &[Plan], deadline: Instant) -> Switched {
    let begun = Instant::now();
    let mut done = Ok(());
    if entry.was_running {
        done = in_time(monitor, "stop", json!({}), deadline).await;
    }
    if done.is_ok() {
        done = put_in(monitor, entry, plans, deadline).await;
    }
    // Whatever happened, and also if it is not known whether it stopped.
    let resumed = match entry.was_running {
        true => monitor.command("cont", json!({}), RESUME_LIMIT).await.map(drop),
        false => Ok(()),
    };
    let stopped = begun.elapsed();
    Switched { done, resumed, stopped }
}

async fn put_in(monitor: &mut Monitor, entry: &Entry, plans: &[Plan], deadline: Instant) -> Result<(), MonitorError> {
    for (at, disk) in entry.disks.iter().enumerate() {
        let filter = entry.point.layer(Layer::Filter, at);
        let drive = json!({"path": disk.device, "property": "drive", "value": filter});
        in_time(monitor, "qom-set", drive, deadline).await?;
    }
    let actions: Vec<Value> = plans.iter().flat_map(|plan| plan.actions(entry.point)).collect();
    in_time(monitor, "transaction", json!({"actions": actions}), deadline).await
}

async fn in_time(
    monitor: &mut Monitor,
    command: &str,
    arguments: Value,
    deadline: Instant,
) -> Result<(), MonitorError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        let command = command.to_owned();
        return Err(MonitorError::TimedOut { command, limit: left });
    }
    monitor.command(command, arguments, left).await.map(drop)
}

/// Lets the point be read.
pub(super) async fn export(monitor: &mut Monitor, entry: &Entry, plans: &[Plan]) -> Result<(), LayerError> {
    for (at, plan) in plans.iter().enumerate() {
        let [filter, past, export] =
            [Layer::Filter, Layer::Past, Layer::Export].map(|layer| entry.point.layer(layer, at));
        add(
            monitor,
            json!({"driver": "snapshot-access", "node-name": past, "file": filter}),
        )
        .await?;
        let mut options = json!({"type": "nbd", "id": export, "node-name": past, "name": export, "writable": false});
        if let Changed::Since { bitmap, .. } = &plan.changed {
            options["bitmaps"] = json!([{"node": plan.node, "name": bitmap}]);
        }
        monitor.command("block-export-add", options, SHORT).await?;
    }
    Ok(())
}

/// Takes away what is there of a point: readers first, so that nobody reads what is no longer kept.
pub(super) async fn take_away(monitor: &mut Monitor, entry: &Entry) -> Result<(), LayerError> {
    // Nobody connects any more.
    remove_file(&socket(entry))?;
    for at in 0..entry.disks.len() {
        remove_export(monitor, &entry.point.layer(Layer::Export, at)).await?;
    }
    for at in 0..entry.disks.len() {
        remove(monitor, &entry.point.layer(Layer::Past, at)).await?;
        put_back(monitor, entry, at).await?;
        remove(monitor, &entry.point.layer(Layer::Filter, at)).await?;
        remove(monitor, &entry.point.layer(Layer::Fleece, at)).await?;
    }
    for disk in &entry.disks {
        remove_bitmaps(monitor, &disk.node, &[entry.point.changes()]).await?;
    }
    stop_server(monitor, &socket(entry)).await
}

/// Stops the server if it is ours: if it listens where only ours does.
///
/// QEMU stands still, and the guest with it, while it waits for clients that connected and then said nothing. So we wait
/// first, for QEMU to turn them out, which it does after 10 s.
async fn stop_server(monitor: &mut Monitor, socket: &Path) -> Result<(), LayerError> {
    let deadline = Instant::now() + CLIENTS_LIMIT;
    loop {
        let sockets = Sockets::at(socket).map_err(io_error("look for sockets at", socket))?;
        if !sockets.listening {
            return Ok(());
        }
        if sockets.connected == 0 {
            return Ok(monitor.command("nbd-server-stop", json!({}), SHORT).await.map(drop)?);
        }
        if Instant::now() >= deadline {
            return Err(LayerError::Clients(sockets.connected));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether QEMU still has a layer of the point: whether it is the one that the point was made in.
pub(super) async fn exist(monitor: &mut Monitor, entry: &Entry) -> Result<bool, MonitorError> {
    let nodes = block::nodes(monitor).await?;
    let names = nodes.iter().filter_map(|node| node.name());
    let ours: Vec<String> = (0..entry.disks.len())
        .map(|at| entry.point.layer(Layer::Fleece, at))
        .collect();
    Ok(names
        .into_iter()
        .any(|name| ours.iter().any(|ours| ours == name.as_str())))
}

/// Removes bitmaps of a disk that are there, and the disk too.
pub(super) async fn remove_bitmaps(
    monitor: &mut Monitor,
    node: &NodeName,
    names: &[String],
) -> Result<(), MonitorError> {
    let nodes = block::nodes(monitor).await?;
    let Some(found) = nodes.iter().find(|found| found.is(node)) else {
        return Ok(());
    };
    for name in names.iter().filter(|name| found.bitmap(name).is_some()) {
        monitor
            .command("block-dirty-bitmap-remove", json!({"node": node, "name": name}), SHORT)
            .await?;
    }
    Ok(())
}

/// Removes the files of a point.
pub(super) fn remove_files(entry: &Entry) -> Result<(), LayerError> {
    for at in 0..entry.disks.len() {
        remove_file(&fleece(entry, at))?;
    }
    remove_file(&socket(entry))?;
    match fs::remove_dir(&entry.folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io_error("remove", &entry.folder)),
    }
}

async fn add(monitor: &mut Monitor, node: Value) -> Result<(), MonitorError> {
    monitor.command("blockdev-add", node, SHORT).await.map(drop)
}

/// An export goes some time after it was told to: when its readers are gone.
async fn remove_export(monitor: &mut Monitor, id: &str) -> Result<(), MonitorError> {
    let exports: Vec<Export> = monitor.ask("query-block-exports", json!({})).await?;
    if !exports.iter().any(|export| export.id == id) {
        return Ok(());
    }
    match monitor
        .command("block-export-del", json!({"id": id, "mode": "hard"}), SHORT)
        .await
    {
        // An earlier attempt has told it already.
        Err(error) if error.says("already shutting down") => {}
        told => drop(told?),
    }
    let gone = |event: &crate::Event| event.name == "BLOCK_EXPORT_DELETED" && event.data["id"] == id;
    monitor.event(gone, SHORT).await.map(drop)
}

/// The device writes to its disk again, if it writes to our filter.
async fn put_back(monitor: &mut Monitor, entry: &Entry, at: usize) -> Result<(), MonitorError> {
    let disk = &entry.disks[at];
    let filter = entry.point.layer(Layer::Filter, at);
    let devices = block::devices(monitor).await?;
    let device = devices
        .iter()
        .find(|device| device.path().as_ref() == Some(&disk.device));
    if device
        .and_then(|device| device.node())
        .is_none_or(|node| node.as_str() != filter)
    {
        return Ok(());
    }
    let drive = json!({"path": disk.device, "property": "drive", "value": disk.node});
    monitor.command("qom-set", drive, SHORT).await.map(drop)
}

async fn remove(monitor: &mut Monitor, name: &str) -> Result<(), MonitorError> {
    let nodes = block::nodes(monitor).await?;
    let there = nodes
        .iter()
        .filter_map(|node| node.name())
        .any(|node| node.as_str() == name);
    match there {
        true => monitor
            .command("blockdev-del", json!({"node-name": name}), SHORT)
            .await
            .map(drop),
        false => Ok(()),
    }
}

/// The folder and the fleeces, which QEMU has to be able to write to and nobody else.
fn make_files(entry: &Entry, plans: &[Plan], owner: io::Result<(u32, u32)>) -> Result<(), LayerError> {
    let socket = socket(entry);
    if socket.as_os_str().len() > SOCKET_PATH_MAX {
        return Err(LayerError::PathTooLong(socket));
    }
    let owner = owner.map_err(io_error("ask who listens on the monitor, for", &entry.folder))?;
    let above = entry.folder.parent().expect("it is a folder of ours in another");
    // QEMU may run as another user, who has to come through.
    let made = DirBuilder::new().recursive(true).mode(0o711).create(above);
    made.map_err(io_error("make", above))?;
    let made = DirBuilder::new().mode(0o700).create(&entry.folder);
    made.map_err(io_error("make", &entry.folder))?;
    give(&entry.folder, owner)?;
    for (at, plan) in plans.iter().enumerate() {
        let path = fleece(entry, at);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let sized = file.and_then(|file| file.set_len(plan.mark.size.bytes()));
        sized.map_err(io_error("make", &path))?;
        give(&path, owner)?;
    }
    Ok(())
}

fn give(path: &Path, (user, group): (u32, u32)) -> Result<(), LayerError> {
    match chown(path, Some(user), Some(group)) {
        // Who is not root can only share QEMU's user.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        given => given.map_err(io_error("give QEMU", path)),
    }
}

fn remove_file(path: &Path) -> Result<(), LayerError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io_error("remove", path)),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayerError {
    let path = path.to_owned();
    move |source| LayerError::Io { action, path, source }
}
