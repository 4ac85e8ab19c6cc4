//! Versions as entity tags: what was shown can be changed on the condition that nobody else changed it since.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use strongroom_api::Code;

use crate::refusal::{Answer, Refusal};

/// What `If-Match` says; nothing, or `*`: whatever version it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IfMatch(pub(crate) Option<u64>);

/// An answer with its version as the header `ETag`.
pub(crate) type Tagged<T> = ([(HeaderName, String); 1], Json<T>);

/// Puts the version into the header `ETag`.
pub(crate) fn tagged<T>(version: u64, body: T) -> Tagged<T> {
    ([(header::ETAG, format!("\"{version}\""))], Json(body))
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = value.to_str().map(str::trim).map_err(|_| malformed())?;
        if text == "*" {
            return Ok(Self(None));
        }
        // A proxy that compresses may have made a weak tag of it.
        let tag = text.strip_prefix("W/").unwrap_or(text);
        let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let tag = tag.filter(|tag| !tag.contains('"')).ok_or_else(malformed)?;
        Ok(Self(Some(tag.parse().map_err(|_| unknown())?)))
    }
}

fn malformed() -> Refusal {
    let detail = "The If-Match header must be an ETag that was given, with its quotation marks, or *";
    Refusal::new(Code::InvalidRequest, detail)
}

fn unknown() -> Refusal {
    let detail = "The If-Match header is no version of ours: repeat the ETag that was given";
    Refusal::new(Code::VersionMismatch, detail)
}
