//! Health and figures, for whoever watches over the service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use strongroom_api::Code;

use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;

/// Anybody may ask whether the service is ready; the disk is written to at most this often.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// `GET /healthz`: the process lives.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: database and store work.
pub(crate) async fn readyz(State(shared): State<Arc<Shared>>) -> Answer<&'static str> {
    let mut since = shared.ready_since.lock().await;
    if since.is_some_and(|since| since.elapsed() < PROBE_EVERY) {
        return Ok("ready\n");
    }
    *since = None;
    shared
        .db
        .check()
        .await
        .map_err(|error| not_ready("the database does not answer", error))?;
    let folder = shared.clone();
    let probe = tokio::task::spawn_blocking(move || folder.folder.write("objects/.probe", b"probe\n")).await;
    let written = probe.map_err(|error| not_ready("the store cannot be tried", error))?;
    written.map_err(|error| not_ready("the store cannot be written to", error))?;
    *since = Some(Instant::now());
    Ok("ready\n")
}

/// `GET /metrics`. Public, so that any Prometheus can read it: it holds counts, and no name of anything.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.metrics.to_text())
}

fn not_ready(what: &str, error: impl std::fmt::Display) -> Refusal {
    tracing::error!(%error, "not ready: {what}");
    Refusal::new(Code::Unavailable, format!("The service is not ready: {what}"))
}
