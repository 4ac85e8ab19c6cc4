//! Reading request bodies: within a length, within a time, and with memory that was admitted.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use strongroom_api::Code;
use tokio::time::timeout;

use crate::Limits;
use crate::refusal::{Answer, Refusal};

/// The length that a request announces, if it does and if it is allowed.
pub(crate) fn announced_length(headers: &HeaderMap, bytes_max: usize) -> Answer<Option<usize>> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    let Some(length) = length else {
        return Err(Refusal::new(
            Code::InvalidRequest,
            "The length of the request is no number",
        ));
    };
    match usize::try_from(length) {
        Ok(length) if length <= bytes_max => Ok(Some(length)),
        _ => Err(too_large(bytes_max)),
    }
}

/// Reads a body of at most `bytes_max` bytes into one piece of memory.
pub(crate) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize, limits: Limits) -> Answer<Bytes> {
    let announced = announced_length(headers, bytes_max)?;
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0));
    let take = |piece: &[u8]| {
        let fits = bytes.len() + piece.len() <= bytes_max;
        if fits {
            bytes.extend_from_slice(piece);
        }
        fits
    };
    read_pieces(body, announced.unwrap_or(bytes_max), limits, take).await?;
    Ok(bytes.into())
}

/// Hands a body of at most `bytes_max` bytes over, piece by piece; `take` says whether the piece still fits.
pub(crate) async fn read_pieces(
    body: Body,
    bytes_max: usize,
    limits: Limits,
    take: impl FnMut(&[u8]) -> bool,
) -> Answer<()> {
    let allowed = limits.silence + Duration::from_secs(bytes_max as u64 / limits.bytes_per_second_min.max(1));
    let reading = hand_over(body.into_data_stream(), bytes_max, limits.silence, take);
    timeout(allowed, reading).await.unwrap_or_else(|_| Err(too_slow()))
}

/// Reads a body of JSON.
pub(crate) async fn read_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    limits: Limits,
) -> Answer<T> {
    let bytes = read(headers, body, bytes_max, limits).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Refusal::new(
            Code::InvalidRequest,
            format!("The request is not what is expected here: {error}"),
        )
    })
}

async fn hand_over(
    mut body: BodyDataStream,
    bytes_max: usize,
    silence: Duration,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Answer<()> {
    loop {
        match timeout(silence, body.next()).await {
            Err(_) => return Err(too_slow()),
            Ok(None) => return Ok(()),
            Ok(Some(Err(_))) => return Err(Refusal::new(Code::InvalidRequest, "The request broke off")),
            Ok(Some(Ok(piece))) if take(&piece) => {}
            Ok(Some(Ok(_))) => return Err(too_large(bytes_max)),
        }
    }
}

fn too_large(bytes_max: usize) -> Refusal {
    Refusal::new(
        Code::BodyTooLarge,
        format!("The request is longer than the {bytes_max} bytes that are allowed here"),
    )
}

fn too_slow() -> Refusal {
    Refusal::new(Code::RequestTimeout, "The request arrived too slowly")
}
