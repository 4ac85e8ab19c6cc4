//! Takes requests and sends their answers, several at once.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::negotiation::Agreed;
use super::reply::reply;
use super::{Ended, ServerLimits, skip};
use crate::wire::{Command, PAYLOAD_BYTES_MAX, REQUEST_BYTES, Request};

/// Requests are small, and come together, in bytes.
const READ_BUFFER_BYTES: usize = 4096;

/// Answers requests until the client goes.
pub async fn answer<S>(stream: S, agreed: Agreed, limits: Arc<ServerLimits>) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let desk = Arc::new(Desk {
        agreed,
        writer: Mutex::new(writer),
        sending: limits.sending,
        stuck: Notify::new(),
    });
    let mut intake = Intake {
        reader: BufReader::with_capacity(READ_BUFFER_BYTES, reader),
        room: Room::of(&limits),
        limits,
        answering: JoinSet::new(),
    };
    tokio::select! {
        ended = intake.run(&desk) => ended,
        () = desk.stuck.notified() => Err(Ended::TooSlow("taking an answer, or the answer could not be made")),
    }
}

/// Takes requests.
struct Intake<R> {
    reader: R,
    limits: Arc<ServerLimits>,
    room: Room,
    /// No more than `room` has permits, and what has ended since the last request.
    answering: JoinSet<()>,
}

impl<R: AsyncRead + Unpin> Intake<R> {
    async fn run<W>(&mut self, desk: &Arc<Desk<W>>) -> Result<(), Ended>
    where
        W: AsyncWrite + Unpin + Send + 'static,
    {
        loop {
            let request = self.next().await?;
            while self.answering.try_join_next().is_some() {}
            match request.command {
                Command::Disconnect => break,
                Command::Write => self.skip_contents(&request).await?,
                _ => {}
            }
            let permits = self.room.enter(&request).await;
            let desk = desk.clone();
            self.answering.spawn(async move {
                desk.answer(&request).await;
                drop(permits);
            });
        }
        // Whoever says goodbye may still wait for answers.
        while self.answering.join_next().await.is_some() {}
        Ok(())
    }

    /// Waits for a request; for as long as something is under way, however long.
    async fn next(&mut self) -> Result<Request, Ended> {
        let mut bytes = [0; REQUEST_BYTES];
        let mut reading = std::pin::pin!(self.reader.read_exact(&mut bytes));
        loop {
            match timeout(self.limits.idle, &mut reading).await {
                Ok(read) => {
                    read?;
                    break;
                }
                Err(_) if self.room.is_empty() => return Err(Ended::TooSlow("to ask for anything")),
                Err(_) => {}
            };
        }
        Ok(Request::decode(&bytes)?)
    }

    /// Reads past what a client wants to write, so that it can be told no.
    async fn skip_contents(&mut self, request: &Request) -> Result<(), Ended> {
        if request.length > PAYLOAD_BYTES_MAX {
            return Err(Ended::Violation(format!("a write of {} bytes", request.length)));
        }
        let skipping = skip(&mut self.reader, request.length);
        let skipped = timeout(self.limits.sending, skipping).await;
        Ok(skipped.map_err(|_| Ended::TooSlow("to send what it writes"))??)
    }
}

/// What may be under way at once.
struct Room {
    requests: Arc<Semaphore>,
    requests_max: usize,
    bytes: Arc<Semaphore>,
    bytes_max: u32,
}

impl Room {
    fn of(limits: &ServerLimits) -> Self {
        let requests_max = limits.requests.max(1);
        let bytes_max = limits.bytes.max(PAYLOAD_BYTES_MAX);
        Self {
            requests: Arc::new(Semaphore::new(requests_max)),
            requests_max,
            bytes: Arc::new(Semaphore::new(bytes_max as usize)),
            bytes_max,
        }
    }

    async fn enter(&self, request: &Request) -> [OwnedSemaphorePermit; 2] {
        // A read that is longer than any may be is refused, and takes no memory.
        let bytes = match request.command {
            Command::Read if request.length <= PAYLOAD_BYTES_MAX => request.length.min(self.bytes_max),
            _ => 0,
        };
        let never_closed = "the semaphores are never closed";
        let request = self.requests.clone().acquire_owned().await.expect(never_closed);
        let bytes = self.bytes.clone().acquire_many_owned(bytes).await.expect(never_closed);
        [request, bytes]
    }

    fn is_empty(&self) -> bool {
        self.requests.available_permits() == self.requests_max
    }
}

/// Where answers go out, one at a time.
struct Desk<W> {
    agreed: Agreed,
    writer: Mutex<W>,
    sending: Duration,
    /// An answer could not be made or sent: nothing that follows would be understood.
    stuck: Notify,
}

impl<W: AsyncWrite + Unpin> Desk<W> {
    async fn answer(&self, request: &Request) {
        let mut alarm = Alarm {
            stuck: &self.stuck,
            armed: true,
        };
        let mut parts = Parts(reply(&self.agreed, request).await.into());
        let mut writer = self.writer.lock().await;
        let sending = async {
            writer.write_all_buf(&mut parts).await?;
            writer.flush().await
        };
        alarm.armed = !matches!(timeout(self.sending, sending).await, Ok(Ok(())));
    }
}

/// Ends the connection when an answer ends before it is sent, be it by a panic of the export: the client would wait for
/// ever.
struct Alarm<'a> {
    stuck: &'a Notify,
    armed: bool,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.stuck.notify_one();
        }
    }
}

/// Pieces of an answer, which are sent by as few calls as the system allows and never copied together.
struct Parts(VecDeque<Bytes>);

impl Buf for Parts {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        let full = self.0.iter().find(|part| !part.is_empty());
        full.map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let full = self.0.iter().filter(|part| !part.is_empty());
        let pairs = slices.iter_mut().zip(full);
        pairs.map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(part) = self.0.front_mut() {
            if count < part.len() {
                part.advance(count);
                return;
            }
            count -= part.len();
            self.0.pop_front();
        }
        assert_eq!(count, 0, "no more is sent than there was");
    }
}
