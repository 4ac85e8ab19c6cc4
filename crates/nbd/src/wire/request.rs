//! What a client asks for once it has chosen an export.

use super::{Fields, Malformed};

/// Bytes of a [`Request`].
pub const REQUEST_BYTES: usize = 28;

const MAGIC: u32 = 0x2560_9513;

/// One request; a write has its data behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// See [`super::command`].
    pub flags: u16,
    /// What to do.
    pub command: Command,
    /// Comes back in the answer.
    pub cookie: u64,
    /// In bytes.
    pub offset: u64,
    /// In bytes.
    pub length: u32,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Send contents.
    Read,
    /// Change contents.
    Write,
    /// The client goes; there is no answer.
    Disconnect,
    /// Make sure that what was written lasts.
    Flush,
    /// What is there is of no use any more.
    Trim,
    /// This will be read soon.
    Cache,
    /// Write zeros.
    WriteZeroes,
    /// Tell the status of blocks.
    BlockStatus,
    /// Not known here.
    Other(u16),
}

const COMMANDS: &[(Command, u16)] = &[
    (Command::Read, 0),
    (Command::Write, 1),
    (Command::Disconnect, 2),
    (Command::Flush, 3),
    (Command::Trim, 4),
    (Command::Cache, 5),
    (Command::WriteZeroes, 6),
    (Command::BlockStatus, 7),
];

impl Command {
    fn from_number(number: u16) -> Self {
        let known = COMMANDS.iter().find(|(_, known)| *known == number);
        known.map_or(Self::Other(number), |(command, _)| *command)
    }

    fn number(self) -> u16 {
        if let Self::Other(number) = self {
            return number;
        }
        let known = COMMANDS.iter().find(|(command, _)| *command == self);
        known.expect("the table has every command but `Other`").1
    }
}

impl Request {
    /// Takes a request apart.
    pub fn decode(bytes: &[u8; REQUEST_BYTES]) -> Result<Self, Malformed> {
        let mut fields = Fields::of("request", bytes);
        if fields.u32()? != MAGIC {
            return Err(fields.wrong("does not begin with its magic number"));
        }
        Ok(Self {
            flags: fields.u16()?,
            command: Command::from_number(fields.u16()?),
            cookie: fields.u64()?,
            offset: fields.u64()?,
            length: fields.u32()?,
        })
    }

    /// Appends the request.
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.extend(MAGIC.to_be_bytes());
        into.extend(self.flags.to_be_bytes());
        into.extend(self.command.number().to_be_bytes());
        into.extend(self.cookie.to_be_bytes());
        into.extend(self.offset.to_be_bytes());
        into.extend(self.length.to_be_bytes());
    }
}
