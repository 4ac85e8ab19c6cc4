//! Which file systems hold no data.

use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, fstatfs, openat};
use std::collections::HashMap;
use std::ffi::CStr;

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

/// Remembers which devices are pseudo file systems, so that each is asked about once.
#[derive(Debug, Default)]
pub(super) struct FileSystems {
    pseudo_by_device: HashMap<u64, bool>,
}

impl FileSystems {
    /// Whether the directory `name`, on which `device` is mounted, belongs to a pseudo file system.
    /// One that cannot be asked counts as real: the attempt to read it will tell.
    pub(super) fn is_pseudo(&mut self, device: u64, parent: impl AsFd, name: &CStr) -> bool {
        let ask = || pseudo(parent, name).unwrap_or(false);
        *self.pseudo_by_device.entry(device).or_insert_with(ask)
    }
}

fn pseudo(parent: impl AsFd, name: &CStr) -> rustix::io::Result<bool> {
    // With PATH alone an automount is not triggered.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(parent, name, flags, Mode::empty())?;
    // The kernel keeps the magic in 32 bits; the field is wider on some architectures.
    Ok(PSEUDO.contains(&(fstatfs(&fd)?.f_type as u32)))
}

#[cfg(test)]
mod tests {
    use super::pseudo;
    use rustix::fs::{CWD, Mode, OFlags, openat};

    #[test]
    fn proc_and_sys_are_pseudo_and_tmp_is_not() {
        let root = openat(CWD, c"/", OFlags::PATH, Mode::empty()).unwrap();
        for (name, expected) in [(c"proc", true), (c"sys", true), (c"etc", false), (c"tmp", false)] {
            assert_eq!(pseudo(&root, name), Ok(expected), "{name:?}");
        }
    }
}
