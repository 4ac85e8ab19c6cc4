//! A registered machine at work.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use strongroom_api::{Client, ClientOptions, PointFilter, PointView, RetryPolicy, SignIn, Trust};
use strongroom_engine::backup::{BackupOptions, BackupParts, BackupReport, back_up};
use strongroom_engine::listing::{Listed, list};
use strongroom_engine::restore::{RestoreOptions, RestoreParts, RestoreReport, restore};
use strongroom_engine::verify::{VerifyReport, verify};
use strongroom_engine::{OpenPoint, Progress, Scratch};
use strongroom_format::point::Issue;
use strongroom_model::{Clock, PointId};
use strongroom_seal::{DataKeys, Level};
use strongroom_sources::files::Selection;

use crate::error::AgentError;
use crate::service_vault::ServiceVault;
use crate::state::{LastMade, MachineState, StateFolder};

/// A registered machine: who it is, its keys, and the way to its vault.
pub struct Machine {
    folder: StateFolder,
    state: MachineState,
    keys: Arc<DataKeys>,
    client: Client,
    clock: Clock,
}

/// What to back up, and how.
#[derive(Clone, Debug)]
pub struct Backup {
    /// What to take.
    pub selection: Selection,
    /// How hard to compress.
    pub level: Level,
    /// Reads every file, whatever size and times say.
    pub force_rehash: bool,
}

impl Machine {
    /// The machine that is registered with this state folder.
    pub fn open(folder: StateFolder, clock: Clock, retry: RetryPolicy) -> Result<Self, AgentError> {
        let state = folder
            .machine()?
            .ok_or_else(|| AgentError::NotRegistered(folder.path().to_owned()))?;
        let keys = Arc::new(folder.master_key()?.keys());
        let trust = Trust::from_pem(&state.ca_certificate).map_err(strongroom_api::ClientError::from)?;
        let options = ClientOptions {
            url: state.url.clone(),
            trust,
            clock: clock.clone(),
            retry,
        };
        let key = folder.machine_key()?;
        let client = Client::new(
            options,
            SignIn::Machine {
                container: state.container,
                key,
            },
        )?;
        Ok(Self {
            folder,
            state,
            keys,
            client,
            clock,
        })
    }

    /// Who it is.
    pub fn state(&self) -> &MachineState {
        &self.state
    }

    /// The way to the service.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes sure that the service answers and knows the machine, before anything else is begun.
    pub async fn reach(&self) -> Result<(), AgentError> {
        self.client.machine().await?;
        Ok(())
    }

    /// Makes a backup now.
    pub async fn back_up(&self, backup: Backup, progress: Progress) -> Result<BackupReport, AgentError> {
        let scratch = Arc::new(Scratch::open(&self.folder.scratch())?);
        let vault = Arc::new(ServiceVault::new(self.client.clone()));
        let parts = BackupParts {
            writer: vault.clone(),
            reader: vault,
            keys: self.keys.clone(),
            progress,
        };
        let options = BackupOptions {
            selection: backup.selection,
            level: backup.level,
            vault: self.state.vault,
            item: self.state.item,
            key_set: self.state.key_set,
            machine: self.state.name.to_string(),
            program: concat!("strongroom ", env!("CARGO_PKG_VERSION")).to_owned(),
            clock: self.clock.clone(),
            force_rehash: backup.force_rehash,
            workers: workers(),
            remembered: self.folder.last_made()?.map(|last| last.digest),
        };
        let mut report = back_up(&parts, scratch, &options).await?;
        let last = LastMade {
            point: report.point,
            digest: report.digest,
        };
        report.issues.extend(self.remember(&last).err());
        Ok(report)
    }

    /// The recovery point exists, whether it can be remembered or not.
    fn remember(&self, last: &LastMade) -> Result<(), Issue> {
        self.folder.remember(last).map_err(|error| {
            // The one before would accuse the vault of withholding it.
            self.folder.forget_last_made();
            let why = format!(
                "{error}; the recovery point is whole, but the next backup does not notice if the vault withholds it"
            );
            Issue { path: Vec::new(), why }
        })
    }

    /// Its recovery points, or those of others that it may read, newest last.
    pub async fn points(&self, filter: &PointFilter) -> Result<Vec<PointView>, AgentError> {
        Ok(self.client.points(filter).await?.points)
    }

    /// The point that a person means: an id, a unique beginning of one, or `latest` (of this machine, or of another one
    /// that `filter` names).
    pub async fn find_point(&self, text: &str, filter: &PointFilter) -> Result<PointId, AgentError> {
        if text == "latest" {
            let latest = self.points(filter).await?.pop();
            return latest
                .map(|point| point.id)
                .ok_or_else(|| AgentError::NoSuchPoint(no_points(filter)));
        }
        let all = match filter {
            PointFilter::Own => self.points(&PointFilter::All).await?,
            filter => self.points(filter).await?,
        };
        match_point(text, all.iter().map(|point| point.id))
    }

    /// Finds, fetches and opens the point that a person means.
    pub async fn find_and_open(&self, text: &str, filter: &PointFilter) -> Result<OpenPoint, AgentError> {
        self.open_point(self.find_point(text, filter).await?).await
    }

    /// Fetches and opens a point; says whose it is if the keys do not fit.
    pub async fn open_point(&self, id: PointId) -> Result<OpenPoint, AgentError> {
        let view = self.client.point(id).await?;
        if view.key_set != self.state.key_set {
            return Err(AgentError::OtherKeySet {
                point: id,
                machine: view.machine.to_string(),
            });
        }
        let parts = self.reading(Progress::default());
        Ok(OpenPoint::open(&parts.reader, &self.keys, id).await?)
    }

    /// Lists what is in a point.
    pub async fn list(
        &self,
        point: &OpenPoint,
        paths: Vec<Vec<u8>>,
        each: impl FnMut(Listed),
    ) -> Result<(), AgentError> {
        let parts = self.reading(Progress::default());
        Ok(list(&parts.reader, &self.keys, point, paths, each).await?)
    }

    /// Restores a point below `target`.
    pub async fn restore(
        &self,
        point: &OpenPoint,
        paths: Vec<Vec<u8>>,
        target: PathBuf,
        progress: Progress,
    ) -> Result<RestoreReport, AgentError> {
        let options = RestoreOptions {
            paths,
            target,
            workers: workers(),
        };
        Ok(restore(&self.reading(progress), point, &options).await?)
    }

    /// Reads all of a point and checks it.
    pub async fn verify(&self, point: &OpenPoint, progress: Progress) -> Result<VerifyReport, AgentError> {
        Ok(verify(&self.reading(progress), point, workers()).await?)
    }

    fn reading(&self, progress: Progress) -> RestoreParts {
        let reader = Arc::new(ServiceVault::new(self.client.clone()));
        RestoreParts {
            reader,
            keys: self.keys.clone(),
            progress,
        }
    }
}

/// Says that a list of recovery points is empty.
pub fn no_points(filter: &PointFilter) -> String {
    match filter {
        PointFilter::Own => "there is no recovery point yet: make one with `strongroom backup PATH`".to_owned(),
        PointFilter::All => "there is no recovery point in this vault that this machine may read".to_owned(),
        PointFilter::Machine(name) => format!(
            "there is no recovery point of machine {name} that this machine may read: it has none yet, or uses another passphrase than this machine"
        ),
    }
}

/// The one point whose id begins with `text`.
pub(crate) fn match_point(text: &str, points: impl Iterator<Item = PointId>) -> Result<PointId, AgentError> {
    let folded = text.to_ascii_lowercase();
    let mut fitting = points.filter(|point| !folded.is_empty() && point.to_string().starts_with(&folded));
    match (fitting.next(), fitting.next()) {
        (Some(point), None) => Ok(point),
        (Some(_), Some(_)) => {
            let why =
                format!("several recovery points begin with \"{text}\": give more digits (see `strongroom points`)");
            Err(AgentError::NoSuchPoint(why))
        }
        (None, _) => {
            let why = format!(
                "there is no recovery point \"{text}\" that this machine may read: none has this id, or it was made with another passphrase than this machine's (see `strongroom points --all`)"
            );
            Err(AgentError::NoSuchPoint(why))
        }
    }
}

/// One thread for each processor.
pub(crate) fn workers() -> usize {
    available_parallelism().map_or(1, usize::from)
}
