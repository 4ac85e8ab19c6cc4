//! The errors that a server may answer a request with.

use std::fmt;

/// An error of the protocol. The numbers are the protocol's own, whatever the system calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errno {
    /// `EPERM`: not allowed, as writing to a read-only export.
    NotPermitted,
    /// `EIO`: the disk could not be read.
    Io,
    /// `ENOMEM`: no memory.
    NoMemory,
    /// `EINVAL`: the request makes no sense to the server. QEMU says it too when a snapshot is lost.
    Invalid,
    /// `ENOSPC`: no space.
    NoSpace,
    /// `EOVERFLOW`: the request is too large.
    Overflow,
    /// `ENOTSUP`: not supported.
    NotSupported,
    /// `ESHUTDOWN`: the server is going.
    Shutdown,
    /// A number that the protocol does not know.
    Other(u32),
}

/// Each error with its number and what a person is told.
const KNOWN: &[(Errno, u32, &str)] = &[
    (Errno::NotPermitted, 1, "not permitted (EPERM)"),
    (Errno::Io, 5, "input or output error (EIO)"),
    (Errno::NoMemory, 12, "no memory (ENOMEM)"),
    (Errno::Invalid, 22, "invalid (EINVAL)"),
    (Errno::NoSpace, 28, "no space (ENOSPC)"),
    (Errno::Overflow, 75, "too large (EOVERFLOW)"),
    (Errno::NotSupported, 95, "not supported (ENOTSUP)"),
    (Errno::Shutdown, 108, "the server is shutting down (ESHUTDOWN)"),
];

impl Errno {
    /// The error of a number, which is not zero.
    pub fn from_number(number: u32) -> Self {
        let known = KNOWN.iter().find(|(_, known, _)| *known == number);
        known.map_or(Self::Other(number), |(errno, ..)| *errno)
    }

    /// Its number on the wire.
    pub fn number(self) -> u32 {
        if let Self::Other(number) = self {
            return number;
        }
        let known = KNOWN.iter().find(|(errno, ..)| *errno == self);
        known.expect("the table has every error but `Other`").1
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KNOWN.iter().find(|(errno, ..)| errno == self) {
            Some((.., words)) => f.write_str(words),
            None => write!(f, "error {}", self.number()),
        }
    }
}
