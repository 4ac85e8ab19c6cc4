//! Snapshots of logical volumes, by LVM's own commands: lvs(8), lvcreate(8), lvremove(8).
//!
//! LVM holds the file system still for the moment of the snapshot, with its journal written back, so the snapshot can be
//! mounted and nothing in it has to be mended. It is mounted where nobody sees it: only a descriptor leads there, and with the
//! last one the mount ends.
//!
//! A volume of a thin pool shares all that has not changed. The snapshot of any other keeps what is overwritten in space of
//! its own, taken from what is free in the group; when that is full, the snapshot cannot be read any more.

use super::super::mounts::Mount;
use super::mounted::mount_hidden;
use super::tool::{run, run_patiently};
use rustix::fd::OwnedFd;
use rustix::process::geteuid;
use std::path::Path;

/// File systems that a snapshot can be mounted of, and the options that takes: xfs refuses a second one with the same
/// id, and would write its journal back even if there is nothing in it that matters.
const FILE_SYSTEMS: [(&str, &[&str]); 4] = [
    ("ext2", &["ro"]),
    ("ext3", &["ro"]),
    ("ext4", &["ro"]),
    ("xfs", &["ro", "nouuid", "norecovery"]),
];

/// What part of the volume's own size the snapshot must at least have room to keep, if it does not share.
const ROOM_LEAST: u64 = 20;

/// A mounted logical volume.
#[derive(Debug)]
pub(super) struct LogicalVolume<'a> {
    /// Where.
    pub(super) mount: &'a Mount,
    options: &'static [&'static str],
    /// The id of its volume group.
    pub(super) group: String,
    /// `group/name`.
    pub(super) name: String,
    /// In bytes.
    size: u64,
    /// What is free in the volume group, in bytes.
    free: u64,
    is_thin: bool,
}

/// The options of a report of which one line is one thing, and fields are separated by bars: no name of LVM's can have one.
const REPORT: [&str; 5] = ["--noheadings", "--separator=|", "--units=b", "--nosuffix", "--select"];

fn report(program: &str, select: &str, fields: &str) -> Result<Vec<Vec<String>>, String> {
    let printed = run(program, &[&REPORT[..], &[select, "--options", fields]].concat())?;
    let line = |line: &str| line.trim().split('|').map(str::to_owned).collect();
    Ok(printed
        .lines()
        .filter(|text| !text.trim().is_empty())
        .map(line)
        .collect())
}

impl LogicalVolume<'_> {
    /// The logical volume that is mounted there.
    ///
    /// # Errors
    /// Why there cannot be a snapshot: above all, that it is none.
    pub(super) fn of(mount: &Mount) -> Result<LogicalVolume<'_>, String> {
        let file_system = &mount.file_system;
        let (major, minor) = mount.device;
        let uuid = format!("/sys/dev/block/{major}:{minor}/dm/uuid");
        let Some((_, options)) = FILE_SYSTEMS.iter().find(|(name, _)| name == file_system) else {
            return Err(format!("{file_system} has no snapshots that this version could make"));
        };
        if !std::fs::read_to_string(uuid).is_ok_and(|uuid| uuid.starts_with("LVM-")) {
            return Err(format!(
                "{file_system} has snapshots on logical volumes only, and this is none"
            ));
        }
        if !geteuid().is_root() {
            return Err("a snapshot of a logical volume needs root".to_owned());
        }
        let select = format!("lv_kernel_major={major} && lv_kernel_minor={minor}");
        let rows = report("lvs", &select, "vg_uuid,vg_name,lv_name,lv_size,vg_free,pool_lv")?;
        let [row] = rows.as_slice() else {
            return Err(format!("lvs does not know the logical volume {major}:{minor}"));
        };
        let [group, group_name, name, size, free, pool] = row.as_slice() else {
            return Err("lvs answered something that is not understood".to_owned());
        };
        let number = |text: &str| text.parse().map_err(|_| format!("lvs takes {text:?} for a size"));
        Ok(LogicalVolume {
            mount,
            options,
            group: group.clone(),
            name: format!("{group_name}/{name}"),
            size: number(size)?,
            free: number(free)?,
            is_thin: !pool.is_empty(),
        })
    }

    /// How many bytes a snapshot may keep of what is overwritten; `None`, if it shares them.
    ///
    /// With as many as the volume has it can never be full. Half of what is free stays free, for whatever else grows meanwhile.
    pub(super) fn room(&self) -> Result<Option<u64>, String> {
        let room = self.size.min(self.free / 2);
        match room >= self.size / ROOM_LEAST {
            _ if self.is_thin => Ok(None),
            true => Ok(Some(room)),
            false => Err(format!(
                "its volume group has {} MiB free, and a snapshot of {} needs {} MiB",
                self.free >> 20,
                self.name,
                (self.size / ROOM_LEAST * 2).div_ceil(1 << 20),
            )),
        }
    }

    /// Makes a read-only snapshot of this name, which is known by a tag to be this owner's.
    pub(super) fn make(&self, name: &str, owner: &str) -> Result<(), String> {
        let room = self.room()?.map(|room| format!("--size={room}b"));
        let tag = tag(owner);
        let mut arguments = vec!["--yes", "--quiet", "--snapshot", "--permission=r", "--addtag", &tag];
        // A thin one would not be activated, else. Nobody has to watch it: when it is full, that is seen here.
        arguments.extend(["--setactivationskip=n", "--monitor=n", "--name", name]);
        arguments.extend(room.as_deref());
        arguments.push(&self.name);
        run("lvcreate", &arguments).map(drop)
    }

    /// Opens what the snapshot has of the root of the file system.
    pub(super) fn open(&self, name: &str) -> Result<OwnedFd, String> {
        let device = Path::new("/dev").join(&self.name).with_file_name(name);
        let mounted = mount_hidden(&self.mount.file_system, &device, self.options);
        mounted.map_err(|error| format!("the snapshot cannot be mounted: {}", std::io::Error::from(error)))
    }
}

/// Whether a snapshot was full, and could not be read to its end.
pub(super) fn is_full(group: &str, name: &str) -> bool {
    let found = report("lvs", &by_name(group, name), "lv_snapshot_invalid");
    found.is_ok_and(|rows| rows.concat().iter().any(|says| says == "snapshot invalid"))
}

/// Removes a snapshot of this owner, if it is there. What has not his tag stays.
pub(super) fn remove(group: &str, name: &str, owner: &str) -> Result<(), String> {
    if report("vgs", &format!("vg_uuid={group}"), "vg_name")?.is_empty() {
        return Err("its volume group is not there".to_owned());
    }
    let rows = report("lvs", &by_name(group, name), "vg_name,lv_tags,origin")?;
    let Some([group_name, tags, origin]) = rows.first().map(Vec::as_slice) else {
        return Ok(());
    };
    let tag = tag(owner);
    if origin.is_empty() || !tags.split(',').any(|has| has == tag) {
        return Ok(());
    }
    let volume = format!("{group_name}/{name}");
    run_patiently("lvremove", &["--yes", "--quiet", &volume]).map(drop)
}

fn by_name(group: &str, name: &str) -> String {
    format!("vg_uuid={group} && lv_name={name}")
}

fn tag(owner: &str) -> String {
    format!("strongroom-{owner}")
}
