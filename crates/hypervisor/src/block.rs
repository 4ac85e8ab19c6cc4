//! What QEMU tells of its devices and of the nodes that block devices are made of. See its `qapi/block-core.json`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::disk::{NodeName, QomPath};
use crate::qmp::{Monitor, MonitorError};

/// A format over a filter or two over a file.
const NESTED_MAX: usize = 8;

/// One of `query-block`: a device as the guest has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Device {
    /// In QOM, or an id, or nothing if the guest has no such device.
    qdev: Option<String>,
    /// The name of an older kind: of `-drive`.
    #[serde(default)]
    device: String,
    pub(crate) removable: bool,
    pub(crate) inserted: Option<Inserted>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Inserted {
    #[serde(rename = "node-name")]
    pub(crate) node: Option<String>,
    pub(crate) ro: bool,
    pub(crate) drv: String,
    pub(crate) file: String,
}

/// One of `query-named-block-nodes`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Node {
    #[serde(default)]
    node_name: String,
    pub(crate) drv: String,
    #[serde(default)]
    pub(crate) file: PathBuf,
    pub(crate) image: Image,
    #[serde(default)]
    pub(crate) dirty_bitmaps: Vec<Bitmap>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Image {
    pub(crate) virtual_size: u64,
    #[serde(default)]
    format_specific: Value,
}

/// A dirty bitmap. A running job has one without a name.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Bitmap {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) recording: bool,
    pub(crate) busy: bool,
    #[serde(default)]
    pub(crate) inconsistent: bool,
    pub(crate) granularity: u64,
}

/// One of `query-chardev`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Chardev {
    filename: String,
    pub(crate) frontend_open: bool,
}

impl Device {
    /// Its place in QOM, if the guest has it.
    pub(crate) fn path(&self) -> Option<QomPath> {
        let qdev = self.qdev.as_deref().filter(|qdev| !qdev.is_empty())?;
        let path = match qdev.starts_with('/') {
            true => qdev.to_owned(),
            // Devices of one piece are told by their id.
            false => format!("/machine/peripheral/{qdev}"),
        };
        path.parse().ok()
    }

    /// How an administrator would call it.
    pub(crate) fn shown(&self) -> String {
        let name = self.qdev.as_deref().filter(|qdev| !qdev.is_empty());
        name.unwrap_or(&self.device).to_owned()
    }

    /// The node that the device's reads and writes go to.
    pub(crate) fn node(&self) -> Option<NodeName> {
        self.inserted.as_ref()?.node.as_ref()?.parse().ok()
    }
}

impl Node {
    pub(crate) fn is(&self, name: &NodeName) -> bool {
        self.node_name == name.as_str()
    }

    pub(crate) fn name(&self) -> Option<NodeName> {
        self.node_name.parse().ok()
    }

    /// Whether the format can keep bitmaps: qcow2 can since its version 3, which it calls 1.1.
    pub(crate) fn keeps_bitmaps(&self) -> bool {
        self.drv == "qcow2" && self.image.format_specific["data"]["compat"] != "0.10"
    }

    /// The file that is written to. Where a name does not say all, QEMU gives the whole tree of nodes as JSON.
    pub(crate) fn written_file(&self) -> Option<PathBuf> {
        let text = self.file.to_str()?;
        let Some(tree) = text.strip_prefix("json:") else {
            return Some(self.file.clone()).filter(|file| !file.as_os_str().is_empty());
        };
        let tree: Value = serde_json::from_str(tree).ok()?;
        let mut node = &tree;
        for _ in 0..NESTED_MAX {
            if let Some(name) = node["filename"].as_str() {
                return Some(name.into());
            }
            node = &node["file"];
        }
        None
    }

    pub(crate) fn bitmap(&self, name: &str) -> Option<&Bitmap> {
        self.dirty_bitmaps.iter().find(|bitmap| bitmap.name == name)
    }
}

impl Chardev {
    /// Whether it is a socket at this path: `unix:PATH,server=on`, perhaps after `disconnected:`.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let name = self.filename.strip_prefix("disconnected:").unwrap_or(&self.filename);
        let name = name.strip_prefix("unix:").unwrap_or_default();
        let at = name.rsplit_once(",server").map_or(name, |(at, _)| at);
        Path::new(at) == path
    }
}

pub(crate) async fn devices(monitor: &mut Monitor) -> Result<Vec<Device>, MonitorError> {
    monitor.ask("query-block", json!({})).await
}

/// All nodes, those of backing files too. `flat` leaves these out of each other's descriptions.
pub(crate) async fn nodes(monitor: &mut Monitor) -> Result<Vec<Node>, MonitorError> {
    monitor.ask("query-named-block-nodes", json!({"flat": true})).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_known_by_its_path() {
        let chardev = |filename: &str| Chardev {
            filename: filename.to_owned(),
            frontend_open: true,
        };
        let path = Path::new("/run/a,b.sock");
        for (filename, ours) in [
            ("unix:/run/a,b.sock,server=on", true),
            ("disconnected:unix:/run/a,b.sock,server=on", true),
            ("unix:/run/a,b.sock", true),
            ("unix:/run/a,b.sock2,server=on", false),
            ("file", false),
            ("", false),
        ] {
            assert_eq!(chardev(filename).is_at(path), ours, "{filename}");
        }
    }

    #[test]
    fn the_file_is_found_however_it_is_told() {
        let over = r#"json:{"backing": {"file": {"filename": "/b"}}, "driver": "qcow2", "file": {"driver": "file", "filename": "/o"}}"#;
        for (told, file) in [
            ("/a", Some("/a")),
            ("", None),
            ("json:", None),
            ("json:{}", None),
            (over, Some("/o")),
        ] {
            let node = json!({"node-name": "d", "drv": "qcow2", "file": told, "image": {"virtual-size": 512}});
            let node: Node = serde_json::from_value(node).unwrap();
            assert_eq!(node.written_file(), file.map(PathBuf::from), "{told}");
        }
    }

    #[test]
    fn devices_are_told_by_path_or_by_id() {
        for (qdev, path) in [
            (
                "\"/machine/peripheral/a/virtio-backend\"",
                Some("/machine/peripheral/a/virtio-backend"),
            ),
            ("\"disk-1\"", Some("/machine/peripheral/disk-1")),
            ("\"\"", None),
            ("null", None),
        ] {
            let text = format!(r#"{{"qdev": {qdev}, "device": "", "removable": false, "locked": false}}"#);
            let device: Device = serde_json::from_str(&text).unwrap();
            assert_eq!(device.path().as_ref().map(QomPath::as_str), path);
        }
    }
}
