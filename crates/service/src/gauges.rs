//! How the service stands, for Prometheus: counts of items, jobs, alerts and deliveries, without a name in them.

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use strongroom_db::{Outcome, StateFigures};
use strongroom_model::{AlertSeverity, Channel, JobState, Rpo};

/// One word that something is counted by.
macro_rules! label {
    ($name:ident { $field:ident }) => {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name {
            $field: &'static str,
        }
    };
}

label!(Light { rpo });
label!(State { state });
label!(Severity { severity });

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    channel: &'static str,
    outcome: &'static str,
}

/// Figures that are counted anew at each round.
#[derive(Default)]
pub(crate) struct StateGauges {
    items: Family<Light, Gauge>,
    jobs: Family<State, Gauge>,
    alerts: Family<Severity, Gauge>,
    deliveries: Gauge,
    overdue_seconds: Gauge,
    attempts: Family<Attempt, Counter>,
}

impl StateGauges {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let gauges = Self::default();
        registry.register(
            "items",
            "Items that are backed up on schedule, by how old their last good backup is",
            gauges.items.clone(),
        );
        registry.register(
            "jobs",
            "Jobs under way, and those that ended within a day",
            gauges.jobs.clone(),
        );
        registry.register("alerts_active", "Alerts that stand", gauges.alerts.clone());
        registry.register(
            "deliveries_open",
            "Messages about alerts that are on their way",
            gauges.deliveries.clone(),
        );
        registry.register(
            "backup_overdue_seconds",
            "For how long the backup has been overdue that is overdue the longest",
            gauges.overdue_seconds.clone(),
        );
        registry.register(
            "delivery_attempts",
            "Attempts to tell of alerts",
            gauges.attempts.clone(),
        );
        gauges
    }

    /// Takes over new figures.
    pub(crate) fn set(&self, figures: &StateFigures, now: Timestamp) {
        for &rpo in Rpo::ALL {
            let count = figures.items.iter().filter(|item| item.light(now) == rpo).count();
            self.items
                .get_or_create(&Light { rpo: rpo.as_str() })
                .set(number(count as u64));
        }
        for &state in JobState::ALL {
            let count = count_of(&figures.jobs, state);
            self.jobs.get_or_create(&State { state: state.as_str() }).set(count);
        }
        for &severity in AlertSeverity::ALL {
            let count = count_of(&figures.alerts, severity);
            let label = Severity {
                severity: severity.as_str(),
            };
            self.alerts.get_or_create(&label).set(count);
        }
        self.deliveries.set(number(figures.deliveries));
        let overdue = figures.items.iter().map(|item| item.overdue(now).as_secs()).max();
        self.overdue_seconds.set(overdue.unwrap_or(0));
    }

    /// Counts an attempt to tell somebody.
    pub(crate) fn attempted(&self, channel: Channel, outcome: &Outcome) {
        let label = Attempt {
            channel: channel.as_str(),
            outcome: match outcome {
                Outcome::Delivered => "Delivered",
                Outcome::Again(..) => "Failed",
                Outcome::GivenUp(_) => "GivenUp",
            },
        };
        self.attempts.get_or_create(&label).inc();
    }
}

fn count_of<T: PartialEq>(counts: &[(T, u64)], wanted: T) -> i64 {
    let found = counts.iter().find(|(what, _)| *what == wanted);
    number(found.map_or(0, |(_, count)| *count))
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use strongroom_model::RpoBasis;

    use super::*;

    #[test]
    fn figures_are_written_without_names() {
        let mut registry = Registry::with_prefix("strongroom");
        let gauges = StateGauges::new(&mut registry);
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let item = |from: &str| RpoBasis {
            from: from.parse().unwrap(),
            hours_between: 24,
        };
        let figures = StateFigures {
            jobs: vec![(JobState::Queued, 3)],
            alerts: vec![(AlertSeverity::Critical, 2)],
            deliveries: 5,
            items: vec![item("2026-11-21T01:00:00Z"), item("2026-11-18T11:59:00Z")],
        };
        gauges.set(&figures, now);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "strongroom_items{rpo=\"Healthy\"} 1",
            "strongroom_items{rpo=\"Breached\"} 1",
            "strongroom_jobs{state=\"Queued\"} 3",
            "strongroom_jobs{state=\"Failed\"} 0",
            "strongroom_alerts_active{severity=\"Critical\"} 2",
            "strongroom_deliveries_open 5",
            "strongroom_backup_overdue_seconds 172860",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
