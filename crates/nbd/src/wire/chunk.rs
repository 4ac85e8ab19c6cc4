//! What a server answers to a request: a simple reply, or a structured one in chunks.

use super::{DESCRIPTORS_MAX, Errno, Fields, Malformed, PAYLOAD_BYTES_MAX, TEXT_BYTES_MAX, message, short};

/// Bytes of a [`ReplyStart`].
pub const REPLY_START_BYTES: usize = 16;

const SIMPLE: u32 = 0x6744_6698;
const STRUCTURED: u32 = 0x668e_33ef;
const DONE: u16 = 1;

/// The first 16 bytes of an answer. Four more follow in a chunk: how long its payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyStart {
    /// The whole answer, but for the contents that follow if it is one to a read.
    Simple {
        /// Which request is answered.
        cookie: u64,
        /// `None` when all is well.
        error: Option<Errno>,
    },
    /// A part of the answer.
    Chunk {
        /// Which request is answered.
        cookie: u64,
        /// What the payload is.
        kind: ChunkKind,
        /// Whether it is the last.
        done: bool,
    },
}

impl ReplyStart {
    /// Takes the beginning of an answer apart.
    pub fn decode(bytes: &[u8; REPLY_START_BYTES]) -> Result<Self, Malformed> {
        let mut fields = Fields::of("reply", bytes);
        match fields.u32()? {
            SIMPLE => {
                let error = fields.u32()?;
                Ok(Self::Simple {
                    error: (error != 0).then(|| Errno::from_number(error)),
                    cookie: fields.u64()?,
                })
            }
            STRUCTURED => Ok(Self::Chunk {
                done: fields.u16()? & DONE != 0,
                kind: ChunkKind::from_number(fields.u16()?),
                cookie: fields.u64()?,
            }),
            magic => Err(fields.wrong(format!("begins with {magic:#x}"))),
        }
    }
}

/// A simple reply.
pub fn simple_reply(cookie: u64, error: Option<Errno>) -> Vec<u8> {
    let mut whole = Vec::with_capacity(REPLY_START_BYTES);
    whole.extend(SIMPLE.to_be_bytes());
    whole.extend(error.map_or(0, Errno::number).to_be_bytes());
    whole.extend(cookie.to_be_bytes());
    whole
}

/// The header of a chunk whose payload has this length, in bytes.
pub fn chunk_header(cookie: u64, kind: ChunkKind, done: bool, length: u32) -> Vec<u8> {
    let mut whole = Vec::with_capacity(REPLY_START_BYTES + 4);
    whole.extend(STRUCTURED.to_be_bytes());
    whole.extend((if done { DONE } else { 0 }).to_be_bytes());
    whole.extend(kind.number().to_be_bytes());
    whole.extend(cookie.to_be_bytes());
    whole.extend(length.to_be_bytes());
    whole
}

/// What a chunk's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkKind {
    /// Nothing more.
    None,
    /// Contents: an offset of eight bytes, and what is there.
    Data,
    /// Zeros.
    Hole,
    /// Extents of a context.
    BlockStatus,
    /// The request failed.
    Error,
    /// The request failed at an offset.
    ErrorAt,
    /// Not known here. One with the highest bit set is an error.
    Other(u16),
}

const ERROR_BIT: u16 = 1 << 15;

const KINDS: &[(ChunkKind, u16)] = &[
    (ChunkKind::None, 0),
    (ChunkKind::Data, 1),
    (ChunkKind::Hole, 2),
    (ChunkKind::BlockStatus, 5),
    (ChunkKind::Error, ERROR_BIT + 1),
    (ChunkKind::ErrorAt, ERROR_BIT + 2),
];

impl ChunkKind {
    fn from_number(number: u16) -> Self {
        let known = KINDS.iter().find(|(_, known)| *known == number);
        known.map_or(Self::Other(number), |(kind, _)| *kind)
    }

    fn number(self) -> u16 {
        if let Self::Other(number) = self {
            return number;
        }
        let known = KINDS.iter().find(|(kind, _)| *kind == self);
        known.expect("the table has every kind but `Other`").1
    }

    /// No payload of this kind is longer, in bytes; `None` for a kind that must not come.
    pub fn length_max(self) -> Option<u32> {
        match self {
            Self::None => Some(0),
            Self::Data => Some(8 + PAYLOAD_BYTES_MAX),
            Self::Hole => Some(12),
            Self::BlockStatus => Some(short(4 + 8 * DESCRIPTORS_MAX)),
            Self::Error | Self::ErrorAt => Some(short(14 + TEXT_BYTES_MAX)),
            // Of an error that is not known only the beginning is: there may be more behind it.
            Self::Other(number) => (number & ERROR_BIT != 0).then_some(short(4 * TEXT_BYTES_MAX)),
        }
    }
}

/// How far, in bytes, what is so reaches, by the bits of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// In bytes; not zero.
    pub length: u32,
    /// See [`super::state`].
    pub flags: u32,
}

/// That a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub errno: Errno,
    /// Why, for a person; may be empty.
    pub message: String,
    /// Where, if the server said so.
    pub offset: Option<u64>,
}

/// The payload of a chunk, but for contents: those are read to where they belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    None,
    /// Zeros from an offset of the export on.
    Hole {
        /// In bytes.
        offset: u64,
        /// In bytes; not zero.
        length: u32,
    },
    /// Extents, one after the other, from the beginning of what was asked about.
    BlockStatus {
        /// The number of the context.
        context: u32,
        /// At least one.
        descriptors: Vec<Descriptor>,
    },
    /// It failed.
    Error(Failure),
}

impl Payload {
    /// Takes a payload apart. Contents are not one: they are an error here.
    pub fn decode(kind: ChunkKind, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of("chunk of a reply", bytes);
        let payload = match kind {
            ChunkKind::None => Self::None,
            ChunkKind::Hole => decode_hole(&mut fields)?,
            ChunkKind::BlockStatus => return decode_status(fields),
            ChunkKind::Error => Self::Error(decode_failure(&mut fields, false)?),
            ChunkKind::ErrorAt => Self::Error(decode_failure(&mut fields, true)?),
            ChunkKind::Other(number) if number & ERROR_BIT != 0 => {
                return decode_failure(&mut fields, false).map(Self::Error);
            }
            ChunkKind::Data | ChunkKind::Other(_) => return Err(fields.wrong(format!("of kind {}", kind.number()))),
        };
        fields.end()?;
        Ok(payload)
    }

    /// Which kind of chunk it goes into.
    pub fn kind(&self) -> ChunkKind {
        match self {
            Self::None => ChunkKind::None,
            Self::Hole { .. } => ChunkKind::Hole,
            Self::BlockStatus { .. } => ChunkKind::BlockStatus,
            Self::Error(Failure { offset: None, .. }) => ChunkKind::Error,
            Self::Error(Failure { offset: Some(_), .. }) => ChunkKind::ErrorAt,
        }
    }

    /// A whole chunk.
    pub fn encode(&self, cookie: u64, done: bool) -> Vec<u8> {
        let mut payload = Vec::new();
        match self {
            Self::None => {}
            Self::Hole { offset, length } => {
                payload.extend(offset.to_be_bytes());
                payload.extend(length.to_be_bytes());
            }
            Self::BlockStatus { context, descriptors } => {
                payload.extend(context.to_be_bytes());
                for descriptor in descriptors {
                    payload.extend(descriptor.length.to_be_bytes());
                    payload.extend(descriptor.flags.to_be_bytes());
                }
            }
            Self::Error(failure) => encode_failure(failure, &mut payload),
        }
        let mut whole = chunk_header(cookie, self.kind(), done, short(payload.len()));
        whole.extend(payload);
        whole
    }
}

fn decode_hole(fields: &mut Fields<'_>) -> Result<Payload, Malformed> {
    let (offset, length) = (fields.u64()?, fields.u32()?);
    if length == 0 {
        return Err(fields.wrong("a hole of no bytes"));
    }
    Ok(Payload::Hole { offset, length })
}

fn decode_status(mut fields: Fields<'_>) -> Result<Payload, Malformed> {
    let context = fields.u32()?;
    let count = fields.rest.len() / 8;
    if count == 0 || count > DESCRIPTORS_MAX || !fields.rest.len().is_multiple_of(8) {
        return Err(fields.wrong(format!("{} bytes of extents", fields.rest.len())));
    }
    let mut descriptors = Vec::with_capacity(count);
    for _ in 0..count {
        let descriptor = Descriptor {
            length: fields.u32()?,
            flags: fields.u32()?,
        };
        if descriptor.length == 0 {
            return Err(fields.wrong("an extent of no bytes"));
        }
        descriptors.push(descriptor);
    }
    Ok(Payload::BlockStatus { context, descriptors })
}

fn decode_failure(fields: &mut Fields<'_>, with_offset: bool) -> Result<Failure, Malformed> {
    let errno = fields.u32()?;
    if errno == 0 {
        return Err(fields.wrong("an error that is none"));
    }
    let length = usize::from(fields.u16()?);
    let text = fields.take(length)?;
    Ok(Failure {
        errno: Errno::from_number(errno),
        message: message(text),
        offset: if with_offset { Some(fields.u64()?) } else { None },
    })
}

fn encode_failure(failure: &Failure, into: &mut Vec<u8>) {
    let mut length = failure.message.len().min(TEXT_BYTES_MAX);
    while !failure.message.is_char_boundary(length) {
        length -= 1;
    }
    into.extend(failure.errno.number().to_be_bytes());
    into.extend(u16::try_from(length).expect("a string is short").to_be_bytes());
    into.extend(&failure.message.as_bytes()[..length]);
    if let Some(offset) = failure.offset {
        into.extend(offset.to_be_bytes());
    }
}
