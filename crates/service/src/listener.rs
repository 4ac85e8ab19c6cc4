//! Connections: accepted within a bound, given TLS and HTTP/1.1 within a time, and ended in good order.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::leftover::{PATIENCE, lend};
use crate::limits::Limits;
use crate::metrics::Metrics;

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long requests may go on after the service was told to stop.
pub(crate) const FAREWELL: Duration = Duration::from_secs(10);

/// hyper's buffer for one connection, in bytes: large enough that a pack arrives in few pieces.
const BUFFER_BYTES: usize = 256 << 10;

type Accepted = std::io::Result<(TcpStream, SocketAddr)>;

/// How much at a time is read of what nobody wants, in bytes.
const FAREWELL_BYTES: usize = 16 << 10;

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// The address of the other side of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) tls: TlsAcceptor,
    pub(crate) router: Router,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) limits: Limits,
    /// How many connections may be open at once; more wait in the system's queue.
    pub(crate) connections_max: usize,
}

impl Listener {
    /// Serves until told to stop, then until the last request is answered or the time for that is over.
    pub(crate) async fn run(self, sockets: TcpListener) {
        let places = Arc::new(Semaphore::new(self.connections_max));
        let mut connections = JoinSet::new();
        let mut stop = self.stop.clone();
        loop {
            let (place, accepted) = tokio::select! {
                next = next(&places, &sockets) => next,
                () = stopped(&mut stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = self.clone().connection(stream, peer);
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => refuse_for_a_moment(error).await,
            }
            while connections.try_join_next().is_some() {}
        }
        drop(sockets);
        let finished = async { while connections.join_next().await.is_some() {} };
        if timeout(FAREWELL, finished).await.is_err() {
            tracing::warn!(
                "requests still ran {} seconds after the stop; they were cut off",
                FAREWELL.as_secs()
            );
        }
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr) {
        let _open = Open::new(self.metrics.clone());
        // Without it small answers wait for the acknowledgement of earlier ones.
        let _ = stream.set_nodelay(true);
        match timeout(HANDSHAKE, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => self.requests(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => tracing::debug!(%peer, "no TLS in time"),
        }
    }

    async fn requests(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr) {
        // Beside the router and not in it: a layer would make a copy of every route for every connection.
        let router = TowerToHyperService::new(self.router);
        let limits = self.limits;
        let is_left = Arc::new(AtomicBool::new(false));
        let left = is_left.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let (request, leftover) = lend(request);
            let answer = router.call(request);
            let left = left.clone();
            Box::pin(async move {
                let mut answer = answer.await?;
                if !leftover.pass_over(limits).await {
                    left.store(true, Ordering::Relaxed);
                    answer
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(BUFFER_BYTES)
            .max_header_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let ended = tokio::select! {
            ended = poll_fn(|context| connection.poll_without_shutdown(context)) => Some(ended),
            () = stopped(&mut self.stop) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|context| connection.poll_without_shutdown(context)).await
            }
        };
        if let Err(error) = &ended {
            tracing::debug!(%peer, %error, "connection ended early");
        }
        let is_left = ended.is_err() || is_left.load(Ordering::Relaxed);
        let stream = connection.into_parts().io.into_inner();
        let _ = timeout(limits.silence, farewell(stream, is_left)).await;
    }
}

/// Counts a connection for as long as it is open, however it ends.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: Arc<Metrics>) -> Self {
        metrics.connections.inc();
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Ends a connection. What its client may still be sending is read for a while: to close at once would reset the
/// connection, and with it the answer that is on its way.
async fn farewell(mut stream: impl AsyncRead + AsyncWrite + Unpin, is_left: bool) {
    if stream.shutdown().await.is_err() || !is_left {
        return;
    }
    let mut nowhere = vec![0; FAREWELL_BYTES];
    while matches!(timeout(PATIENCE, stream.read(&mut nowhere)).await, Ok(Ok(1..))) {}
}

/// The next connection, as soon as there is a place for one.
async fn next(places: &Arc<Semaphore>, sockets: &TcpListener) -> (OwnedSemaphorePermit, Accepted) {
    let place = places.clone().acquire_owned().await;
    (place.expect("the semaphore is never closed"), sockets.accept().await)
}

/// Returns when the service is to stop, also when whoever would say so is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

/// Out of descriptors, most likely: going on at once would only burn a processor.
async fn refuse_for_a_moment(error: std::io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    sleep(Duration::from_millis(100)).await;
}
