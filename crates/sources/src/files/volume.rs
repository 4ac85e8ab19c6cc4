//! Which volumes are backed up without being asked for by name (SEMANTICS.md §3.4, in Linux terms).
//!
//! A volume on another computer is backed up there, faster and once; one that can be taken out may be absent, and its
//! absence would look like a deletion; what a user's program makes up may be endless, or stop the backup. A volume that is
//! mounted read-only is as good as another: nothing is written to a source.

use super::fstab::Absences;
use super::mounts::{Mount, Mounts};
use super::selection::Selection;
use rustix::fs::{CWD, Mode, OFlags, major, minor, openat, stat};
use std::fs;
use std::path::{Path, PathBuf};
use strongroom_model::VolumeKind;

/// File systems that lie on another computer: their types in mountinfo.
const NETWORK: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "virtiofs",
    "afs",
    "ceph",
    "coda",
    "glusterfs",
    "lustre",
    "ncpfs",
    "ocfs2",
    "gfs2",
    "beegfs",
    "davfs",
    "orangefs",
    "pvfs2",
];

/// The same, of programs: what stands behind `fuse.`.
const NETWORK_PROGRAMS: &[&str] = &[
    "sshfs",
    "glusterfs",
    "rclone",
    "s3fs",
    "davfs2",
    "davfs",
    "curlftpfs",
    "ceph",
    "ceph-fuse",
    "gcsfuse",
    "goofys",
    "juicefs",
    "smbnetfs",
    "mount.sshfs",
    "moosefs",
    "mfs",
    "vmhgfs-fuse",
    "google-drive-ocamlfuse",
];

/// How deep volumes are built on volumes.
const LAYERS_MAX: usize = 8;

/// A selected path that is not backed up where it lies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Its volume is of a kind that somebody has to allow.
    #[error(
        "{} is on {what}, which is not backed up unless you say so: allow it with --allow {switch}, or select something else",
        path.display()
    )]
    NotAllowed {
        /// What was selected.
        path: PathBuf,
        /// The volume, in words.
        what: String,
        /// How to allow it.
        switch: String,
    },
    /// It shows the state of the kernel.
    #[error("{} is on a pseudo file system ({file_system}): it shows the state of the kernel, and holds no data to back up. Select something else", path.display())]
    Pseudo {
        /// What was selected.
        path: PathBuf,
        /// Which.
        file_system: String,
    },
    /// Everything that was selected lies on volumes that are not mounted.
    #[error("nothing of what is selected is there: {0}")]
    Absent(String),
}

impl Selection {
    /// Refuses a selected path on a volume that has to be allowed, and a selection of nothing but what is not mounted.
    ///
    /// Before a backup begins. One that lies deeper, the walk leaves out, with a warning.
    pub fn check_volumes(&self) -> Result<(), VolumeError> {
        let mounts = Mounts::load();
        for root in self.roots() {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // What is not there is told by the walk.
            let Ok(handle) = openat(CWD, root, flags, Mode::empty()) else {
                continue;
            };
            if super::filesystem::is_pseudo(&handle).unwrap_or(false) {
                let file_system = mounts.of(&handle).map_or("unknown", |mount| &mount.file_system);
                return Err(VolumeError::Pseudo {
                    path: root.clone(),
                    file_system: file_system.to_owned(),
                });
            }
            if let Some(mount) = mounts.of(&handle)
                && let Some(kind) = kind(mount).filter(|kind| !self.rules().allowed.contains(kind))
            {
                return Err(VolumeError::NotAllowed {
                    path: root.clone(),
                    what: in_words(kind, mount),
                    switch: kind.as_str().to_ascii_lowercase(),
                });
            }
        }
        let absences = Absences::load(&mounts);
        let absent = self.roots().iter().map(|root| absences.above(root));
        match absent.collect::<Option<Vec<_>>>().as_deref() {
            Some([first, ..]) => Err(VolumeError::Absent(first.why.clone())),
            _ => Ok(()),
        }
    }
}

/// The volume that something lies on, in words, if it is of a kind that has to be allowed: network, removable, FUSE.
pub fn volume_to_allow(path: &Path) -> Option<String> {
    let handle = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mounts = Mounts::load();
    let mount = mounts.of(&handle)?;
    Some(in_words(kind(mount)?, mount))
}

/// Of which kind a mount is, if it is of one that has to be allowed.
pub(super) fn kind(mount: &Mount) -> Option<VolumeKind> {
    let file_system = mount.file_system.as_str();
    if NETWORK.contains(&file_system) {
        return Some(VolumeKind::Network);
    }
    match file_system.strip_prefix("fuse.") {
        Some(program) if NETWORK_PROGRAMS.contains(&program) => Some(VolumeKind::Network),
        Some(_) => Some(VolumeKind::Fuse),
        None if file_system == "fuse" => Some(VolumeKind::Fuse),
        // The machine runs from it: a card in a small computer, a stick in a live system.
        None if mount.point == Path::new("/") => None,
        None => {
            let removable =
                block_device(mount).is_some_and(|device| is_removable(device, Path::new("/sys"), LAYERS_MAX));
            removable.then_some(VolumeKind::Removable)
        }
    }
}

/// A volume for people.
pub(super) fn in_words(kind: VolumeKind, mount: &Mount) -> String {
    let what = match kind {
        VolumeKind::Network => "a network volume",
        VolumeKind::Removable => "a removable volume",
        VolumeKind::Fuse => "a volume that a program makes up (FUSE)",
    };
    let Mount {
        file_system,
        source,
        point,
        ..
    } = mount;
    format!(
        "{what} ({file_system} of {}, mounted at {})",
        source.display(),
        point.display()
    )
}

/// File systems that span devices (btrfs) have numbers of no device; then what is mounted names one.
fn block_device(mount: &Mount) -> Option<(u32, u32)> {
    if mount.device.0 != 0 {
        return Some(mount.device);
    }
    let found = mount.source.starts_with("/dev").then(|| stat(&mount.source).ok())??;
    Some((major(found.st_rdev), minor(found.st_rdev)))
}

/// What the kernel says of the disk of a block device, or of any of those that it is built on.
fn is_removable((major, minor): (u32, u32), sys: &Path, layers: usize) -> bool {
    let Ok(device) = sys.join(format!("dev/block/{major}:{minor}")).canonicalize() else {
        return false;
    };
    let is_partition = device.join("partition").exists();
    let disk = if is_partition {
        device.parent().unwrap_or(&device)
    } else {
        &device
    };
    let says = fs::read_to_string(disk.join("removable"));
    says.is_ok_and(|says| says.trim() == "1")
        || layers > 0
            && slaves(&device)
                .iter()
                .any(|&slave| is_removable(slave, sys, layers - 1))
}

/// The devices that a mapped device, or a RAID, is built on.
fn slaves(device: &Path) -> Vec<(u32, u32)> {
    let Ok(folder) = fs::read_dir(device.join("slaves")) else {
        return Vec::new();
    };
    let numbers = folder.filter_map(|slave| {
        let text = fs::read_to_string(slave.ok()?.path().join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::{Mount, is_removable, kind};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use strongroom_model::VolumeKind;

    fn mount(file_system: &str) -> Mount {
        Mount {
            point: "/mnt/x".into(),
            file_system: file_system.to_owned(),
            source: "source".into(),
            root: "/".into(),
            device: (0, 99),
        }
    }

    #[test]
    fn file_systems_have_kinds() {
        for (file_system, expected) in [
            ("ext4", None),
            ("tmpfs", None),
            ("zfs", None),
            ("fuseblk", None),
            ("nfs4", Some(VolumeKind::Network)),
            ("cifs", Some(VolumeKind::Network)),
            ("9p", Some(VolumeKind::Network)),
            ("fuse.sshfs", Some(VolumeKind::Network)),
            ("fuse.bindfs", Some(VolumeKind::Fuse)),
            ("fuse", Some(VolumeKind::Fuse)),
        ] {
            assert_eq!(kind(&mount(file_system)), expected, "{file_system}");
        }
    }

    /// The folders of sysfs, as far as they matter: a stick with one partition, a fixed disk, and a mapped device on each.
    #[test]
    fn a_stick_is_removable_and_what_is_built_on_it_too() {
        let folder = tempfile::tempdir().unwrap();
        let sys = folder.path();
        let device = |path: &str, number: &str, slave: Option<&str>| {
            let at = sys.join("devices").join(path);
            fs::create_dir_all(at.join("slaves")).unwrap();
            fs::write(at.join("dev"), format!("{number}\n")).unwrap();
            fs::create_dir_all(sys.join("dev/block")).unwrap();
            symlink(&at, sys.join("dev/block").join(number)).unwrap();
            if let Some(slave) = slave {
                symlink(sys.join("devices").join(slave), at.join("slaves/slave")).unwrap();
            }
            at
        };
        fs::write(device("sda", "8:0", None).join("removable"), "1\n").unwrap();
        fs::write(device("sda/sda1", "8:1", None).join("partition"), "1\n").unwrap();
        fs::write(device("sdb", "8:16", None).join("removable"), "0\n").unwrap();
        fs::write(device("dm-0", "253:0", Some("sda/sda1")).join("removable"), "0\n").unwrap();
        fs::write(device("dm-1", "253:1", Some("sdb")).join("removable"), "0\n").unwrap();
        for (number, expected) in [
            ((8, 0), true),
            ((8, 1), true),
            ((8, 16), false),
            ((253, 0), true),
            ((253, 1), false),
            ((9, 9), false),
        ] {
            assert_eq!(is_removable(number, Path::new(sys), 8), expected, "{number:?}");
        }
    }
}
