//! The description of the native API, for everybody: it says nothing that the documentation does not.

use std::sync::LazyLock;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use strongroom_api::openapi;

/// `GET /api/openapi.json`.
pub(crate) async fn show(headers: HeaderMap) -> impl IntoResponse {
    static TAG: LazyLock<String> =
        LazyLock::new(|| format!("\"{}\"", &blake3::hash(openapi().as_bytes()).to_hex()[..32]));
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let is_known = known.any(|tag| matches!(tag.trim().trim_start_matches("W/"), tag if tag == *TAG || tag == "*"));
    let (status, text) = match is_known {
        true => (StatusCode::NOT_MODIFIED, ""),
        false => (StatusCode::OK, openapi()),
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::ETAG, &TAG),
    ];
    (status, headers, text)
}
