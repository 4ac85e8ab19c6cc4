//! Who listens at a unix socket and who is connected to it, as the kernel lists it: proc_net(5), of `/proc/net/unix`.
//!
//! It is known by its path even when that was removed, and nobody has to connect to learn it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The kernel's `SO_ACCEPTCON`: it listens.
const ACCEPTS: u64 = 1 << 16;

/// The kernel's `SS_CONNECTED`.
const CONNECTED: u64 = 3;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sockets {
    pub(super) listening: bool,
    /// How many clients there are. Only the server's end of a connection has the path.
    pub(super) connected: usize,
}

impl Sockets {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&fs::read("/proc/net/unix")?, path))
    }

    /// Lines are `Num RefCount Protocol Flags Type St Inode Path`, all numbers but the inode's in hexadecimal digits.
    fn parse(list: &[u8], path: &Path) -> Self {
        let mut sockets = Self {
            listening: false,
            connected: 0,
        };
        for line in list.split(|byte| *byte == b'\n') {
            let Some(before) = line.strip_suffix(path.as_os_str().as_bytes()) else {
                continue;
            };
            let fields: Vec<&str> = str::from_utf8(before).unwrap_or_default().split_whitespace().collect();
            let number = |at: usize| u64::from_str_radix(fields[at], 16).unwrap_or_default();
            if fields.len() == 7 && before.ends_with(b" ") {
                sockets.listening |= number(3) & ACCEPTS != 0;
                sockets.connected += usize::from(number(3) & ACCEPTS == 0 && number(5) == CONNECTED);
            }
        }
        sockets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn listeners_and_their_clients_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b");
        let count = || {
            Sockets::at(&path)
                .map(|sockets| (sockets.listening, sockets.connected))
                .unwrap()
        };
        assert_eq!(count(), (false, 0));
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(count(), (true, 0));
        let client = UnixStream::connect(&path).unwrap();
        let (served, _) = listener.accept().unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(count(), (true, 1));
        drop((client, served));
        assert_eq!(count(), (true, 0));
        drop(listener);
        assert_eq!(count(), (false, 0));
        assert!(!Sockets::at(&folder.path().join("b")).unwrap().listening);
    }
}
