//! A registered machine at work.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;

use strongroom_api::{Client, ClientOptions, ItemChange, PointFilter, PointView, RetryPolicy, Secret, SignIn, Trust};
use strongroom_engine::backup::{BackupOptions, BackupParts, BackupReport, back_up};
use strongroom_engine::listing::{Listed, list};
use strongroom_engine::restore::{RestoreOptions, RestoreParts, RestoreReport, restore};
use strongroom_engine::verify::{VerifyReport, verify};
use strongroom_engine::{OpenPoint, Progress, Scratch};
use strongroom_format::point::Issue;
use strongroom_model::{Clock, JobId, Operation, PointId};
use strongroom_seal::{DataKeys, Level};
use strongroom_sources::files::Selection;

use crate::error::AgentError;
use crate::job::Job;
use crate::service_vault::ServiceVault;
use crate::settings::AgentSettings;
use crate::state::{LastMade, MachineState, StateFolder};

/// What Azure calls the parts of a backup and of a restore.
const TRANSFER: &str = "Transfer data to vault";
const FETCH: &str = "Transfer data from vault";

/// Name and version of this program, as recovery points tell it.
pub(crate) const PROGRAM: &str = concat!("strongroom ", env!("CARGO_PKG_VERSION"));

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

    pub(crate) fn folder(&self) -> &StateFolder {
        &self.folder
    }

    pub(crate) fn keys(&self) -> &Arc<DataKeys> {
        &self.keys
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

    /// Unregisters it, with a security PIN of its vault, and forgets its registration here.
    pub async fn unregister(self, pin: &Secret) -> Result<ItemChange, AgentError> {
        let changed = self.client.unregister_oneself(pin).await?;
        self.folder.forget_machine()?;
        Ok(changed)
    }

    /// Makes a backup now. The service knows of it as a job.
    pub async fn back_up(&self, backup: Backup, progress: Progress) -> Result<BackupReport, AgentError> {
        // Before the service is told: whoever else backs up this machine just now goes on with his job.
        let scratch = self.scratch()?;
        let id = self.client.begin_job(Operation::Backup).await?.id;
        self.back_up_as(id, backup, scratch, progress).await
    }

    /// Makes the backup that the machine's settings describe, for a job that came down the link. Returns what to tell.
    pub(crate) async fn back_up_as_set(&self, id: JobId, progress: Progress) -> Result<String, AgentError> {
        let prepared = self
            .settings()
            .and_then(|settings| Ok((settings.backup()?, self.scratch()?)));
        let (backup, scratch) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let job = self.job(id, TRANSFER);
                return job
                    .run(&progress, async { Err::<BackupReport, _>(error) })
                    .await
                    .map(|_| String::new());
            }
        };
        let report = self.back_up_as(id, backup, scratch, progress).await?;
        let issues = report.issues.len() as u64 + report.issues_omitted;
        Ok(format!(
            "recovery point {}: {} entries, {} bytes, {} of them new, {issues} warnings",
            report.point, report.entries, report.bytes, report.new_bytes
        ))
    }

    async fn back_up_as(
        &self,
        id: JobId,
        backup: Backup,
        scratch: Arc<Scratch>,
        progress: Progress,
    ) -> Result<BackupReport, AgentError> {
        let work = self.make_point(id, backup, scratch, progress.clone());
        self.job(id, TRANSFER).run(&progress, work).await
    }

    fn job(&self, id: JobId, task: &'static str) -> Job<'_> {
        Job {
            client: &self.client,
            clock: &self.clock,
            id,
            task,
        }
    }

    pub(crate) fn scratch(&self) -> Result<Arc<Scratch>, AgentError> {
        Ok(Arc::new(Scratch::open(&self.folder.scratch())?))
    }

    /// What it backs up when nobody says what.
    pub fn settings(&self) -> Result<AgentSettings, AgentError> {
        Ok(self.folder.settings()?.unwrap_or_default())
    }

    /// Remembers what it backs up when nobody says what.
    pub fn keep_settings(&self, settings: &AgentSettings) -> Result<(), AgentError> {
        self.folder.keep_settings(settings)
    }

    async fn make_point(
        &self,
        job: JobId,
        backup: Backup,
        scratch: Arc<Scratch>,
        progress: Progress,
    ) -> Result<BackupReport, AgentError> {
        let options = BackupOptions {
            force_rehash: backup.force_rehash,
            ..self.backup_options(backup.level)?
        };
        let parts = self.writing(Some(job), progress);
        let report = back_up(&parts, scratch, backup.selection, &options).await?;
        Ok(self.remembered(report))
    }

    /// How it makes recovery points of its own files.
    pub(crate) fn backup_options(&self, level: Level) -> Result<BackupOptions, AgentError> {
        Ok(BackupOptions {
            level,
            vault: self.state.vault,
            item: self.state.item,
            key_set: self.state.key_set,
            machine: self.state.name.to_string(),
            program: PROGRAM.to_owned(),
            clock: self.clock.clone(),
            past: None,
            force_rehash: false,
            workers: workers(),
            remembered: self.folder.last_made()?.map(|last| last.digest),
        })
    }

    /// What a recovery point is made with, for a job if there is one.
    pub(crate) fn writing(&self, job: Option<JobId>, progress: Progress) -> BackupParts {
        let vault = Arc::new(ServiceVault::new(self.client.clone(), job));
        BackupParts {
            writer: vault.clone(),
            reader: vault,
            keys: self.keys.clone(),
            progress,
        }
    }

    /// Remembers the recovery point that was made, which is the vault's newest now.
    pub(crate) fn remembered(&self, mut report: BackupReport) -> BackupReport {
        let last = LastMade {
            point: report.point,
            digest: report.digest,
        };
        report.issues.extend(self.remember(&last).err());
        report
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

    /// Its recovery points, or those of others that it may read, newest last: by the moments that they are of, which for
    /// imported ones lie before they came.
    pub async fn points(&self, filter: &PointFilter) -> Result<Vec<PointView>, AgentError> {
        let mut points = self.client.points(filter).await?.points;
        points.sort_by_key(|point| point.created);
        Ok(points)
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

    /// Restores a point below `target`. The service knows of it as a job.
    pub async fn restore(
        &self,
        point: &OpenPoint,
        paths: Vec<Vec<u8>>,
        target: PathBuf,
        progress: Progress,
    ) -> Result<RestoreReport, AgentError> {
        let id = self.client.begin_job(Operation::Restore).await?.id;
        let options = RestoreOptions {
            paths,
            target,
            workers: workers(),
        };
        let work = async { Ok(restore(&self.reading(progress.clone()), point, &options).await?) };
        self.job(id, FETCH).run(&progress, work).await
    }

    /// Reads all of a point and checks it.
    pub async fn verify(&self, point: &OpenPoint, progress: Progress) -> Result<VerifyReport, AgentError> {
        Ok(verify(&self.reading(progress), point, workers()).await?)
    }

    fn reading(&self, progress: Progress) -> RestoreParts {
        let reader = Arc::new(ServiceVault::new(self.client.clone(), None));
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
