//! How a sign-in is refused: in OAuth's words and in ours.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use strongroom_api::Code;

use crate::refusal::Refusal;

/// A sign-in that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// OAuth's word (RFC 6749, section 5.2; RFC 8628, section 3.5).
    pub(crate) error: &'static str,
    /// Our problem; its sentence is the description in both shapes.
    pub(crate) refusal: Refusal,
}

impl Refused {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Refusal::new(code, detail).into()
    }

    pub(crate) fn unsupported() -> Self {
        Self {
            error: "unsupported_grant_type",
            refusal: Refusal::new(Code::InvalidRequest, "This is no sign-in that the service knows"),
        }
    }

    /// The status of our shape.
    pub(crate) fn status(&self) -> u16 {
        self.refusal.0.status
    }

    /// Whether it tells of somebody who tried and failed, not of a program that waits or stutters.
    pub(crate) fn is_worth_writing_down(&self) -> bool {
        use Code::{AccessDenied, ClientRefused, CodeRefused, OneTimePasswordRequired, TokenReused, WrongPassword};
        matches!(
            self.refusal.0.code,
            WrongPassword | ClientRefused | CodeRefused | OneTimePasswordRequired | AccessDenied | TokenReused
        )
    }

    /// The answer in OAuth's shape and nothing else, for the token endpoints of clients who know no other.
    #[allow(dead_code)]
    pub(crate) fn into_oauth(self) -> Response {
        let status = match self.error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "temporarily_unavailable" => StatusCode::TOO_MANY_REQUESTS,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let problem = self.refusal.0;
        let body = json!({"error": self.error, "error_description": problem.detail});
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
        if let Some(seconds) = problem.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let error = match refusal.0.code {
            Code::WrongPassword
            | Code::OneTimePasswordRequired
            | Code::TokenExpired
            | Code::TokenReused
            | Code::Unauthenticated
            | Code::CodeRefused => "invalid_grant",
            Code::AssertionRefused | Code::ClientRefused => "invalid_client",
            Code::AuthorizationPending => "authorization_pending",
            Code::SlowDown => "slow_down",
            Code::AccessDenied => "access_denied",
            Code::TooManyAttempts | Code::Unavailable => "temporarily_unavailable",
            Code::Internal => "server_error",
            _ => "invalid_request",
        };
        Self { error, refusal }
    }
}

impl IntoResponse for Refused {
    /// A problem, as everywhere; OAuth's two members are among its own.
    fn into_response(self) -> Response {
        let mut body = serde_json::to_value(&*self.refusal.0).expect("plain fields always serialise");
        let members = body.as_object_mut().expect("a problem is an object");
        members.insert("error".to_owned(), self.error.into());
        members.insert("error_description".to_owned(), Value::from(&*self.refusal.0.detail));
        let (head, _) = self.refusal.into_response().into_parts();
        let mut response = Json(body).into_response();
        *response.status_mut() = head.status;
        *response.extensions_mut() = head.extensions;
        for (name, value) in &head.headers {
            if name != header::CONTENT_LENGTH {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response
    }
}
