//! What goes over the wire, taken apart and put together: pure functions, no I/O.
//!
//! The source of every number here is NBD's own `doc/proto.md` (repository `NetworkBlockDevice/nbd`); all numbers are
//! big-endian. What is taken apart was written by somebody else: a length is compared with the bytes that are there
//! before anything is copied, so nothing is ever allocated on a peer's word.

mod chunk;
mod errno;
mod flags;
mod option;
mod option_reply;
mod request;

pub use chunk::{ChunkKind, Descriptor, Failure, Payload, REPLY_START_BYTES, ReplyStart, chunk_header, simple_reply};
pub use errno::Errno;
pub use flags::{TransmissionFlags, client, command, handshake, state};
pub use option::{ClientOption, ContextQuery, ExportQuery, OPTION_HEADER_BYTES, OptionHeader, info};
pub use option_reply::{BlockSize, Info, OPTION_REPLY_HEADER_BYTES, OptionReply, OptionReplyHeader, refusal};
pub use request::{Command, REQUEST_BYTES, Request};

/// The first eight bytes that a server sends: `NBDMAGIC`.
pub const SERVER_MAGIC: u64 = 0x4e42_444d_4147_4943;
/// Follows [`SERVER_MAGIC`] in the newstyle handshake, and begins each option: `IHAVEOPT`.
pub const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;

/// No string of the protocol is longer, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;

/// What one request may read, in bytes: what every server and every client can be expected to bear.
pub const PAYLOAD_BYTES_MAX: u32 = 32 << 20;

/// Extents in one answer to a question for the status of blocks.
pub const DESCRIPTORS_MAX: usize = 1 << 20;

/// The context that tells which blocks read as zeros.
pub const BASE_ALLOCATION: &str = "base:allocation";

/// Bytes that are not what the protocol says they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Malformed {
    /// What was being taken apart.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// Takes bytes apart from the front. Each step says what it wanted if there is too little.
#[derive(Debug)]
struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    fn wrong(&self, why: impl Into<String>) -> Malformed {
        Malformed {
            what: self.what,
            why: why.into(),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.wrong(format!("{length} bytes announced, {} there", self.rest.len())));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("N bytes were taken"))
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A string with its length before it.
    fn counted_text(&mut self) -> Result<String, Malformed> {
        let length = self.u32()?;
        let length = usize::try_from(length).map_err(|_| self.wrong("a string without end"))?;
        self.text(length)
    }

    fn text(&mut self, length: usize) -> Result<String, Malformed> {
        if length > TEXT_BYTES_MAX {
            return Err(self.wrong(format!("a string of {length} bytes")));
        }
        let taken = self.take(length)?;
        if taken.contains(&0) {
            return Err(self.wrong("a string with a zero byte in it"));
        }
        let text = str::from_utf8(taken).map_err(|_| self.wrong("a string that is no UTF-8"))?;
        Ok(text.to_owned())
    }

    /// All that is left, as a string.
    fn remaining_text(&mut self) -> Result<String, Malformed> {
        self.text(self.rest.len())
    }

    fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.wrong(format!("{} bytes too many", self.rest.len())))
        }
    }
}

/// What a program says for a person: shown whatever it is, but no longer than a string may be.
fn message(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_BYTES_MAX)]).into_owned()
}

/// A length that goes into a field of 32 bits.
fn short(length: usize) -> u32 {
    u32::try_from(length).expect("nothing longer than a few MiB is put together here")
}

fn put_text(text: &str, into: &mut Vec<u8>) {
    into.extend(short(text.len()).to_be_bytes());
    into.extend(text.as_bytes());
}

#[cfg(test)]
mod tests;
