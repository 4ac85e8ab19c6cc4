//! What a client asks for before it reads.

use super::{Fields, Malformed, OPTION_MAGIC, put_text, short};

/// Bytes of an [`OptionHeader`].
pub const OPTION_HEADER_BYTES: usize = 16;

/// What a client may ask about an export. A server ignores what it does not know.
pub mod info {
    /// Size and flags; always answered.
    pub const EXPORT: u16 = 0;
    /// What the server calls it.
    pub const NAME: u16 = 1;
    /// For a person.
    pub const DESCRIPTION: u16 = 2;
    /// Sizes of requests.
    pub const BLOCK_SIZE: u16 = 3;
}

/// What stands before an option's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionHeader {
    /// Which option.
    pub code: u32,
    /// Bytes of data that follow; not to be trusted.
    pub length: u32,
}

impl OptionHeader {
    /// Takes the header of an option apart.
    pub fn decode(bytes: &[u8; OPTION_HEADER_BYTES]) -> Result<Self, Malformed> {
        let mut fields = Fields::of("option", bytes);
        if fields.u64()? != OPTION_MAGIC {
            return Err(fields.wrong("does not begin with IHAVEOPT"));
        }
        Ok(Self {
            code: fields.u32()?,
            length: fields.u32()?,
        })
    }
}

/// An option of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientOption {
    /// Begin with this export; the old way, which cannot be refused but by hanging up.
    ExportName(String),
    /// End here.
    Abort,
    /// Which exports are there?
    List,
    /// What is this export?
    Info(ExportQuery),
    /// Begin with this export.
    Go(ExportQuery),
    /// Answer in chunks from now on.
    StructuredReply,
    /// Which contexts does this export have?
    ListMetaContext(ContextQuery),
    /// Tell the status of blocks in these contexts.
    SetMetaContext(ContextQuery),
    /// One that is not known here.
    Other {
        /// Which.
        code: u32,
    },
}

/// An export, and what the client wants to know of it (see [`info`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportQuery {
    /// Its name; empty for the default one.
    pub name: String,
    /// What the client wants to know.
    pub infos: Vec<u16>,
}

/// An export and names of contexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextQuery {
    /// The export's name.
    pub export: String,
    /// Names, or beginnings of names when listing.
    pub queries: Vec<String>,
}

impl ClientOption {
    const EXPORT_NAME: u32 = 1;
    const ABORT: u32 = 2;
    const LIST: u32 = 3;
    const INFO: u32 = 6;
    const GO: u32 = 7;
    const STRUCTURED_REPLY: u32 = 8;
    const LIST_META_CONTEXT: u32 = 9;
    const SET_META_CONTEXT: u32 = 10;

    /// Its number.
    pub fn code(&self) -> u32 {
        match self {
            Self::ExportName(_) => Self::EXPORT_NAME,
            Self::Abort => Self::ABORT,
            Self::List => Self::LIST,
            Self::Info(_) => Self::INFO,
            Self::Go(_) => Self::GO,
            Self::StructuredReply => Self::STRUCTURED_REPLY,
            Self::ListMetaContext(_) => Self::LIST_META_CONTEXT,
            Self::SetMetaContext(_) => Self::SET_META_CONTEXT,
            Self::Other { code } => *code,
        }
    }

    /// What a person is told when it is refused.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ExportName(_) => "EXPORT_NAME",
            Self::Abort => "ABORT",
            Self::List => "LIST",
            Self::Info(_) => "INFO",
            Self::Go(_) => "GO",
            Self::StructuredReply => "STRUCTURED_REPLY",
            Self::ListMetaContext(_) => "LIST_META_CONTEXT",
            Self::SetMetaContext(_) => "SET_META_CONTEXT",
            Self::Other { .. } => "an unknown option",
        }
    }

    /// Takes the data of an option apart. Of an unknown option the data does not matter.
    pub fn decode(code: u32, data: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of("option", data);
        let option = match code {
            Self::EXPORT_NAME => Self::ExportName(fields.remaining_text()?),
            // A server should overlook data that comes with it.
            Self::ABORT => return Ok(Self::Abort),
            Self::LIST => Self::List,
            Self::INFO => Self::Info(ExportQuery::decode(&mut fields)?),
            Self::GO => Self::Go(ExportQuery::decode(&mut fields)?),
            Self::STRUCTURED_REPLY => Self::StructuredReply,
            Self::LIST_META_CONTEXT => Self::ListMetaContext(ContextQuery::decode(&mut fields)?),
            Self::SET_META_CONTEXT => Self::SetMetaContext(ContextQuery::decode(&mut fields)?),
            code => return Ok(Self::Other { code }),
        };
        fields.end()?;
        Ok(option)
    }

    /// Header and data.
    pub fn encode(&self) -> Vec<u8> {
        let mut data = Vec::new();
        match self {
            Self::ExportName(name) => data.extend(name.as_bytes()),
            Self::Info(query) | Self::Go(query) => query.encode(&mut data),
            Self::ListMetaContext(query) | Self::SetMetaContext(query) => query.encode(&mut data),
            Self::Abort | Self::List | Self::StructuredReply | Self::Other { .. } => {}
        }
        let mut whole = Vec::with_capacity(OPTION_HEADER_BYTES + data.len());
        whole.extend(OPTION_MAGIC.to_be_bytes());
        whole.extend(self.code().to_be_bytes());
        whole.extend(short(data.len()).to_be_bytes());
        whole.extend(data);
        whole
    }
}

impl ExportQuery {
    fn decode(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let name = fields.counted_text()?;
        let count = fields.u16()?;
        let numbers = fields.take(usize::from(count) * 2)?;
        let infos = numbers
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        Ok(Self {
            name,
            infos: infos.collect(),
        })
    }

    fn encode(&self, into: &mut Vec<u8>) {
        put_text(&self.name, into);
        let count = u16::try_from(self.infos.len()).expect("there are not that many kinds of information");
        into.extend(count.to_be_bytes());
        into.extend(self.infos.iter().flat_map(|info| info.to_be_bytes()));
    }
}

impl ContextQuery {
    fn decode(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let export = fields.counted_text()?;
        let count = fields.u32()?;
        // Each takes four bytes at least, so the data bounds them whatever their number says.
        let mut queries = Vec::new();
        for _ in 0..count {
            queries.push(fields.counted_text()?);
        }
        Ok(Self { export, queries })
    }

    fn encode(&self, into: &mut Vec<u8>) {
        put_text(&self.export, into);
        into.extend(short(self.queries.len()).to_be_bytes());
        for query in &self.queries {
            put_text(query, into);
        }
    }
}
