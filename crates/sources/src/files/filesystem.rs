//! Which mount points a walk does not cross.

use super::mounts::Mounts;
use super::volume;
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, fstatfs, openat};
use std::collections::{BTreeSet, HashMap};
use std::ffi::CStr;
use strongroom_model::VolumeKind;

/// Magic numbers of file systems that only show the state of the kernel: linux/magic.h and the
/// sources of the file systems. Backing them up would be wrong (endless, dangerous or pointless).
/// An automount point that nobody has triggered counts too: looking must not mount.
const PSEUDO: [u32; 28] = [
    0x0000_9fa0, // proc
    0x0000_9fa1, // openprom
    0x0000_9fa2, // usbdevice
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x0000_1cd1, // devpts
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xcafe_4a11, // bpf
    0xf97c_ff8c, // selinux
    0x4341_5d53, // smack
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0x1980_0202, // mqueue
    0x4249_4e4d, // binfmt_misc
    0x6573_5543, // fusectl
    0x0000_0187, // autofs
    0x6e73_6673, // nsfs
    0x9584_58f6, // hugetlbfs
    0x6759_6969, // rpc_pipefs
    0x6e66_7364, // nfsd
    0x6c6f_6f70, // binderfs
    0x0765_5821, // resctrl
    0xabba_1974, // xenfs
    0x5a3c_69f0, // apparmorfs
];

/// Whether a walk goes into what is mounted at a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Crossing {
    /// It does.
    Enter,
    /// It holds no data.
    Pseudo,
    /// It is of a kind that has to be allowed; and the volume in words.
    Volume(VolumeKind, String),
}

/// Remembers what is known of each device, so that each is asked about once.
#[derive(Debug)]
pub(super) struct FileSystems {
    mounts: Mounts,
    allowed: BTreeSet<VolumeKind>,
    by_device: HashMap<u64, Crossing>,
}

impl FileSystems {
    /// Nothing is known yet.
    pub(super) fn new(mounts: Mounts, allowed: BTreeSet<VolumeKind>) -> FileSystems {
        FileSystems {
            mounts,
            allowed,
            by_device: HashMap::new(),
        }
    }

    /// What is mounted where.
    pub(super) fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// Whether to enter the directory `name`, on which `device` is mounted. One that cannot be asked is entered: the attempt
    /// to read it will tell.
    pub(super) fn crossing(&mut self, device: u64, parent: impl AsFd, name: &CStr) -> Crossing {
        let ask = || crossing(&self.mounts, &self.allowed, parent, name).unwrap_or(Crossing::Enter);
        self.by_device.entry(device).or_insert_with(ask).clone()
    }
}

fn crossing(
    mounts: &Mounts,
    allowed: &BTreeSet<VolumeKind>,
    parent: impl AsFd,
    name: &CStr,
) -> rustix::io::Result<Crossing> {
    // With PATH alone an automount is not triggered.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(parent, name, flags, Mode::empty())?;
    let mount = mounts.of(&directory);
    // To statfs, devtmpfs is a tmpfs.
    if is_pseudo(&directory)? || mount.is_some_and(|mount| mount.file_system == "devtmpfs") {
        return Ok(Crossing::Pseudo);
    }
    let of_kind = mount.and_then(|mount| Some((volume::kind(mount)?, mount)));
    Ok(match of_kind {
        Some((kind, mount)) if !allowed.contains(&kind) => Crossing::Volume(kind, volume::in_words(kind, mount)),
        _ => Crossing::Enter,
    })
}

/// Whether something open, if only by its path, lies on a file system that only shows the state of the kernel.
pub(super) fn is_pseudo(fd: impl AsFd) -> rustix::io::Result<bool> {
    // The kernel keeps the magic in 32 bits; the field is wider on some architectures.
    Ok(PSEUDO.contains(&(fstatfs(fd)?.f_type as u32)))
}

#[cfg(test)]
mod tests {
    use super::is_pseudo;
    use rustix::fs::{CWD, Mode, OFlags, openat};

    #[test]
    fn proc_and_sys_are_pseudo_and_tmp_is_not() {
        for (name, expected) in [(c"/proc", true), (c"/sys", true), (c"/etc", false), (c"/tmp", false)] {
            let handle = openat(CWD, name, OFlags::PATH, Mode::empty()).unwrap();
            assert_eq!(is_pseudo(&handle), Ok(expected), "{name:?}");
        }
    }
}
