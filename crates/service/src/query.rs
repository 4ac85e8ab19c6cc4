//! What is asked for after the question mark.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use strongroom_api::Code;

use crate::incoming::form;
use crate::refusal::{Answer, Refusal};

/// The longest page that can be asked for, and the page of whoever does not say.
pub(crate) const PAGE_MAX: u32 = 1000;
const PAGE: u32 = 100;

/// A filter, read from the query.
pub(crate) struct Filter<T>(pub(crate) T);

impl<S: Sync + Send, T: DeserializeOwned> FromRequestParts<S> for Filter<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        Ok(Self(form(parts.uri.query().unwrap_or_default().as_bytes())?))
    }
}

/// How long a page shall be.
pub(crate) fn page(asked: Option<u32>) -> Answer<u32> {
    let limit = asked.unwrap_or(PAGE);
    match (1..=PAGE_MAX).contains(&limit) {
        true => Ok(limit),
        false => {
            let detail = format!("A page has 1 to {PAGE_MAX} members, not {limit}");
            Err(Refusal::new(Code::InvalidRequest, detail))
        }
    }
}
