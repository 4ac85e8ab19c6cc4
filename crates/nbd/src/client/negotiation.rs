//! What client and server agree on before anything is read.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::ConnectOptions;
use crate::NbdError;
use crate::wire::{
    BlockSize, ClientOption, ContextQuery, ExportQuery, Info, OPTION_MAGIC, OPTION_REPLY_HEADER_BYTES, OptionReply,
    OptionReplyHeader, SERVER_MAGIC, TEXT_BYTES_MAX, TransmissionFlags, client, handshake, info, refusal,
};

/// Answers to one option. Only a list of exports has many.
const ANSWERS_MAX: usize = 4096;
/// The data of one answer: two strings and some numbers.
const ANSWER_BYTES_MAX: u32 = 2 * TEXT_BYTES_MAX as u32 + 64;
/// Contexts that a server agrees to.
const CONTEXTS_MAX: usize = 64;
/// What a server sends for nothing after `EXPORT_NAME`, unless it was asked not to.
const ZEROES: usize = 124;

/// What a server says of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportInfo {
    /// What the server calls it.
    pub name: String,
    /// For a person.
    pub description: Option<String>,
    /// In bytes.
    pub size: u64,
    /// What can be done with it.
    pub flags: TransmissionFlags,
    /// Sizes of requests.
    pub block_size: BlockSize,
}

impl ExportInfo {
    /// Whether nothing can be written.
    pub fn is_read_only(&self) -> bool {
        self.flags.has(TransmissionFlags::READ_ONLY)
    }

    /// Whether several connections see the same.
    pub fn can_multi_conn(&self) -> bool {
        self.flags.has(TransmissionFlags::CAN_MULTI_CONN)
    }
}

/// An export that a server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedExport {
    /// Its name.
    pub name: String,
    /// For a person; may be empty.
    pub description: String,
}

/// What was agreed on.
#[derive(Debug)]
pub struct Agreed {
    pub export: ExportInfo,
    pub structured: bool,
    /// Contexts by their numbers.
    pub contexts: Vec<(u32, String)>,
}

/// Begins with an export; what follows on the stream are requests and replies.
pub async fn begin<S>(stream: &mut S, options: &ConnectOptions) -> Result<Agreed, NbdError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk::greet(stream).await?;
    let agreed = talk.begin(options).await;
    talk.end_if_refused(agreed).await
}

/// What a server says of an export.
pub async fn inspect<S>(stream: &mut S, export: &str) -> Result<ExportInfo, NbdError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk::greet(stream).await?;
    let info = talk.describe(export, ClientOption::Info).await;
    let info = talk.end_if_refused(info).await?;
    talk.abort().await;
    Ok(info)
}

/// Which exports a server lists.
pub async fn list<S>(stream: &mut S) -> Result<Vec<ListedExport>, NbdError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk::greet(stream).await?;
    let answers = talk.ask(&ClientOption::List).await;
    let answers = talk.end_if_refused(answers).await?;
    talk.abort().await;
    let exports = answers.into_iter().filter_map(|answer| match answer {
        OptionReply::Server { name, description } => Some(ListedExport { name, description }),
        _ => None,
    });
    Ok(exports.collect())
}

/// Options and their answers.
struct Talk<'a, S> {
    stream: &'a mut S,
    /// Whether the server sends [`ZEROES`].
    zeroes: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Talk<'a, S> {
    async fn greet(stream: &'a mut S) -> Result<Self, NbdError> {
        if stream.read_u64().await? != SERVER_MAGIC || stream.read_u64().await? != OPTION_MAGIC {
            return Err(NbdError::violation("it is no NBD server, or one of the old style"));
        }
        let flags = stream.read_u16().await?;
        if flags & handshake::FIXED_NEWSTYLE == 0 {
            return Err(NbdError::violation("it does not know the fixed newstyle"));
        }
        let zeroes = flags & handshake::NO_ZEROES == 0;
        let ours = client::FIXED_NEWSTYLE | if zeroes { 0 } else { client::NO_ZEROES };
        stream.write_all(&ours.to_be_bytes()).await?;
        Ok(Self { stream, zeroes })
    }

    async fn begin(&mut self, options: &ConnectOptions) -> Result<Agreed, NbdError> {
        let structured = options.structured && self.has(&ClientOption::StructuredReply).await?;
        let contexts = if structured && !options.contexts.is_empty() {
            self.contexts(options).await?
        } else {
            Vec::new()
        };
        let export = match self.describe(&options.export, ClientOption::Go).await {
            Err(NbdError::Refused { code, .. }) if code == refusal::UNSUPPORTED => {
                self.begin_the_old_way(&options.export).await?
            }
            result => result?,
        };
        Ok(Agreed {
            export,
            structured,
            contexts,
        })
    }

    /// Whether the server knows an option that needs no more answer than yes.
    async fn has(&mut self, option: &ClientOption) -> Result<bool, NbdError> {
        match self.ask(option).await {
            Ok(_) => Ok(true),
            Err(NbdError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn contexts(&mut self, options: &ConnectOptions) -> Result<Vec<(u32, String)>, NbdError> {
        let query = ClientOption::SetMetaContext(ContextQuery {
            export: options.export.clone(),
            queries: options.contexts.clone(),
        });
        let answers = match self.ask(&query).await {
            // It knows none at all, which is the same as none of these. Another refusal is about the export.
            Err(NbdError::Refused { code, .. }) if code == refusal::UNSUPPORTED => Vec::new(),
            answers => answers?,
        };
        let mut contexts = Vec::new();
        for answer in answers {
            let OptionReply::MetaContext { id, name } = answer else {
                continue;
            };
            if contexts.len() == CONTEXTS_MAX || contexts.iter().any(|(known, _)| *known == id) {
                return Err(NbdError::violation(format!(
                    "context {name} is one too many, or has another's number"
                )));
            }
            contexts.push((id, name));
        }
        Ok(contexts)
    }

    /// Asks for what the server says of an export, by `INFO` or `GO`.
    async fn describe(
        &mut self,
        export: &str,
        option: impl Fn(ExportQuery) -> ClientOption,
    ) -> Result<ExportInfo, NbdError> {
        let query = option(ExportQuery {
            name: export.to_owned(),
            infos: vec![info::NAME, info::DESCRIPTION, info::BLOCK_SIZE],
        });
        let answers = self.ask(&query).await?;
        let (mut size, mut block_size, mut name, mut description) = (None, None, None, None);
        for answer in answers {
            match answer {
                OptionReply::Info(Info::Export { size: of, flags }) => size = Some((of, flags)),
                OptionReply::Info(Info::BlockSize(of)) => block_size = Some(of),
                OptionReply::Info(Info::Name(of)) => name = Some(of),
                OptionReply::Info(Info::Description(of)) => description = Some(of),
                _ => {}
            }
        }
        let (size, flags) = size.ok_or_else(|| NbdError::violation("it does not tell the export's size"))?;
        Ok(ExportInfo {
            name: name.unwrap_or_else(|| export.to_owned()),
            description,
            size,
            flags,
            block_size: block_size.unwrap_or(BlockSize::DEFAULT),
        })
    }

    /// A server that knows no `GO` can refuse only by hanging up.
    async fn begin_the_old_way(&mut self, export: &str) -> Result<ExportInfo, NbdError> {
        let option = ClientOption::ExportName(export.to_owned());
        self.stream.write_all(&option.encode()).await?;
        let size = self.stream.read_u64().await?;
        let flags = TransmissionFlags(self.stream.read_u16().await?);
        if self.zeroes {
            self.stream.read_exact(&mut [0; ZEROES]).await?;
        }
        Ok(ExportInfo {
            name: export.to_owned(),
            description: None,
            size,
            flags,
            block_size: BlockSize::DEFAULT,
        })
    }

    /// Sends an option and takes its answers, up to the one that says that those were all.
    async fn ask(&mut self, option: &ClientOption) -> Result<Vec<OptionReply>, NbdError> {
        self.stream.write_all(&option.encode()).await?;
        let mut answers = Vec::new();
        while answers.len() < ANSWERS_MAX {
            match self.answer(option).await? {
                OptionReply::Ack => return Ok(answers),
                OptionReply::Refused { code, message } => {
                    let option = option.name().to_owned();
                    return Err(NbdError::Refused { option, code, message });
                }
                answer => answers.push(answer),
            }
        }
        Err(NbdError::violation(format!(
            "more than {ANSWERS_MAX} answers to {}",
            option.name()
        )))
    }

    async fn answer(&mut self, option: &ClientOption) -> Result<OptionReply, NbdError> {
        let mut header = [0; OPTION_REPLY_HEADER_BYTES];
        self.stream.read_exact(&mut header).await?;
        let header = OptionReplyHeader::decode(&header)?;
        if header.option != option.code() || header.length > ANSWER_BYTES_MAX {
            let why = format!("{} bytes in answer to option {}", header.length, header.option);
            return Err(NbdError::Violation(why));
        }
        let mut data = vec![0; header.length as usize];
        self.stream.read_exact(&mut data).await?;
        Ok(OptionReply::decode(header.kind, &data)?)
    }

    /// A server that has refused is owed a goodbye.
    async fn end_if_refused<T>(&mut self, result: Result<T, NbdError>) -> Result<T, NbdError> {
        if matches!(result, Err(NbdError::Refused { .. })) {
            self.abort().await;
        }
        result
    }

    async fn abort(&mut self) {
        // What comes of it does not matter: the stream is closed next.
        let _ = self.stream.write_all(&ClientOption::Abort.encode()).await;
    }
}
