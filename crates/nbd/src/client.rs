//! Reads an export of a server.

mod assembly;
mod connection;
mod extent;
mod grid;
mod negotiation;

pub use extent::{Allocation, Dirty, Extent};
pub use negotiation::{ExportInfo, ListedExport};

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::NbdError;
use crate::wire::{BASE_ALLOCATION, Command, PAYLOAD_BYTES_MAX, Request};
use connection::Link;
use extent::Extents;
use grid::Grid;

/// One question for the status of blocks is about so many bytes at most: a multiple of any block size below 4 GiB.
const STATUS_BYTES_MAX: u64 = 2 << 30;

/// What is asked of a server, and how much at once.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The export's name; empty for the server's default one.
    pub export: String,
    /// Contexts to ask for, such as `base:allocation` or `qemu:dirty-bitmap:NAME`. The server tells which it has.
    pub contexts: Vec<String>,
    /// Whether to ask for structured replies, without which there are no contexts.
    pub structured: bool,
    /// Bytes that are asked for and have not come yet, over all callers.
    pub bytes_in_flight_max: u32,
    /// Requests that are not answered yet, over all callers.
    pub requests_in_flight_max: u16,
}

impl ConnectOptions {
    /// An export, read as this client does best.
    pub fn new(export: impl Into<String>) -> Self {
        Self {
            export: export.into(),
            contexts: Vec::new(),
            structured: true,
            bytes_in_flight_max: 2 * PAYLOAD_BYTES_MAX,
            requests_in_flight_max: 64,
        }
    }

    /// The same, and this context.
    #[must_use]
    pub fn with_context(mut self, name: impl Into<String>) -> Self {
        self.contexts.push(name.into());
        self
    }
}

/// A connection to one export. Clones share it, and each may have several requests under way.
///
/// A future that is dropped, or runs out of time, leaves the connection as it was: its answer is thrown away when it
/// comes, and until then counts as being in flight. When the last clone goes, the server is told.
#[derive(Debug, Clone)]
pub struct Client {
    link: Link,
    export: std::sync::Arc<ExportInfo>,
    contexts: std::sync::Arc<[(u32, String)]>,
    grid: Grid,
}

impl Client {
    /// Connects to a unix socket and begins with an export, all within the limit.
    pub async fn connect(socket: &Path, options: &ConnectOptions, limit: Duration) -> Result<Self, NbdError> {
        within(limit, "begin", async {
            Self::begin(open(socket).await?, options).await
        })
        .await
    }

    /// Begins with an export over a stream that leads to a server, within the limit.
    pub async fn over<S>(stream: S, options: &ConnectOptions, limit: Duration) -> Result<Self, NbdError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        within(limit, "begin", Self::begin(stream, options)).await
    }

    async fn begin<S>(mut stream: S, options: &ConnectOptions) -> Result<Self, NbdError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let agreed = negotiation::begin(&mut stream, options).await?;
        let grid = Grid::of(&agreed.export, options.bytes_in_flight_max)?;
        Ok(Self {
            link: Link::over(stream, &agreed, options),
            export: agreed.export.into(),
            contexts: agreed.contexts.into(),
            grid,
        })
    }

    /// Which exports a server lists.
    pub async fn list(socket: &Path, limit: Duration) -> Result<Vec<ListedExport>, NbdError> {
        within(limit, "list its exports", async {
            negotiation::list(&mut open(socket).await?).await
        })
        .await
    }

    /// What a server says of an export, without reading it.
    pub async fn inspect(socket: &Path, export: &str, limit: Duration) -> Result<ExportInfo, NbdError> {
        within(limit, "describe an export", async {
            negotiation::inspect(&mut open(socket).await?, export).await
        })
        .await
    }

    /// What the server said of the export.
    pub fn export(&self) -> &ExportInfo {
        &self.export
    }

    /// Of the contexts asked for, those whose status the server tells.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(|(_, name)| name.as_str())
    }

    /// Reads within the limit. What is longer than the server bears in one request is asked for in several.
    pub async fn read(&self, offset: u64, length: usize, limit: Duration) -> Result<Bytes, NbdError> {
        within(limit, "read", self.read_pieces(offset, length)).await
    }

    /// Reads as [`Self::read`] does, to where the caller wants it.
    pub async fn read_into(&self, offset: u64, target: &mut [u8], limit: Duration) -> Result<(), NbdError> {
        let contents = self.read(offset, target.len(), limit).await?;
        target.copy_from_slice(&contents);
        Ok(())
    }

    async fn read_pieces(&self, offset: u64, length: usize) -> Result<Bytes, NbdError> {
        let asked = self.within_export(offset, length as u64)?;
        if asked.is_empty() {
            return Ok(Bytes::new());
        }
        let covered = self.grid.around(&asked);
        let mut coming = Vec::new();
        for (offset, length) in self.grid.pieces(&covered) {
            coming.push(self.link.read(offset, length).await?);
        }
        let whole = if coming.len() == 1 {
            coming.remove(0).arrived().await?
        } else {
            let mut whole = BytesMut::with_capacity(usize_of(covered.end - covered.start));
            for piece in coming {
                whole.extend_from_slice(&piece.arrived().await?);
            }
            whole.freeze()
        };
        let before = usize_of(asked.start - covered.start);
        Ok(whole.slice(before..before + length))
    }

    /// What a context says of a range, with the bits as they come; asks until all of the range is covered.
    ///
    /// The limit holds for all of it, and memory for [`Extents::MAX`] extents: ask for a large disk in stretches.
    pub async fn block_status(
        &self,
        range: Range<u64>,
        context: &str,
        limit: Duration,
    ) -> Result<Vec<Extent<u32>>, NbdError> {
        within(limit, "tell the status of blocks", self.extents(range, context)).await
    }

    /// Which stretches of a range are zeros, by `base:allocation`. See [`Self::block_status`].
    pub async fn allocation(&self, range: Range<u64>, limit: Duration) -> Result<Vec<Extent<Allocation>>, NbdError> {
        within(limit, "tell what is allocated", self.extents(range, BASE_ALLOCATION)).await
    }

    /// Which stretches of a range were written to, by a bitmap of QEMU. See [`Self::block_status`].
    pub async fn dirty(
        &self,
        range: Range<u64>,
        bitmap: &str,
        limit: Duration,
    ) -> Result<Vec<Extent<Dirty>>, NbdError> {
        let context = format!("qemu:dirty-bitmap:{bitmap}");
        within(limit, "tell what was written to", self.extents(range, &context)).await
    }

    async fn extents<F: From<u32> + Copy + PartialEq>(
        &self,
        range: Range<u64>,
        context: &str,
    ) -> Result<Vec<Extent<F>>, NbdError> {
        let range = self.within_export(range.start, range.end.saturating_sub(range.start))?;
        let known = self.contexts.iter().find(|(_, name)| name == context);
        let (id, _) = known.ok_or_else(|| NbdError::NoContext(context.to_owned()))?;
        let mut extents = Extents::of(&range);
        while let Some(rest) = extents.missing() {
            let asked = self.grid.around(&rest);
            let length = (asked.end - asked.start).min(STATUS_BYTES_MAX);
            let length = u32::try_from(length).expect("2 GiB fit 32 bits");
            let descriptors = self.link.status(asked.start, length, *id).await?.arrived().await?;
            extents.take(asked.start, &descriptors)?;
        }
        Ok(extents.found())
    }

    /// Says goodbye when everything under way is answered, and waits until the server has hung up. Other clones get
    /// [`NbdError::Closed`] from then on.
    pub async fn disconnect(self, limit: Duration) -> Result<(), NbdError> {
        within(limit, "say goodbye", self.link.disconnect()).await
    }

    fn within_export(&self, offset: u64, length: u64) -> Result<Range<u64>, NbdError> {
        let size = self.export.size;
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(offset..end),
            _ => Err(NbdError::OutOfRange { offset, length, size }),
        }
    }
}

/// What is read fits memory, for the caller asked for as much.
fn usize_of(length: u64) -> usize {
    usize::try_from(length).expect("it is at most a block longer at each end than what the caller has in memory")
}

async fn open(socket: &Path) -> Result<UnixStream, NbdError> {
    UnixStream::connect(socket).await.map_err(|error| NbdError::Connect {
        address: socket.display().to_string(),
        why: error.to_string(),
    })
}

async fn within<T>(
    limit: Duration,
    doing: &'static str,
    work: impl Future<Output = Result<T, NbdError>>,
) -> Result<T, NbdError> {
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(NbdError::TimedOut { doing, limit }),
    }
}

/// A request whose cookie the connection puts in.
fn request(command: Command, offset: u64, length: u32) -> Request {
    Request {
        flags: 0,
        command,
        cookie: 0,
        offset,
        length,
    }
}
