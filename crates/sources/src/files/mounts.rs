//! What is mounted where: `/proc/self/mountinfo`, proc_pid_mountinfo(5).

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, StatxFlags, statx};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where.
    pub(super) point: PathBuf,
    /// Such as `ext4`, `nfs4`, `fuse.sshfs`.
    pub(super) file_system: String,
    /// What is mounted: a device, a server's folder, or just a word.
    pub(super) source: PathBuf,
    /// What of the file system is there: its root, or the folder below it that is bound there.
    pub(super) root: PathBuf,
    /// Numbers of the device; 0 and any, if the file system has no block device.
    pub(super) device: (u32, u32),
}

/// All mounts that this process sees.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    by_id: HashMap<u64, Mount>,
    /// Where, by paths relative to `/`.
    points: HashSet<Vec<u8>>,
}

impl Mounts {
    /// As they are now. Without `/proc` none is known.
    pub(super) fn load() -> Mounts {
        Mounts::parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default())
    }

    fn parse(text: &[u8]) -> Mounts {
        let by_id: HashMap<u64, Mount> = text.split(|&byte| byte == b'\n').filter_map(parse_line).collect();
        let points = by_id.values().map(|mount| below_root(&mount.point).to_vec()).collect();
        Mounts { by_id, points }
    }

    /// The mount that something open lies on. With a path alone (O_PATH), no automount is triggered.
    pub(super) fn of(&self, fd: impl AsFd) -> Option<&Mount> {
        let stat = statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
        let is_known = stat.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        self.by_id.get(&stat.stx_mnt_id).filter(|_| is_known)
    }

    /// Whether something is mounted there.
    pub(super) fn is_mounted(&self, point: &Path) -> bool {
        self.has_at(below_root(point))
    }

    /// Whether something is mounted at a path relative to `/`.
    pub(super) fn has_at(&self, path: &[u8]) -> bool {
        self.points.contains(path)
    }

    /// The mounts of file systems of this type.
    pub(super) fn of_type(&self, file_system: &'static str) -> impl Iterator<Item = &Mount> {
        let mounts = self.by_id.values();
        mounts.filter(move |mount| mount.file_system == file_system)
    }
}

fn below_root(path: &Path) -> &[u8] {
    let path = path.as_os_str().as_bytes();
    path.strip_prefix(b"/").unwrap_or(path)
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &[u8]) -> Option<(u64, Mount)> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = text(fields.next()?)?.parse().ok()?;
    let (major, minor) = text(fields.nth(1)?)?.split_once(':')?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    // Optional fields end with a dash.
    fields.find(|field| *field == b"-")?;
    let mount = Mount {
        point,
        file_system: text(fields.next()?)?.to_owned(),
        source: unescape(fields.next()?),
        root,
        device,
    };
    Some((id, mount))
}

fn text(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok()
}

/// Blanks, tabs, line ends and backslashes are `\ooo`, in mountinfo and in fstab.
pub(super) fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let octal = octal.and_then(|digits| u8::from_str_radix(text(digits)?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::{Mounts, unescape};
    use rustix::fs::{CWD, Mode, OFlags, openat};
    use std::path::Path;

    #[test]
    fn lines_of_mountinfo_are_understood() {
        let text = b"36 35 98:0 /mnt1 /mnt/with\\040blank rw,noatime master:1 shared:2 - ext3 /dev/root rw\n\
                     40 36 0:44 / /mnt/nas rw - nfs4 nas:/export rw\nnonsense\n\n";
        let mounts = Mounts::parse(text);
        assert_eq!(mounts.by_id.len(), 2);
        let first = &mounts.by_id[&36];
        assert_eq!(first.point, Path::new("/mnt/with blank"));
        assert_eq!((first.file_system.as_str(), first.device), ("ext3", (98, 0)));
        assert_eq!(first.root, Path::new("/mnt1"));
        assert_eq!(mounts.by_id[&40].source, Path::new("nas:/export"));
        assert!(mounts.is_mounted(Path::new("/mnt/nas")) && !mounts.is_mounted(Path::new("/mnt")));
        assert_eq!(unescape(b"a\\134b\\9c\\"), Path::new("a\\b\\9c\\"));
    }

    #[test]
    fn proc_is_found_by_its_mount() {
        let mounts = Mounts::load();
        let proc = openat(CWD, c"/proc", OFlags::PATH, Mode::empty()).unwrap();
        assert_eq!(mounts.of(&proc).unwrap().file_system, "proc");
    }
}
