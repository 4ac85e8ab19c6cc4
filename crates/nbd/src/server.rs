//! Shows exports to clients, for reading only.

mod export;
mod negotiation;
mod reply;
mod transmission;

pub use export::{Export, ExportError, Stretch};

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How much a server bears.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// Connections at once; one more is hung up on.
    pub connections: usize,
    /// Requests of one connection that are being answered at once. Further ones are not read.
    pub requests: usize,
    /// Bytes of one connection that are being read and sent at once; no less than one request may ask for.
    pub bytes: u32,
    /// A client has chosen an export after this.
    pub negotiation: Duration,
    /// A client for whom nothing is under way sends a request within this. A guest whose disk this is may be quiet for
    /// long, and takes a connection that goes for a disk that is broken.
    pub idle: Duration,
    /// A client takes one answer within this.
    pub sending: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            requests: 32,
            bytes: 2 * crate::wire::PAYLOAD_BYTES_MAX,
            negotiation: Duration::from_secs(10),
            idle: Duration::from_secs(60 * 60),
            sending: Duration::from_secs(60),
        }
    }
}

/// Exports by their names, and how much may be asked of them. Clones are the same server.
#[derive(Clone)]
pub struct Server {
    exports: Arc<Exports>,
    limits: Arc<ServerLimits>,
    connections: Arc<Semaphore>,
}

/// After a client could not be accepted: what was missing may be there again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

type Exports = BTreeMap<String, Arc<dyn Export>>;

impl Server {
    /// A server of these exports. Of a single one the name need not be given by clients.
    pub fn new(exports: impl IntoIterator<Item = (String, Arc<dyn Export>)>, limits: ServerLimits) -> Self {
        Self {
            exports: Arc::new(exports.into_iter().collect()),
            connections: Arc::new(Semaphore::new(limits.connections)),
            limits: Arc::new(limits),
        }
    }

    /// Attends to whoever connects, until the future is dropped: then all connections are hung up. Who may connect is a
    /// matter of the folder that the socket is in.
    ///
    /// Never ends by itself: whoever could not be accepted, as when there are too many descriptors, tries again.
    pub async fn serve(&self, listener: &UnixListener) -> Infallible {
        // No more than there are permits for connections, and those that are hung up on at once.
        let mut attended = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let server = self.clone();
                        attended.spawn(async move { server.attend(stream).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an NBD client could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = attended.join_next() => {}
            }
        }
    }

    /// Attends to one client until it goes, or does what it must not. Why it ended is logged.
    pub async fn attend<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(_permit) = self.connections.try_acquire() else {
            tracing::warn!(limit = self.limits.connections, "an NBD client is one too many");
            return;
        };
        if let Err(error) = self.converse(stream).await {
            tracing::debug!(%error, "an NBD client was hung up on");
        }
    }

    async fn converse<S>(&self, mut stream: S) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let agreed = negotiation::negotiate(&mut stream, &self.exports);
        let agreed = timeout(self.limits.negotiation, agreed).await;
        match agreed.map_err(|_| Ended::TooSlow("choosing an export"))?? {
            Some(agreed) => transmission::answer(stream, agreed, self.limits.clone()).await,
            None => Ok(()),
        }
    }
}

/// Why a connection ends other than by a goodbye.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the connection is lost: {0}")]
    Lost(#[from] io::Error),
    #[error("the client breaks the protocol: {0}")]
    Malformed(#[from] crate::wire::Malformed),
    #[error("the client breaks the protocol: {0}")]
    Violation(String),
    #[error("the client took too long {0}")]
    TooSlow(&'static str),
}

/// Reads past what a client sends for nothing. The caller has bounded the length.
async fn skip(reader: &mut (impl AsyncRead + Unpin), length: u32) -> io::Result<()> {
    let mut rest = reader.take(u64::from(length));
    if tokio::io::copy(&mut rest, &mut tokio::io::sink()).await? < u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Sends one thing.
async fn send(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}
