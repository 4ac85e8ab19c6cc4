//! How a handler says no: a problem that becomes a response.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use strongroom_api::{Code, PROBLEM_CONTENT_TYPE, Problem};

/// The answer of a handler that does not succeed.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Box<Problem>);

/// What handlers return.
pub(crate) type Answer<T> = Result<T, Refusal>;

impl Refusal {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, detail)))
    }

    /// Our own failure: the cause goes to the log, and only there.
    pub(crate) fn internal(action: &str, error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "cannot {action}");
        Self::new(
            Code::Internal,
            format!("The service could not {action}. Its log has the cause; try again, or tell the administrator"),
        )
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(Code::Forbidden, "These credentials do not permit this")
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = self.0;
        let status = StatusCode::from_u16(problem.status).expect("codes have valid statuses");
        let mut response = (status, Json(&*problem)).into_response();
        response.extensions_mut().insert(problem.code);
        let mut set = |name: HeaderName, value: HeaderValue| response.headers_mut().insert(name, value);
        set(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_CONTENT_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = problem.retry_after_seconds {
            set(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // The rest of a body that was refused is not read; the connection ends with it.
        if matches!(
            problem.code,
            Code::BodyTooLarge | Code::RequestTimeout | Code::LengthRequired
        ) {
            set(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A text of ours as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}
