//! How a machine stands: by what lies here, and by what its service says.

use std::path::PathBuf;

use strongroom_api::{AlertView, ClientError, JobView, OwnProtection, PageFilter, PointView};
use strongroom_model::{Limits, MachineSettings};

use crate::error::AgentError;
use crate::held::WaitsFor;
use crate::machine::Machine;
use crate::metered::is_metered;
use crate::power::is_on_battery;

/// How many of its jobs are told, the newest.
const JOBS: u32 = 50;

/// How many of its alerts are told, the newest.
const ALERTS: u32 = 20;

/// What is known without the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here {
    /// The folder with its state.
    pub state: PathBuf,
    /// Whether a client waits for work here ([`crate::run()`]).
    pub has_client: bool,
    /// Whether the machine runs on battery.
    pub on_battery: bool,
    /// Whether its connection is metered.
    pub metered: bool,
    /// Its settings, as the vault had them the last time.
    pub settings: MachineSettings,
    /// How fast it sends and receives at this moment, by these settings.
    pub limits: Limits,
}

/// What the service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What its item is under.
    pub own: OwnProtection,
    /// Its newest recovery point, if this machine may read it.
    pub latest: Option<PointView>,
    /// Its jobs, newest first.
    pub jobs: Vec<JobView>,
    /// Alerts about it that stand, newest first.
    pub alerts: Vec<AlertView>,
}

impl Here {
    /// Whether scheduled backups wait, for mains power or for another connection.
    pub fn waits(&self) -> bool {
        self.on_battery && !self.settings.on_battery || self.metered && !self.settings.on_metered
    }

    /// What bears on when scheduled backups begin, for a person: a word and a sentence each.
    pub fn circumstances(&self) -> Vec<(&'static str, String)> {
        let either = [
            (
                self.on_battery,
                self.settings.on_battery,
                "battery",
                "runs on battery",
                WaitsFor::MainsPower,
            ),
            (
                self.metered,
                self.settings.on_metered,
                "connection",
                "is on a metered connection",
                WaitsFor::UnmeteredConnection,
            ),
        ];
        let true_ones = either.into_iter().filter(|(is_so, ..)| *is_so);
        true_ones
            .map(
                |(_, begin_all_the_same, word, what, waits_for)| match begin_all_the_same {
                    true => (word, format!("{what}; scheduled backups do not wait")),
                    false => (
                        word,
                        format!("{what}; scheduled backups wait for {}", waits_for.as_str()),
                    ),
                },
            )
            .collect()
    }
}

impl Told {
    /// Jobs that are not over.
    pub fn open_jobs(&self) -> impl Iterator<Item = &JobView> {
        self.jobs.iter().filter(|job| job.state.is_open())
    }

    /// Jobs that are over, newest first.
    pub fn ended_jobs(&self) -> impl Iterator<Item = &JobView> {
        self.jobs.iter().filter(|job| !job.state.is_open())
    }
}

impl Machine {
    /// How it stands, by what lies here.
    pub fn here(&self) -> Result<Here, AgentError> {
        let settings = self.settings()?.settings;
        Ok(Here {
            state: self.folder().path().to_owned(),
            has_client: self.folder().has_client()?,
            on_battery: is_on_battery(),
            metered: is_metered(),
            limits: (settings.throttle.as_ref()).map_or(Limits::default(), |throttle| throttle.limits(self.now())),
            settings,
        })
    }

    /// How it stands, by what the service says. The recovery point that was told `before` is not asked for again.
    pub async fn told(&self, before: Option<&Told>) -> Result<Told, ClientError> {
        let own = self.client().own_protection().await?;
        let known = before.and_then(|before| before.latest.as_ref());
        let latest = match (own.latest_point, known) {
            (None, _) => None,
            (Some(id), Some(known)) if known.id == id => Some(known.clone()),
            (Some(id), _) => match self.client().point(id).await {
                Ok(point) => Some(point),
                // It was made with keys that the machine does not have any more, or has just gone.
                Err(ClientError::Refused(_)) => None,
                Err(error) => return Err(error),
            },
        };
        let page = |limit| PageFilter {
            before: None,
            limit: Some(limit),
        };
        Ok(Told {
            own,
            latest,
            jobs: self.client().own_jobs(page(JOBS)).await?.jobs,
            alerts: self.client().own_alerts(page(ALERTS)).await?.alerts,
        })
    }
}
