//! What is left of a request's body when the answer is there. It is read to its end, or the connection has to end with the
//! answer: a client that uses it again would find it closed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Request;
use axum::http::header::EXPECT;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::limits::Limits;

/// The longest rest, in bytes, that is read although nobody wants it.
const PASSED_OVER_BYTES_MAX: u64 = 1 << 20;

/// How long the next piece of it may take: whoever sends what was announced is doing so.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// A request's body, which comes back when whoever was to read it lets it go before its end.
pub(crate) struct Lent {
    /// `None` after it was given back.
    body: Option<Incoming>,
    was_read: bool,
    back: Option<oneshot::Sender<Returned>>,
}

struct Returned {
    body: Incoming,
    /// Somebody began to read it.
    was_read: bool,
}

/// Where a body comes back to.
pub(crate) struct Leftover {
    /// The client sends nothing before it is told to go on, which reading would do.
    waits: bool,
    back: oneshot::Receiver<Returned>,
}

/// Lends the body of a request to whoever answers it.
pub(crate) fn lend(request: Request<Incoming>) -> (Request<Lent>, Leftover) {
    let (back, returned) = oneshot::channel();
    let leftover = Leftover {
        waits: request.headers().contains_key(EXPECT),
        back: returned,
    };
    let request = request.map(|body| Lent {
        body: Some(body),
        was_read: false,
        back: Some(back),
    });
    (request, leftover)
}

impl Leftover {
    /// Reads what is left, if that is short and comes in time; `false` when something stays.
    pub(crate) async fn pass_over(mut self, limits: Limits) -> bool {
        // Nothing came back: it was read to its end, or the answer is made while it is read.
        let Ok(Returned { body, was_read }) = self.back.try_recv() else {
            return true;
        };
        match self.waits && !was_read {
            true => false,
            false => timeout(limits.silence, is_short(body)).await.unwrap_or(false),
        }
    }
}

/// Reads the rest of a body, unless it is long; `false` when something of it is left.
async fn is_short(mut body: Incoming) -> bool {
    let mut length = 0;
    loop {
        if length + body.size_hint().lower() > PASSED_OVER_BYTES_MAX {
            return false;
        }
        let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        match timeout(PATIENCE, next).await {
            Ok(None) => return true,
            Ok(Some(Ok(frame))) => length += frame.data_ref().map_or(0, Bytes::len) as u64,
            Ok(Some(Err(_))) | Err(_) => return false,
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        this.was_read = true;
        match &mut this.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            let was_read = self.was_read;
            // Nobody waits for it when the connection is gone.
            let _ = back.send(Returned { body, was_read });
        }
    }
}
