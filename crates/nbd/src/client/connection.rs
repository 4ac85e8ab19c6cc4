//! The task behind a connection: sends the requests of all callers and hands the answers out by their cookies.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::assembly::{ReadAssembly, StatusAssembly};
use super::negotiation::Agreed;
use super::{ConnectOptions, request};
use crate::NbdError;
use crate::wire::{ChunkKind, Command, Descriptor, Failure, Payload, REPLY_START_BYTES, ReplyStart, Request};

/// Headers and small chunks are read together; contents go past this, in bytes.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// Requests that are sent together.
const BATCH: usize = 64;
/// How long a server may take to hang up after a goodbye.
const FAREWELL: Duration = Duration::from_secs(5);

/// A handle of the task. The task ends when the last one is gone.
#[derive(Debug, Clone)]
pub struct Link {
    orders: mpsc::Sender<Order>,
    requests: Arc<Semaphore>,
    requests_max: u32,
    bytes: Arc<Semaphore>,
    bytes_max: u32,
    contexts: Arc<[u32]>,
    /// Why the connection is no more.
    end: watch::Receiver<Option<NbdError>>,
}

#[derive(Debug)]
enum Order {
    Ask(Request, Waiting),
    Disconnect,
}

/// Somebody who waits for an answer, or has ceased to: then the answer is read and thrown away.
#[derive(Debug)]
struct Waiting {
    answer: Answer,
    _request: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Answer {
    Read(ReadAssembly, oneshot::Sender<Result<Bytes, NbdError>>),
    Status(StatusAssembly, oneshot::Sender<Result<Vec<Descriptor>, NbdError>>),
}

/// An answer that will come.
#[derive(Debug)]
pub struct Coming<T> {
    answer: oneshot::Receiver<Result<T, NbdError>>,
    end: watch::Receiver<Option<NbdError>>,
}

impl<T> Coming<T> {
    /// The answer, when it has come; it comes whether anybody waits for it or not.
    pub async fn arrived(self) -> Result<T, NbdError> {
        match self.answer.await {
            Ok(answer) => answer,
            Err(_) => Err(reason(self.end).await),
        }
    }
}

/// Why the connection is no more. Whoever asks has seen that it is not.
async fn reason(mut end: watch::Receiver<Option<NbdError>>) -> NbdError {
    match end.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().expect("it was waited for"),
        Err(_) => NbdError::Lost("its task was stopped".into()),
    }
}

impl Link {
    /// Starts the task.
    pub fn over<S>(stream: S, agreed: &Agreed, options: &ConnectOptions) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let requests_max = usize::from(options.requests_in_flight_max.max(1));
        let (orders, taken) = mpsc::channel(requests_max);
        let (ended, end) = watch::channel(None);
        tokio::spawn(run(stream, taken, agreed.structured, ended));
        let bytes_max = options.bytes_in_flight_max.max(1);
        Self {
            orders,
            requests: Arc::new(Semaphore::new(requests_max)),
            requests_max: u32::from(options.requests_in_flight_max.max(1)),
            bytes: Arc::new(Semaphore::new(bytes_max as usize)),
            bytes_max,
            contexts: agreed.contexts.iter().map(|(id, _)| *id).collect(),
            end,
        }
    }

    /// Asks for contents; returns when there is room for them in flight, and the request is on its way.
    pub async fn read(&self, offset: u64, length: u32) -> Result<Coming<Bytes>, NbdError> {
        let (sender, coming) = self.coming();
        let answer = || Answer::Read(ReadAssembly::new(offset, length), sender);
        self.ask(request(Command::Read, offset, length), length, answer).await?;
        Ok(coming)
    }

    /// Asks for the status of blocks.
    pub async fn status(&self, offset: u64, length: u32, context: u32) -> Result<Coming<Vec<Descriptor>>, NbdError> {
        let (sender, coming) = self.coming();
        let agreed = self.contexts.clone();
        let answer = || Answer::Status(StatusAssembly::new(offset, length, context, agreed), sender);
        self.ask(request(Command::BlockStatus, offset, length), 0, answer)
            .await?;
        Ok(coming)
    }

    fn coming<T>(&self) -> (oneshot::Sender<Result<T, NbdError>>, Coming<T>) {
        let (sender, answer) = oneshot::channel();
        let end = self.end.clone();
        (sender, Coming { answer, end })
    }

    async fn ask(&self, request: Request, bytes: u32, answer: impl FnOnce() -> Answer) -> Result<(), NbdError> {
        let permits = async {
            let request = self.requests.clone().acquire_owned().await.ok()?;
            // A block that is longer than all that may be in flight takes all of it.
            let bytes = self
                .bytes
                .clone()
                .acquire_many_owned(bytes.min(self.bytes_max))
                .await
                .ok()?;
            Some((request, bytes))
        };
        let Some((_request, _bytes)) = permits.await else {
            return Err(reason(self.end.clone()).await);
        };
        let waiting = Waiting {
            answer: answer(),
            _request,
            _bytes,
        };
        match self.orders.send(Order::Ask(request, waiting)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(reason(self.end.clone()).await),
        }
    }

    /// Says goodbye once nothing is in flight any more, and waits for the end.
    pub async fn disconnect(&self) -> Result<(), NbdError> {
        let all = self.requests.acquire_many(self.requests_max).await;
        self.requests.close();
        // Whether it was closed or lost before, the reason below says.
        if all.is_ok() {
            let _ = self.orders.send(Order::Disconnect).await;
        }
        match reason(self.end.clone()).await {
            NbdError::Closed => Ok(()),
            error => Err(error),
        }
    }
}

type Pending = Mutex<HashMap<u64, Waiting>>;

fn lock(pending: &Pending) -> std::sync::MutexGuard<'_, HashMap<u64, Waiting>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run<S>(stream: S, orders: mpsc::Receiver<Order>, structured: bool, ended: watch::Sender<Option<NbdError>>)
where
    S: AsyncRead + AsyncWrite,
{
    let (reader, writer) = tokio::io::split(stream);
    // No more than the permits for requests.
    let pending = Pending::default();
    let mut receiver = Receiver {
        reader: BufReader::with_capacity(READ_BUFFER_BYTES, reader),
        pending: &pending,
        structured,
    };
    let mut receiving = std::pin::pin!(receiver.receive());
    let reason = tokio::select! {
        error = &mut receiving => error,
        sent = send(writer, orders, &pending) => match sent {
            Ok(()) => {
                // What is under way may still be answered; then the server hangs up.
                let _ = timeout(FAREWELL, receiving).await;
                NbdError::Closed
            }
            Err(error) => error.into(),
        },
        () = abandoned(&ended) => NbdError::Closed,
    };
    tracing::debug!(%reason, "an NBD connection has ended");
    // Before those who wait are let go, who then ask for it.
    ended.send_replace(Some(reason));
}

/// Returns some time after the last handle has gone: the server was told, unless it takes nothing any more.
async fn abandoned(ended: &watch::Sender<Option<NbdError>>) {
    ended.closed().await;
    sleep(FAREWELL).await;
}

/// Sends requests until there is nobody left who could have any, or one says goodbye.
async fn send(
    mut writer: impl AsyncWrite + Unpin,
    mut orders: mpsc::Receiver<Order>,
    pending: &Pending,
) -> io::Result<()> {
    let (mut batch, mut bytes, mut cookie) = (Vec::with_capacity(BATCH), Vec::new(), 0);
    loop {
        let mut goodbye = orders.recv_many(&mut batch, BATCH).await == 0;
        for order in batch.drain(..) {
            let Order::Ask(request, waiting) = order else {
                goodbye = true;
                break;
            };
            if waiting.answer.is_wanted() {
                cookie += 1;
                lock(pending).insert(cookie, waiting);
                Request { cookie, ..request }.encode(&mut bytes);
            }
        }
        if goodbye {
            request(Command::Disconnect, 0, 0).encode(&mut bytes);
        }
        writer.write_all(&bytes).await?;
        writer.flush().await?;
        bytes.clear();
        if goodbye {
            return Ok(());
        }
    }
}

struct Receiver<'a, R> {
    reader: R,
    pending: &'a Pending,
    structured: bool,
}

impl<R: AsyncRead + Unpin> Receiver<'_, R> {
    /// Hands out answers until none can come any more.
    async fn receive(&mut self) -> NbdError {
        loop {
            if let Err(error) = self.receive_one().await {
                return error;
            }
        }
    }

    async fn receive_one(&mut self) -> Result<(), NbdError> {
        let mut start = [0; REPLY_START_BYTES];
        self.reader.read_exact(&mut start).await?;
        match ReplyStart::decode(&start)? {
            ReplyStart::Simple { cookie, error } => {
                let mut waiting = self.take(cookie)?;
                let failure = error.map(|errno| Failure {
                    errno,
                    message: String::new(),
                    offset: None,
                });
                self.simple(&mut waiting.answer, failure).await?;
                waiting.answer.finish()
            }
            ReplyStart::Chunk { cookie, kind, done } => {
                if !self.structured {
                    return Err(NbdError::violation("a structured reply, which was not agreed on"));
                }
                let length = self.reader.read_u32().await?;
                if kind.length_max().is_none_or(|max| length > max) {
                    return Err(NbdError::violation(format!(
                        "{length} bytes in a chunk of kind {kind:?}"
                    )));
                }
                let mut waiting = self.take(cookie)?;
                self.chunk(&mut waiting.answer, kind, length).await?;
                if done {
                    return waiting.answer.finish();
                }
                lock(self.pending).insert(cookie, waiting);
                Ok(())
            }
        }
    }

    fn take(&self, cookie: u64) -> Result<Waiting, NbdError> {
        let waiting = lock(self.pending).remove(&cookie);
        waiting.ok_or_else(|| NbdError::violation(format!("an answer to request {cookie}, which is not under way")))
    }

    async fn simple(&mut self, answer: &mut Answer, failure: Option<Failure>) -> Result<(), NbdError> {
        match (answer, failure) {
            (Answer::Read(..), _) if self.structured => Err(NbdError::violation("a simple reply to a read")),
            (Answer::Read(read, _), None) => {
                self.reader.read_exact(read.whole()?).await?;
                Ok(())
            }
            (answer, Some(failure)) => {
                answer.fail(failure);
                Ok(())
            }
            (Answer::Status(..), None) => Err(NbdError::violation("a simple reply to a question")),
        }
    }

    /// Takes one chunk, whose length is bounded by its kind.
    async fn chunk(&mut self, answer: &mut Answer, kind: ChunkKind, length: u32) -> Result<(), NbdError> {
        match (kind, answer) {
            (ChunkKind::Data, Answer::Read(read, _)) => {
                let contents = length.checked_sub(8).filter(|length| *length > 0);
                let contents = contents.ok_or_else(|| NbdError::violation("a chunk without contents"))?;
                let offset = self.reader.read_u64().await?;
                self.reader.read_exact(read.place(offset, contents)?).await?;
                Ok(())
            }
            (ChunkKind::Data, Answer::Status(..)) | (ChunkKind::BlockStatus, Answer::Read(..)) => Err(
                NbdError::violation(format!("a chunk of kind {kind:?} for another request")),
            ),
            (kind, answer) => {
                let mut payload = vec![0; length as usize];
                self.reader.read_exact(&mut payload).await?;
                answer.take(Payload::decode(kind, &payload)?)
            }
        }
    }
}

impl Answer {
    fn is_wanted(&self) -> bool {
        match self {
            Self::Read(_, sender) => !sender.is_closed(),
            Self::Status(_, sender) => !sender.is_closed(),
        }
    }

    fn take(&mut self, payload: Payload) -> Result<(), NbdError> {
        match (self, payload) {
            (_, Payload::None) => Ok(()),
            (answer, Payload::Error(failure)) => {
                answer.fail(failure);
                Ok(())
            }
            (Self::Read(read, _), Payload::Hole { offset, length }) => read.hole(offset, length),
            (Self::Status(status, _), Payload::BlockStatus { context, descriptors }) => {
                status.take(context, descriptors)
            }
            (_, payload) => Err(NbdError::violation(format!(
                "a chunk of kind {:?} for another request",
                payload.kind()
            ))),
        }
    }

    fn fail(&mut self, failure: Failure) {
        match self {
            Self::Read(read, _) => read.fail(failure),
            Self::Status(status, _) => status.fail(failure),
        }
    }

    /// Hands it out. That nobody wants it any more is no error.
    fn finish(self) -> Result<(), NbdError> {
        match self {
            Self::Read(read, sender) => {
                let _ = sender.send(read.finish()?);
            }
            Self::Status(status, sender) => {
                let _ = sender.send(status.finish()?);
            }
        }
        Ok(())
    }
}
