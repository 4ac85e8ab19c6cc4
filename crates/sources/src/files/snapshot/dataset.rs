//! Snapshots of datasets, by ZFS' own commands: zfs-snapshot(8), zfs-get(8), zfs-destroy(8).
//!
//! What ZFS shows of a snapshot below `.zfs` it mounts in the tree, and leaves there for some minutes; so it is mounted anew,
//! where nobody sees it.

use super::super::mounts::Mount;
use super::mounted::mount_hidden;
use super::tool::{run, run_patiently};
use rustix::fd::OwnedFd;
use std::path::Path;

/// `ZFSCTL_INO_ROOT`: the inode of `.zfs`.
pub(super) const CONTROL_ROOT: u64 = (1 << 48) - 1;

/// The property that tells whose a snapshot is.
const OWNER: &str = "strongroom:machine";

/// A mounted dataset.
#[derive(Debug)]
pub(super) struct Dataset<'a> {
    /// Where.
    pub(super) mount: &'a Mount,
    /// `pool/name`.
    pub(super) name: &'a str,
}

impl Dataset<'_> {
    /// The dataset that is mounted there.
    pub(super) fn of(mount: &Mount) -> Result<Dataset<'_>, String> {
        let name = mount.source.to_str().ok_or("the name of its dataset is no UTF-8")?;
        Ok(Dataset { mount, name })
    }

    /// Whether it is a snapshot itself, which nobody can write to.
    pub(super) fn is_read_only(&self) -> bool {
        self.name.contains('@')
    }

    /// Whether a snapshot can be made, as far as can be said before.
    pub(super) fn check(&self) -> Result<(), String> {
        run("zfs", &["list", "-H", "-o", "name", self.name]).map(drop)
    }

    /// Makes a snapshot of this name, which is known by a property to be this owner's.
    pub(super) fn make(&self, name: &str, owner: &str) -> Result<(), String> {
        let property = format!("{OWNER}={owner}");
        run("zfs", &["snapshot", "-o", &property, &snapshot(self.name, name)]).map(drop)
    }

    /// Opens what the snapshot has of the root of the file system.
    pub(super) fn open(&self, name: &str) -> Result<OwnedFd, String> {
        let mounted = mount_hidden("zfs", Path::new(&snapshot(self.name, name)), &["ro"]);
        mounted.map_err(|error| format!("the snapshot cannot be mounted: {}", std::io::Error::from(error)))
    }
}

/// Removes a snapshot of this owner, if it is there. What has not his property stays.
pub(super) fn remove(dataset: &str, name: &str, owner: &str) -> Result<(), String> {
    let pool = dataset.split('/').next().unwrap_or(dataset);
    run("zfs", &["list", "-H", "-o", "name", pool])?;
    let snapshot = snapshot(dataset, name);
    match run("zfs", &["get", "-H", "-o", "value", OWNER, &snapshot]) {
        Ok(found) if found.trim() == owner => run_patiently("zfs", &["destroy", &snapshot]).map(drop),
        Err(why) if !why.contains("does not exist") => Err(why),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn snapshot(dataset: &str, name: &str) -> String {
    format!("{dataset}@{name}")
}
