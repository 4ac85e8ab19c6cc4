//! Extended attributes, byte for byte.

use rustix::buffer::{SpareCapacity, spare_capacity};
use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{
    XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, lgetxattr, llistxattr, lremovexattr, lsetxattr,
};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, CString};

/// Names and values, sorted by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

pub(super) const ACL_ACCESS: &CStr = c"system.posix_acl_access";
pub(super) const ACL_DEFAULT: &CStr = c"system.posix_acl_default";

/// Room for a first try; most lists are empty and most values short.
const FIRST_TRY_BYTES: usize = 512;
/// The kernel's limit for a list of names and for one value (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const LIMIT_BYTES: usize = 64 << 10;

/// Something that has extended attributes.
pub(super) enum Subject<'a, F: AsFd> {
    /// Open for reading or writing (not a bare path handle).
    Open(F),
    /// By a path whose last component is not followed, see [`path_below`].
    Path(&'a CStr),
}

/// The path by which an entry of an open directory is reached for the calls that take no directory.
/// It needs `/proc`. Nobody can lead it elsewhere: it goes through the open directory.
pub(super) fn path_below(directory: impl AsFd, name: &CStr) -> CString {
    let number = directory.as_fd().as_raw_fd();
    let mut path = format!("/proc/self/fd/{number}/").into_bytes();
    path.extend_from_slice(name.to_bytes());
    CString::new(path).expect("neither part has a NUL")
}

impl<F: AsFd> Subject<'_, F> {
    /// All attributes that a backup keeps. None where the file system has no such thing.
    pub(super) fn read_all(&self) -> Result<Xattrs> {
        let mut attributes = Xattrs::new();
        for name in self.kept_names()? {
            match with_room(|room| self.get(&name, room)) {
                Ok(value) => attributes.push((name.into_bytes(), value)),
                // It went away in between.
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error),
            }
        }
        attributes.sort_unstable();
        // A file system that lists a name twice gives one attribute.
        attributes.dedup_by(|later, earlier| later.0 == earlier.0);
        Ok(attributes)
    }

    /// The names of the attributes that a backup keeps, in no order.
    pub(super) fn kept_names(&self) -> Result<Vec<CString>> {
        let list = match with_room(|room| self.list(room)) {
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            result => result?,
        };
        let names = list.split(|byte| *byte == 0).filter(|name| is_kept(name));
        Ok(names.map(|name| CString::new(name).expect("split at NUL")).collect())
    }

    /// Sets one attribute, whether or not it was there.
    pub(super) fn set(&self, name: &[u8], value: &[u8]) -> Result<()> {
        match self {
            Subject::Open(fd) => fsetxattr(fd, name, value, XattrFlags::empty()),
            Subject::Path(path) => lsetxattr(*path, name, value, XattrFlags::empty()),
        }
    }

    /// Removes one attribute; it need not be there.
    pub(super) fn remove(&self, name: &CStr) -> Result<()> {
        let result = match self {
            Subject::Open(fd) => fremovexattr(fd, name),
            Subject::Path(path) => lremovexattr(*path, name),
        };
        match result {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            other => other,
        }
    }

    fn list(&self, room: SpareCapacity<'_, u8>) -> Result<usize> {
        match self {
            Subject::Open(fd) => flistxattr(fd, room),
            Subject::Path(path) => llistxattr(*path, room),
        }
    }

    fn get(&self, name: &CStr, room: SpareCapacity<'_, u8>) -> Result<usize> {
        match self {
            Subject::Open(fd) => fgetxattr(fd, name, room),
            Subject::Path(path) => lgetxattr(*path, name, room),
        }
    }
}

/// Runs a call that fills a buffer, with more room if the first try was too small.
fn with_room(call: impl Fn(SpareCapacity<'_, u8>) -> Result<usize>) -> Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(FIRST_TRY_BYTES);
    match call(spare_capacity(&mut buffer)) {
        Err(Errno::RANGE) => {
            buffer.reserve(LIMIT_BYTES);
            call(spare_capacity(&mut buffer))?;
        }
        result => {
            result?;
        }
    }
    Ok(buffer)
}

/// Attributes that describe the entry itself. Those of XFS that repeat its ACLs are left out, and
/// so is `system.*` but for ACLs: it shows state of the file system.
pub(super) fn is_kept(name: &[u8]) -> bool {
    let kept = [&b"user."[..], b"trusted.", b"security."]
        .iter()
        .any(|p| name.starts_with(p));
    let is_acl = name == ACL_ACCESS.to_bytes() || name == ACL_DEFAULT.to_bytes();
    (kept && !name.starts_with(b"trusted.SGI_ACL_")) || is_acl
}

#[cfg(test)]
mod tests {
    use super::is_kept;

    #[test]
    fn attributes_of_the_entry_are_kept_and_those_of_the_file_system_are_not() {
        let cases: [(&[u8], bool); 9] = [
            (b"user.x", true),
            (b"trusted.x", true),
            (b"security.capability", true),
            (b"system.posix_acl_access", true),
            (b"system.posix_acl_default", true),
            (b"trusted.SGI_ACL_FILE", false),
            (b"system.nfs4_acl", false),
            (b"btrfs.compression", false),
            (b"", false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_kept(name), expected, "{}", name.escape_ascii());
        }
    }
}
