//! Reading request bodies: within a length, within a time, and with memory that was admitted.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_LENGTH;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use strongroom_api::Code;
use strongroom_api::routes::RouteId;
use strongroom_model::ContainerId;
use tokio::time::timeout;

use crate::memory::Buffer;
use crate::principal::Principal;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;

/// A request's body that was not read yet.
pub(crate) struct Incoming {
    /// What the request says about its length.
    announced: Option<u64>,
    /// The machine that sends it, if it is one.
    sender: Option<ContainerId>,
    body: Body,
}

impl<S: Sync> FromRequest<S> for Incoming {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        Self::of(request)
    }
}

impl Incoming {
    /// The body of a request.
    pub(crate) fn of(request: Request) -> Answer<Self> {
        let length = request.headers().get(CONTENT_LENGTH);
        let number = |text: &str| text.parse().ok();
        let announced = match length.map(|value| value.to_str().ok().and_then(number)) {
            Some(None) => {
                let detail = "The length of the request is no number";
                return Err(Refusal::new(Code::InvalidRequest, detail));
            }
            announced => announced.flatten(),
        };
        let sender = match request.extensions().get() {
            Some(Principal::Machine(machine)) => Some(machine.container),
            _ => None,
        };
        let body = request.into_body();
        Ok(Self {
            announced,
            sender,
            body,
        })
    }

    /// Reads the body, as long as the route allows, into one piece of memory.
    pub(crate) async fn read(self, shared: &Shared, route: RouteId) -> Answer<Bytes> {
        self.read_up_to(shared, route.route().request.bytes_max()).await
    }

    /// Reads the body, if it is not longer than this, into one piece of memory.
    pub(crate) async fn read_up_to(self, shared: &Shared, bytes_max: usize) -> Answer<Bytes> {
        let length = self.announced.unwrap_or(bytes_max as u64);
        let Some(length) = usize::try_from(length).ok().filter(|&length| length <= bytes_max) else {
            return Err(too_large(bytes_max));
        };
        let mut buffer = shared.memory.take(length, self.sender).await;
        let limits = shared.limits;
        let allowed = limits.silence + Duration::from_secs(length as u64 / limits.bytes_per_second_min.max(1));
        let filled = timeout(allowed, fill(&mut buffer, self.body.into_data_stream(), limits.silence)).await;
        match filled.unwrap_or_else(|_| Err(too_slow()))? {
            true => Ok(buffer.freeze()),
            false => Err(too_large(bytes_max)),
        }
    }

    /// As [`Incoming::read`], but refuses a body whose length was not announced.
    pub(crate) async fn read_announced(self, shared: &Shared, route: RouteId) -> Answer<Bytes> {
        match self.announced {
            Some(_) => self.read(shared, route).await,
            None => Err(Refusal::new(Code::LengthRequired, "A pack must come with its length")),
        }
    }

    /// Reads a body of JSON, which is an object: serde would take the list of a struct's members for it.
    pub(crate) async fn read_json<T: DeserializeOwned>(self, shared: &Shared, route: RouteId) -> Answer<T> {
        let bytes = self.read(shared, route).await?;
        if has_nul(&bytes) {
            return Err(nul());
        }
        if bytes.trim_ascii_start().first().is_some_and(|&first| first != b'{') {
            return Err(Refusal::new(Code::InvalidRequest, "The request is no JSON object"));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            let detail = format!("The request is not what is expected here: {error}");
            Refusal::new(Code::InvalidRequest, detail)
        })
    }
}

/// Reads a form, or the query of an address.
pub(crate) fn form<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    if bytes.contains(&0) || bytes.windows(3).any(|three| three == b"%00") {
        return Err(nul());
    }
    serde_urlencoded::from_bytes(bytes).map_err(|error| {
        let detail = format!("The request is not what is expected here: {error}");
        Refusal::new(Code::InvalidRequest, detail)
    })
}

/// Whether a text in JSON has the character that no text in PostgreSQL can have. In a name, a mail or a log it would only
/// mislead.
fn has_nul(json: &[u8]) -> bool {
    fn is_in(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(text) => text.contains('\0'),
            serde_json::Value::Array(members) => members.iter().any(is_in),
            serde_json::Value::Object(members) => members.iter().any(|(key, value)| key.contains('\0') || is_in(value)),
            _ => false,
        }
    }
    // Nearly nobody writes this; it may be the text of a backslash, though.
    let suspicious = json.windows(6).any(|six| six == b"\\u0000");
    suspicious && serde_json::from_slice(json).is_ok_and(|value| is_in(&value))
}

fn nul() -> Refusal {
    Refusal::new(
        Code::InvalidRequest,
        "A text in the request has a NUL character in it: leave it out",
    )
}

/// Reads until the end; `false` when there is more than fits.
async fn fill(buffer: &mut Buffer, mut body: BodyDataStream, silence: Duration) -> Answer<bool> {
    loop {
        match timeout(silence, body.next()).await {
            Err(_) => return Err(too_slow()),
            Ok(None) => return Ok(true),
            Ok(Some(Err(_))) => return Err(Refusal::new(Code::InvalidRequest, "The request broke off")),
            Ok(Some(Ok(piece))) if buffer.push(&piece) => {}
            Ok(Some(Ok(_))) => return Ok(false),
        }
    }
}

fn too_large(bytes_max: usize) -> Refusal {
    let detail = format!("The request is longer than the {bytes_max} bytes that are allowed here");
    Refusal::new(Code::BodyTooLarge, detail)
}

fn too_slow() -> Refusal {
    Refusal::new(Code::RequestTimeout, "The request arrived too slowly")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_seen_however_it_is_written() {
        for (json, has) in [
            (r#"{"a": ["b", {"c": "d\u0000"}]}"#, true),
            (r#"{"\u0000": 1}"#, true),
            (r#"{"a": "\\u0000"}"#, false),
            (r#"{"a": "\u0001"}"#, false),
        ] {
            assert_eq!(has_nul(json.as_bytes()), has, "{json}");
        }
        for (text, right) in [("a=b%2500", true), ("a=b%00", false), ("a=b\0", false)] {
            assert_eq!(
                form::<Vec<(String, String)>>(text.as_bytes()).is_ok(),
                right,
                "{text:?}"
            );
        }
    }
}
