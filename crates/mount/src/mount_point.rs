//! The folder that recovery points are mounted on.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::process::geteuid;

const DEVICE: &str = "/dev/fuse";
/// Mounts for those who are not root.
const HELPER: &str = "fusermount3";
/// As what a mount of ours is listed.
pub(crate) const SOURCE: &str = "strongroom";

/// Why something cannot be mounted or unmounted; each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// There is nothing at the path.
    #[error("there is no folder {}: make one with `mkdir`", .0.display())]
    Absent(PathBuf),
    /// What is at the path is no folder.
    #[error("{} is not a folder: name an empty one to mount on", .0.display())]
    NoFolder(PathBuf),
    /// The folder is not empty.
    #[error("{} has something in it, which a mount would hide: name an empty folder to mount on", .0.display())]
    NotEmpty(PathBuf),
    /// A program that mounted something else there has ended without unmounting it.
    #[error("{0} was left mounted by a program that has ended: `fusermount3 -u {0}` frees it", path.display())]
    Stale {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be looked at.
    #[error("cannot look at {}: {source}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel's side of FUSE is missing.
    #[error(
        "there is no {DEVICE}, by which file systems of programs are mounted: load the kernel's module with `modprobe fuse`, or give the device to this container"
    )]
    NoDevice,
    /// The program that mounts for others than root is missing.
    #[error(
        "{HELPER} is not there, which mounts for users other than root: install the package fuse3 (`apt-get install fuse3`, `dnf install fuse3`)"
    )]
    NoHelper,
    /// Only root may open the device.
    #[error("you may not open {DEVICE}: have an administrator allow it (`chmod 666 {DEVICE}`), or mount as root")]
    DeviceForbidden,
    /// Others may not be let in.
    #[error(
        "--allow-other is not allowed to users other than root: have an administrator put the line user_allow_other into /etc/fuse.conf"
    )]
    OthersForbidden,
    /// The system refused.
    #[error("cannot mount on {}: {why}", path.display())]
    Refused {
        /// The folder.
        path: PathBuf,
        /// What it said.
        why: String,
    },
    /// It is still mounted.
    #[error("cannot unmount {0}: {why}; `fusermount3 -uz {0}` does it when nobody uses it any more", path.display())]
    StillMounted {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// An empty folder that something can be mounted on.
#[derive(Debug)]
pub struct MountPoint {
    path: PathBuf,
}

impl MountPoint {
    /// Makes sure that a folder can be mounted on. What an earlier process of ours left mounted there is unmounted.
    pub fn prepare(path: &Path) -> Result<Self, MountError> {
        let point = Self { path: path.to_owned() };
        match fs::metadata(path) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOTCONN) => point.free()?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(MountError::Absent(point.path)),
            Err(source) => return Err(point.unreadable(source)),
            Ok(found) if !found.is_dir() => return Err(MountError::NoFolder(point.path)),
            Ok(_) => {}
        }
        let mut entries = fs::read_dir(path).map_err(|source| point.unreadable(source))?;
        if entries.next().is_some() {
            return Err(MountError::NotEmpty(point.path));
        }
        if !Path::new(DEVICE).exists() {
            return Err(MountError::NoDevice);
        }
        Ok(point)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn unreadable(&self, source: io::Error) -> MountError {
        let path = self.path.clone();
        MountError::Unreadable { path, source }
    }

    /// Nobody answers for what is mounted here. If it was one of us, it is unmounted.
    fn free(&self) -> Result<(), MountError> {
        let mounts = fs::read("/proc/self/mountinfo").map_err(|source| self.unreadable(source))?;
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        if !is_ours(&mounts, &path) {
            let path = self.path.clone();
            return Err(MountError::Stale { path });
        }
        tracing::warn!(
            "{} was left mounted by a process that was killed; it is free now",
            self.path.display()
        );
        self.unmount()
    }

    /// Unmounts what is mounted here; if somebody still uses it, as soon as he no longer does.
    pub(crate) fn unmount(&self) -> Result<(), MountError> {
        let attempt = |flags| rustix::mount::unmount(&self.path, flags);
        let result = match attempt(UnmountFlags::empty()) {
            Err(Errno::BUSY) => attempt(UnmountFlags::DETACH),
            result => result,
        };
        match result {
            // EINVAL: somebody was faster.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(Errno::PERM) => self.have_unmounted(),
            Err(error) => Err(self.still_mounted(error.to_string())),
        }
    }

    fn have_unmounted(&self) -> Result<(), MountError> {
        let output = Command::new(HELPER).args(["-u", "-z", "--"]).arg(&self.path).output();
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(self.still_mounted(one_line(&output.stderr))),
            Err(error) => Err(self.still_mounted(format!("{HELPER}: {error}"))),
        }
    }

    fn still_mounted(&self, why: String) -> MountError {
        let path = self.path.clone();
        MountError::StillMounted { path, why }
    }

    /// Why FUSE did not mount here.
    pub(crate) fn not_mounted(&self, error: io::Error) -> MountError {
        let why = one_line(error.to_string().as_bytes());
        match error.kind() {
            ErrorKind::NotFound if !geteuid().is_root() => MountError::NoHelper,
            ErrorKind::PermissionDenied if why.contains("user_allow_other") => MountError::OthersForbidden,
            ErrorKind::PermissionDenied => MountError::DeviceForbidden,
            _ => MountError::Refused {
                path: self.path.clone(),
                why,
            },
        }
    }
}

fn one_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the last thing that was mounted on a folder is one of ours: proc_pid_mountinfo(5) says how it is listed.
fn is_ours(mounts: &[u8], path: &Path) -> bool {
    let mut mounted = mounts.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let at = unescaped(fields.nth(4)?);
        let mut system = fields.skip_while(|field| *field != b"-").skip(1);
        let (kind, source) = (system.next()?, system.next()?);
        (OsStr::from_bytes(&at) == path.as_os_str()).then(|| kind.starts_with(b"fuse") && source == SOURCE.as_bytes())
    });
    mounted.next_back().unwrap_or(false)
}

/// Blanks, tabs, ends of lines and backslashes are listed as `\` and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), field);
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_mounts_are_known_among_others() {
        let mounts = b"21 1 0:20 / / rw - ext4 /dev/vda rw
40 21 0:50 / /mnt/a\\040b ro,nosuid,nodev shared:7 - fuse strongroom ro,user_id=0
41 21 0:51 / /mnt/user ro - fuse.strongroom strongroom ro
42 21 0:52 / /mnt/other rw - fuse.sshfs host: rw
43 21 0:53 / /mnt/user rw - tmpfs strongroom rw
";
        for (path, ours) in [
            ("/mnt/a b", true),
            ("/mnt/user", false),
            ("/mnt/other", false),
            ("/mnt", false),
        ] {
            assert_eq!(is_ours(mounts, Path::new(path)), ours, "{path}");
        }
    }
}
