//! Figures for Prometheus. They are public, so they hold counts and nothing else: no name, no id, no address.

use std::time::Instant;

use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use strongroom_model::{JobState, Operation};

use crate::gauges::StateGauges;

/// One route and one status: the routes are those of the table, so there are not many.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// What a job did and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    operation: &'static str,
    state: &'static str,
}

/// The service's counters.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    /// Bytes of packs and other bodies that came in.
    pub(crate) bytes_received: Counter,
    /// Bytes of blobs that went out.
    pub(crate) bytes_sent: Counter,
    /// Packs that were stored.
    pub(crate) packs_stored: Counter,
    /// Blobs in stored packs that the vault did not have.
    pub(crate) blobs_stored: Counter,
    /// Blobs that were given out.
    pub(crate) blobs_sent: Counter,
    /// Recovery points that were committed.
    pub(crate) points_committed: Counter,
    /// Sessions that were begun.
    pub(crate) sessions_begun: Counter,
    /// Sign-ins that failed.
    pub(crate) sign_ins_failed: Counter,
    /// Jobs that schedules made.
    pub(crate) jobs_scheduled: Counter,
    /// Recovery points that have expired.
    pub(crate) points_expired: Counter,
    jobs_ended: Family<JobLabels, Counter>,
    /// How the service stands.
    pub(crate) state: StateGauges,
    /// The time that the service saw when it last looked after things, in seconds since 1970.
    pub(crate) clock_seen: Gauge,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Machines that wait for work here.
    pub(crate) machines_linked: Gauge,
    uptime_seconds: Gauge,
    started: Instant,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("strongroom");
        let requests = Family::default();
        registry.register("requests", "Answered requests", requests.clone());
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let bytes_received = counter("received_bytes", "Bytes of request bodies");
        let bytes_sent = counter("sent_bytes", "Bytes of blobs given out");
        let packs_stored = counter("packs_stored", "Packs stored");
        let blobs_stored = counter("blobs_stored", "New blobs in stored packs");
        let blobs_sent = counter("blobs_sent", "Blobs given out");
        let points_committed = counter("points_committed", "Recovery points committed");
        let sessions_begun = counter("sessions_begun", "Backup sessions begun");
        let sign_ins_failed = counter("sign_ins_failed", "Sign-ins that failed");
        let jobs_scheduled = counter("jobs_scheduled", "Jobs made by schedules");
        let points_expired = counter("points_expired", "Recovery points expired");
        let jobs_ended = Family::default();
        registry.register("jobs_ended", "Jobs that are over", jobs_ended.clone());
        let state = StateGauges::new(&mut registry);
        let clock_seen = Gauge::default();
        let help = "Time at which the service last looked after things, in seconds since 1970";
        registry.register("clock_seen_seconds", help, clock_seen.clone());
        let (connections, machines_linked, uptime_seconds) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("connections", "Open connections", connections.clone());
        let help = "Machines that wait for work at this node";
        registry.register("machines_linked", help, machines_linked.clone());
        registry.register("uptime_seconds", "Seconds since the start", uptime_seconds.clone());
        Self {
            registry,
            requests,
            bytes_received,
            bytes_sent,
            packs_stored,
            blobs_stored,
            blobs_sent,
            points_committed,
            sessions_begun,
            sign_ins_failed,
            jobs_scheduled,
            points_expired,
            jobs_ended,
            state,
            clock_seen,
            connections,
            machines_linked,
            uptime_seconds,
            started: Instant::now(),
        }
    }

    /// Counts an answered request.
    pub(crate) fn answered(&self, method: &'static str, route: &'static str, status: StatusCode) {
        let labels = RequestLabels {
            method,
            route,
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts a job that is over.
    pub(crate) fn job_ended(&self, operation: Operation, state: JobState) {
        let labels = JobLabels {
            operation: operation.as_str(),
            state: state.as_str(),
        };
        self.jobs_ended.get_or_create(&labels).inc();
    }

    /// All figures in the text form of OpenMetrics.
    pub(crate) fn to_text(&self) -> String {
        let seconds = i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX);
        self.uptime_seconds.set(seconds);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes every text");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written() {
        let metrics = Metrics::new();
        metrics.answered("GET", "/healthz", StatusCode::OK);
        metrics.packs_stored.inc();
        let text = metrics.to_text();
        for line in [
            "strongroom_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1",
            "strongroom_packs_stored_total 1",
            "strongroom_uptime_seconds 0",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
