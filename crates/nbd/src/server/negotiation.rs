//! Which export a client wants, and how it wants to be answered.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::{Ended, Export, Exports, send, skip};
use crate::wire::{
    BASE_ALLOCATION, BlockSize, ClientOption, ContextQuery, ExportQuery, Info, OPTION_HEADER_BYTES, OPTION_MAGIC,
    OptionHeader, OptionReply, SERVER_MAGIC, TransmissionFlags, client, handshake, info, refusal,
};

/// Options of one client.
const OPTIONS_MAX: usize = 256;
/// An option's data that is looked at, in bytes: some queries of 4 KiB.
const OPTION_BYTES_MAX: u32 = 64 << 10;
/// An option's data that is read past, in bytes, so that it can be refused.
const SKIPPED_BYTES_MAX: u32 = 1 << 20;

/// The number under which `base:allocation` is told.
pub const ALLOCATION_ID: u32 = 1;

/// What was agreed on.
pub struct Agreed {
    pub export: Arc<dyn Export>,
    pub structured: bool,
    /// Whether `base:allocation` is told.
    pub allocation: bool,
}

/// Answers options until the client has chosen an export; `None` when it goes without.
pub async fn negotiate<S>(stream: &mut S, exports: &Exports) -> Result<Option<Agreed>, Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut haggling = Haggling {
        exports,
        zeroes: greet(stream).await?,
        structured: false,
        allocation: None,
    };
    for _ in 0..OPTIONS_MAX {
        let mut header = [0; OPTION_HEADER_BYTES];
        stream.read_exact(&mut header).await?;
        let OptionHeader { code, length } = OptionHeader::decode(&header)?;
        let next = if length > OPTION_BYTES_MAX {
            if length > SKIPPED_BYTES_MAX {
                return Err(Ended::Violation(format!("an option of {length} bytes")));
            }
            skip(stream, length).await?;
            Next::refuse(code, refusal::TOO_BIG, "the option is too long")
        } else {
            let mut data = vec![0; length as usize];
            stream.read_exact(&mut data).await?;
            haggling.answer(code, &data)
        };
        match next {
            Next::Answer(answer) => send(stream, &answer).await?,
            Next::Begin(answer, agreed) => {
                send(stream, &answer).await?;
                return Ok(Some(agreed));
            }
            Next::End(answer) => {
                send(stream, &answer).await?;
                return Ok(None);
            }
        }
    }
    Err(Ended::Violation(format!("more than {OPTIONS_MAX} options")))
}

/// Returns whether the client wants zero bytes after `EXPORT_NAME`.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<bool, Ended> {
    let mut greeting = Vec::new();
    greeting.extend(SERVER_MAGIC.to_be_bytes());
    greeting.extend(OPTION_MAGIC.to_be_bytes());
    greeting.extend((handshake::FIXED_NEWSTYLE | handshake::NO_ZEROES).to_be_bytes());
    send(stream, &greeting).await?;
    let flags = stream.read_u32().await?;
    if flags & !(client::FIXED_NEWSTYLE | client::NO_ZEROES) != 0 {
        return Err(Ended::Violation(format!("client flags {flags:#x}")));
    }
    Ok(flags & client::NO_ZEROES == 0)
}

/// What becomes of an option.
enum Next {
    Answer(Vec<u8>),
    Begin(Vec<u8>, Agreed),
    End(Vec<u8>),
}

impl Next {
    fn refuse(option: u32, code: u32, message: &str) -> Self {
        let message = message.to_owned();
        Self::Answer(OptionReply::Refused { code, message }.encode(option))
    }
}

struct Haggling<'a> {
    exports: &'a Exports,
    zeroes: bool,
    structured: bool,
    /// The export of which `base:allocation` is to be told.
    allocation: Option<Arc<dyn Export>>,
}

impl Haggling<'_> {
    fn answer(&mut self, code: u32, data: &[u8]) -> Next {
        let option = match ClientOption::decode(code, data) {
            Ok(option) => option,
            Err(malformed) => return Next::refuse(code, refusal::INVALID, &malformed.to_string()),
        };
        match option {
            ClientOption::ExportName(name) => self.begin_the_old_way(&name),
            ClientOption::Abort => Next::End(OptionReply::Ack.encode(code)),
            ClientOption::List => self.list(code),
            ClientOption::Info(query) => self.describe(code, &query, false),
            ClientOption::Go(query) => self.describe(code, &query, true),
            ClientOption::StructuredReply => {
                self.structured = true;
                Next::Answer(OptionReply::Ack.encode(code))
            }
            ClientOption::ListMetaContext(query) => self.contexts(code, &query, false),
            ClientOption::SetMetaContext(query) => self.contexts(code, &query, true),
            ClientOption::Other { .. } => Next::refuse(code, refusal::UNSUPPORTED, "the option is not known here"),
        }
    }

    /// The export of a name, and what it is called here. No name means the only one there is.
    fn find(&self, name: &str) -> Option<(&String, &Arc<dyn Export>)> {
        match self.exports.get_key_value(name) {
            None if name.is_empty() && self.exports.len() == 1 => self.exports.first_key_value(),
            found => found,
        }
    }

    fn begin_the_old_way(&self, name: &str) -> Next {
        // There is no way to say no but to hang up.
        let Some((_, export)) = self.find(name) else {
            return Next::End(Vec::new());
        };
        let mut answer = Vec::new();
        answer.extend(export.size().to_be_bytes());
        answer.extend(self.flags().0.to_be_bytes());
        if self.zeroes {
            answer.extend([0; 124]);
        }
        Next::Begin(answer, self.agreed(export))
    }

    fn list(&self, code: u32) -> Next {
        let mut answer = Vec::new();
        for (name, export) in self.exports {
            let (name, description) = (name.clone(), export.description());
            answer.extend(OptionReply::Server { name, description }.encode(code));
        }
        answer.extend(OptionReply::Ack.encode(code));
        Next::Answer(answer)
    }

    fn describe(&self, code: u32, query: &ExportQuery, begin: bool) -> Next {
        let Some((name, export)) = self.find(&query.name) else {
            return Next::refuse(code, refusal::UNKNOWN, "there is no such export");
        };
        let mut infos = vec![Info::Export {
            size: export.size(),
            flags: self.flags(),
        }];
        infos.push(Info::BlockSize(BlockSize::DEFAULT));
        if query.infos.contains(&info::NAME) {
            infos.push(Info::Name(name.clone()));
        }
        let description = export.description();
        if query.infos.contains(&info::DESCRIPTION) && !description.is_empty() {
            infos.push(Info::Description(description));
        }
        let mut answer: Vec<u8> = infos
            .into_iter()
            .flat_map(|info| OptionReply::Info(info).encode(code))
            .collect();
        answer.extend(OptionReply::Ack.encode(code));
        if begin {
            Next::Begin(answer, self.agreed(export))
        } else {
            Next::Answer(answer)
        }
    }

    fn contexts(&mut self, code: u32, query: &ContextQuery, set: bool) -> Next {
        if set {
            self.allocation = None;
        }
        if !self.structured {
            return Next::refuse(code, refusal::INVALID, "contexts need structured replies");
        }
        let Some((_, export)) = self.find(&query.export) else {
            return Next::refuse(code, refusal::UNKNOWN, "there is no such export");
        };
        let named = query.queries.iter().any(|name| name == BASE_ALLOCATION);
        // A list may be asked for by a namespace, or for all there is.
        let listed = query.queries.is_empty() || query.queries.iter().any(|name| name == "base:");
        let mut answer = Vec::new();
        if named || (!set && listed) {
            let (id, name) = (if set { ALLOCATION_ID } else { 0 }, BASE_ALLOCATION.to_owned());
            answer.extend(OptionReply::MetaContext { id, name }.encode(code));
        }
        if set && named {
            self.allocation = Some(export.clone());
        }
        answer.extend(OptionReply::Ack.encode(code));
        Next::Answer(answer)
    }

    fn flags(&self) -> TransmissionFlags {
        let flags = TransmissionFlags::HAS_FLAGS
            .with(TransmissionFlags::READ_ONLY)
            .with(TransmissionFlags::SEND_FLUSH)
            .with(TransmissionFlags::CAN_MULTI_CONN)
            .with(TransmissionFlags::SEND_CACHE);
        if self.structured {
            flags.with(TransmissionFlags::SEND_DF)
        } else {
            flags
        }
    }

    fn agreed(&self, export: &Arc<dyn Export>) -> Agreed {
        // What was agreed on for another export does not hold.
        let allocation = self.allocation.as_ref().is_some_and(|of| Arc::ptr_eq(of, export));
        Agreed {
            export: export.clone(),
            structured: self.structured,
            allocation,
        }
    }
}
