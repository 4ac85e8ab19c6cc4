//! Blobs on their way out: read ahead of the receiver, within a bound.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use strongroom_api::routes::RouteId;
use strongroom_api::{FrameHeader, FrameStatus};
use strongroom_vault::{FetchStream, Fetched, VaultError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use crate::incoming::Incoming;
use crate::principal::Machine;
use crate::refusal::{Answer, Refusal};
use crate::sessions::read_identities;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// How many frames wait for the receiver, beside the 8 MiB at most that the vault reads at once.
const FRAMES_WAITING: usize = 4;

/// How long a receiver may refuse to take anything.
const STALL: Duration = Duration::from_secs(120);

/// A frame: what stands before the bytes, and the bytes.
type Pieces = [Bytes; 2];

/// Why a stream ended early; the receiver only sees that it was cut.
#[derive(Debug, thiserror::Error)]
#[error("the vault could not go on")]
struct Cut;

/// `POST /api/v1/fetch`.
pub(crate) async fn fetch(State(shared): State<Arc<Shared>>, machine: Machine, incoming: Incoming) -> Answer<Response> {
    let ids = read_identities(&shared, incoming, RouteId::Fetch).await?;
    let vaults = shared.vaults.clone();
    stream_out(shared, vaults.fetch(machine.container, ids)).await
}

/// Answers with what is fetched, whoever asked.
pub(crate) async fn stream_out(
    shared: Arc<Shared>,
    fetch: impl Future<Output = Result<FetchStream, VaultError>>,
) -> Answer<Response> {
    let place = shared.fetches.clone().acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    let fetched = fetch.await.map_err(refuse)?;
    let (sender, receiver) = mpsc::channel(FRAMES_WAITING);
    tokio::spawn(send(shared, fetched, sender, place));
    let pieces = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let pieces = pieces.flat_map(|frame| match frame {
        Ok([head, bytes]) => stream::iter([Some(Ok(head)), (!bytes.is_empty()).then_some(Ok(bytes))]),
        Err(cut) => stream::iter([Some(Err(cut)), None]),
    });
    let body = Body::from_stream(pieces.filter_map(async |piece| piece));
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

/// Reads from the vault and hands over, until all is sent, the receiver is gone, or the vault fails.
async fn send(
    shared: Arc<Shared>,
    mut fetched: FetchStream,
    sender: mpsc::Sender<Result<Pieces, Cut>>,
    _place: OwnedSemaphorePermit,
) {
    while let Some(next) = fetched.next().await {
        let pieces = next.map(|fetched| frame(&shared, fetched)).map_err(|error| {
            // Logged there; the answer has begun, so that its status cannot tell any more.
            let Refusal(problem) = refuse(error);
            tracing::warn!(code = problem.code.as_str(), "a fetch was cut off");
            Cut
        });
        let failed = pieces.is_err();
        let taken = timeout(STALL, sender.send(pieces)).await;
        if failed || !matches!(taken, Ok(Ok(()))) {
            return;
        }
    }
}

fn frame(shared: &Shared, fetched: Fetched) -> Pieces {
    let (id, status, bytes) = match fetched {
        Fetched::Blob { id, bytes } => (id, FrameStatus::Found, bytes),
        Fetched::Damaged { id, damage } => (id, FrameStatus::Damaged, damage.to_string().into()),
        Fetched::Unknown { id } => (id, FrameStatus::NotFound, Bytes::new()),
        Fetched::Remark { id, damage } => (id, FrameStatus::Remark, damage.to_string().into()),
    };
    if status == FrameStatus::Found {
        shared.metrics.blobs_sent.inc();
        shared.metrics.bytes_sent.inc_by(bytes.len() as u64);
    }
    let length = u32::try_from(bytes.len()).expect("blobs and sentences are short");
    let head = FrameHeader { id, status, length };
    [Bytes::copy_from_slice(&head.to_bytes()), bytes]
}
