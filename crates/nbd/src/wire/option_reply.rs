//! What a server answers to an option.

use super::{Fields, Malformed, PAYLOAD_BYTES_MAX, TransmissionFlags, info, message, put_text, short};

/// Bytes of an [`OptionReplyHeader`].
pub const OPTION_REPLY_HEADER_BYTES: usize = 20;

const MAGIC: u64 = 0x0003_e889_0455_65a9;
const ACK: u32 = 1;
const SERVER: u32 = 2;
const INFO: u32 = 3;
const META_CONTEXT: u32 = 4;

/// Why a server refuses an option. Each has the highest bit set.
pub mod refusal {
    /// The server does not know the option.
    pub const UNSUPPORTED: u32 = (1 << 31) + 1;
    /// The server does not want it.
    pub const POLICY: u32 = (1 << 31) + 2;
    /// The option makes no sense.
    pub const INVALID: u32 = (1 << 31) + 3;
    /// There is no such export.
    pub const UNKNOWN: u32 = (1 << 31) + 6;
    /// Too much was asked for.
    pub const TOO_BIG: u32 = (1 << 31) + 9;
}

/// What stands before the data of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionReplyHeader {
    /// The option that is answered.
    pub option: u32,
    /// What kind of answer.
    pub kind: u32,
    /// Bytes of data that follow; not to be trusted.
    pub length: u32,
}

impl OptionReplyHeader {
    /// Takes the header of an answer apart.
    pub fn decode(bytes: &[u8; OPTION_REPLY_HEADER_BYTES]) -> Result<Self, Malformed> {
        let mut fields = Fields::of("answer to an option", bytes);
        if fields.u64()? != MAGIC {
            return Err(fields.wrong("does not begin with its magic number"));
        }
        Ok(Self {
            option: fields.u32()?,
            kind: fields.u32()?,
            length: fields.u32()?,
        })
    }
}

/// An answer to an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionReply {
    /// Yes, or that was all.
    Ack,
    /// One of the exports.
    Server {
        /// Its name.
        name: String,
        /// For a person; may be empty.
        description: String,
    },
    /// Something about an export.
    Info(Info),
    /// A context that will be told, or could be.
    MetaContext {
        /// By this number.
        id: u32,
        /// What it is called.
        name: String,
    },
    /// No (see [`refusal`]).
    Refused {
        /// Why.
        code: u32,
        /// Why, for a person; may be empty.
        message: String,
    },
    /// A kind of answer that is not known here.
    Other {
        /// Which.
        kind: u32,
    },
}

/// Something about an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info {
    /// What it is.
    Export {
        /// In bytes.
        size: u64,
        /// What can be done with it.
        flags: TransmissionFlags,
    },
    /// What the server calls it.
    Name(String),
    /// For a person.
    Description(String),
    /// Sizes of requests.
    BlockSize(BlockSize),
    /// Not known here.
    Other(u16),
}

/// Which sizes of requests a server bears, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSize {
    /// Offsets and lengths are multiples of it: a power of two, 65,536 at most.
    pub minimum: u32,
    /// Below it, requests are slow.
    pub preferred: u32,
    /// The longest read.
    pub maximum: u32,
}

impl BlockSize {
    /// What a server bears that says nothing, and what ours says.
    pub const DEFAULT: Self = Self {
        minimum: 1,
        preferred: 4096,
        maximum: PAYLOAD_BYTES_MAX,
    };

    fn decode(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let size = Self {
            minimum: fields.u32()?,
            preferred: fields.u32()?,
            maximum: fields.u32()?,
        };
        if !size.minimum.is_power_of_two() || size.minimum > 1 << 16 {
            return Err(fields.wrong(format!("a smallest block of {} bytes", size.minimum)));
        }
        if size.maximum < size.minimum {
            return Err(fields.wrong(format!("a largest request of {} bytes", size.maximum)));
        }
        Ok(size)
    }
}

impl OptionReply {
    /// Takes the data of an answer apart.
    pub fn decode(kind: u32, data: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of("answer to an option", data);
        let reply = match kind {
            ACK => Self::Ack,
            SERVER => Self::Server {
                name: fields.counted_text()?,
                description: fields.remaining_text()?,
            },
            INFO => return Info::decode(fields).map(Self::Info),
            META_CONTEXT => Self::MetaContext {
                id: fields.u32()?,
                name: fields.remaining_text()?,
            },
            code if code >> 31 == 1 => {
                let message = message(data);
                return Ok(Self::Refused { code, message });
            }
            kind => return Ok(Self::Other { kind }),
        };
        fields.end()?;
        Ok(reply)
    }

    /// Header and data of an answer to `option`.
    pub fn encode(&self, option: u32) -> Vec<u8> {
        let mut data = Vec::new();
        let kind = match self {
            Self::Ack => ACK,
            Self::Server { name, description } => {
                put_text(name, &mut data);
                data.extend(description.as_bytes());
                SERVER
            }
            Self::Info(info) => {
                info.encode(&mut data);
                INFO
            }
            Self::MetaContext { id, name } => {
                data.extend(id.to_be_bytes());
                data.extend(name.as_bytes());
                META_CONTEXT
            }
            Self::Refused { code, message } => {
                data.extend(message.as_bytes());
                *code
            }
            Self::Other { kind } => *kind,
        };
        let mut whole = Vec::with_capacity(OPTION_REPLY_HEADER_BYTES + data.len());
        whole.extend(MAGIC.to_be_bytes());
        for number in [option, kind, short(data.len())] {
            whole.extend(number.to_be_bytes());
        }
        whole.extend(data);
        whole
    }
}

impl Info {
    fn decode(mut fields: Fields<'_>) -> Result<Self, Malformed> {
        let info = match fields.u16()? {
            info::EXPORT => Self::Export {
                size: fields.u64()?,
                flags: TransmissionFlags(fields.u16()?),
            },
            info::NAME => Self::Name(fields.remaining_text()?),
            info::DESCRIPTION => Self::Description(fields.remaining_text()?),
            info::BLOCK_SIZE => Self::BlockSize(BlockSize::decode(&mut fields)?),
            kind => return Ok(Self::Other(kind)),
        };
        fields.end()?;
        Ok(info)
    }

    fn encode(&self, into: &mut Vec<u8>) {
        let mut kind = |kind: u16| into.extend(kind.to_be_bytes());
        match self {
            Self::Export { size, flags } => {
                kind(info::EXPORT);
                into.extend(size.to_be_bytes());
                into.extend(flags.0.to_be_bytes());
            }
            Self::Name(name) => {
                kind(info::NAME);
                into.extend(name.as_bytes());
            }
            Self::Description(text) => {
                kind(info::DESCRIPTION);
                into.extend(text.as_bytes());
            }
            Self::BlockSize(size) => {
                kind(info::BLOCK_SIZE);
                for number in [size.minimum, size.preferred, size.maximum] {
                    into.extend(number.to_be_bytes());
                }
            }
            Self::Other(other) => kind(*other),
        }
    }
}
