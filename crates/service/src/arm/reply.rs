//! Answers of the facade, and the headers that lead to what became of a request.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::error::ArmError;

/// Where pollers look, with priority over `Location`.
const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    body: Option<Value>,
    headers: Vec<(HeaderName, String)>,
}

impl Reply {
    fn new(status: StatusCode, body: Option<Value>) -> Self {
        let headers = Vec::new();
        Self { status, body, headers }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::new(StatusCode::OK, Some(body))
    }

    pub(crate) fn created(body: Value) -> Self {
        Self::new(StatusCode::CREATED, Some(body))
    }

    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::new(status, None)
    }

    pub(crate) fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    /// Done or under way: the outcome is at the addresses that are added to it.
    pub(crate) fn accepted() -> Self {
        Self::empty(StatusCode::ACCEPTED)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds the address of the operation's status.
    pub(crate) fn status_at(self, url: String) -> Self {
        self.with(ASYNC_OPERATION, url)
    }

    /// Adds the address of the operation's result.
    pub(crate) fn result_at(self, url: String) -> Self {
        self.with(header::LOCATION, url)
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, axum::Json(body)).into_response(),
            None => self.status.into_response(),
        };
        for (name, value) in self.headers {
            // What stands in these came in a request; what is no header value is not repeated.
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<ArmError> for Reply {
    fn from(error: ArmError) -> Self {
        let reply = Self::new(error.status, Some(error.body()));
        let reply = match error.retry_after {
            Some(seconds) => reply.with(header::RETRY_AFTER, seconds.to_string()),
            None => reply,
        };
        match error.status {
            StatusCode::UNAUTHORIZED => reply.with(header::WWW_AUTHENTICATE, "Bearer"),
            // `az` takes only such an answer for "it is not there".
            StatusCode::NOT_FOUND => reply.with(HeaderName::from_static("x-ms-failure-cause"), "gateway"),
            _ => reply,
        }
    }
}
