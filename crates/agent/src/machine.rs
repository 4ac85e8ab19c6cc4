//! A registered machine at work.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;

use jiff::Timestamp;
use strongroom_api::{Client, ClientOptions, ItemChange, PointFilter, PointView, RetryPolicy, Secret, SignIn, Trust};
use strongroom_engine::backup::{BackupOptions, BackupParts, BackupReport};
use strongroom_engine::browse::Browser;
use strongroom_engine::difference::{Differing, compare};
use strongroom_engine::history::{History, Version};
use strongroom_engine::listing::{Listed, list};
use strongroom_engine::remote::VaultReader;
use strongroom_engine::restore::{
    ArchiveForm, Output, Planned, RestoreOptions, RestoreParts, RestoreReport, archive, preview, restore,
};
use strongroom_engine::verify::{VerifyReport, verify};
use strongroom_engine::{EngineError, OpenPoint, Progress, Scratch};
use strongroom_format::point::Issue;
use strongroom_model::{Clock, JobId, KeySetId, MachineSettings, Operation, PointId, Priority};
use strongroom_seal::{DataKeys, Level};
use strongroom_sources::files::Patterns;

use crate::commands::Commands;
use crate::error::AgentError;
use crate::exported::ExportedDisk;
use crate::job::Job;
use crate::limits::RunLimits;
use crate::service_vault::ServiceVault;
use crate::settings_sync::SettingsCopy;
use crate::state::{LastMade, MachineState, Network, ScratchPlace, StateFolder};
use crate::tasks::Tasks;
use crate::unlock::{Unlock, open_any};

/// What Azure calls the one part of a restore.
const FETCH: &str = "Transfer data from vault";

/// Name and version of this program, as recovery points tell it.
pub(crate) const PROGRAM: &str = concat!("strongroom ", env!("CARGO_PKG_VERSION"));

/// A registered machine: who it is, its keys, and the way to its vault.
pub struct Machine {
    folder: StateFolder,
    state: MachineState,
    /// Those that it reads with: its own, or others'.
    keys: Arc<DataKeys>,
    /// The key set of those.
    opens: KeySetId,
    client: Client,
    clock: Clock,
    /// What it reads from instead of the vault.
    disk: Option<Arc<ExportedDisk>>,
}

impl Machine {
    /// The machine that is registered with this state folder.
    pub fn open(folder: StateFolder, clock: Clock, retry: RetryPolicy) -> Result<Self, AgentError> {
        let state = folder
            .machine()?
            .ok_or_else(|| AgentError::NotRegistered(folder.path().to_owned()))?;
        let keys = Arc::new(folder.master_key()?.keys());
        let trust = Trust::from_pem(&state.ca_certificate).map_err(strongroom_api::ClientError::from)?;
        let network = folder.network()?;
        let options = ClientOptions {
            url: state.url.clone(),
            trust,
            clock: clock.clone(),
            retry: network.retry(retry),
            proxy: network.proxy,
        };
        let key = folder.machine_key()?;
        let client = Client::new(
            options,
            SignIn::Machine {
                container: state.container,
                key,
            },
        )?;
        let client = client.with_pace(RunLimits::default().pace(folder.clone(), clock.clone()));
        Ok(Self {
            folder,
            opens: state.key_set,
            state,
            keys,
            client,
            clock,
            disk: None,
        })
    }

    /// The same machine, which reads with other keys than its own.
    pub(crate) fn with_keys(self, opens: KeySetId, keys: Arc<DataKeys>) -> Self {
        Self {
            client: self.client.with_membership(&keys.membership()),
            opens,
            keys,
            ..self
        }
    }

    /// The same machine, which sends and receives no faster than it is told, whatever its settings say.
    pub fn with_limits(self, limits: RunLimits) -> Self {
        let pace = limits.pace(self.folder.clone(), self.clock.clone());
        Self {
            client: self.client.with_pace(pace),
            ..self
        }
    }

    /// The same machine, which reads from an exported disk, with the keys that `unlock` opens there or its own. The service is
    /// asked for nothing but what is damaged on the disk, and need not be there.
    ///
    /// # Errors
    /// [`AgentError::Disk`] when there is no whole export in the folder.
    pub async fn reading_from_disk(self, folder: &Path, unlock: Option<&Unlock>) -> Result<Self, AgentError> {
        let disk = ExportedDisk::open(folder, ServiceVault::new(self.client.clone(), None)).await?;
        let Some(unlock) = unlock else {
            let disk = Some(Arc::new(disk));
            return Ok(Self { disk, ..self });
        };
        let key_sets = disk.key_sets().await?;
        let opened = open_any(&key_sets, unlock)?.ok_or_else(|| unlock.wrong(key_sets.len()))?;
        let reading = self.with_keys(opened.key_set, Arc::new(opened.master.keys()));
        // That has another client, which shows what it opened.
        let disk = disk.asking(ServiceVault::new(reading.client.clone(), None));
        let disk = Some(Arc::new(disk));
        Ok(Self { disk, ..reading })
    }

    /// How many blobs came from the service, as the disk that it reads from did not have them whole; `None` if it reads from
    /// the vault.
    pub fn given_by_service(&self) -> Option<u64> {
        self.disk.as_ref().map(|disk| disk.given_by_service())
    }

    /// The clock that it goes by.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What its clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn folder(&self) -> &StateFolder {
        &self.folder
    }

    pub(crate) fn keys(&self) -> &Arc<DataKeys> {
        &self.keys
    }

    /// The key set that it has joined, with its keys.
    pub(crate) fn key_set(&self) -> (KeySetId, &DataKeys) {
        (self.state.key_set, &self.keys)
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

    /// A job of one part.
    pub(crate) fn job(&self, id: JobId, task: &'static str) -> Job<'_> {
        self.job_of(id, Tasks::new(&[task]))
    }

    /// A job of several parts.
    pub(crate) fn job_of(&self, id: JobId, tasks: Tasks) -> Job<'_> {
        Job {
            client: &self.client,
            clock: &self.clock,
            id,
            tasks,
        }
    }

    pub(crate) fn scratch(&self) -> Result<Arc<Scratch>, AgentError> {
        let place = self.folder.scratch()?;
        let scratch = Scratch::open(&place.path)?;
        self.leave_scratch(place)?;
        Ok(Arc::new(scratch))
    }

    /// Where its scratch folder is.
    pub fn scratch_path(&self) -> Result<PathBuf, AgentError> {
        Ok(self.folder.scratch()?.path)
    }

    /// Moves its scratch folder. From one moment on the copy counts, and until then the old one: an interruption leaves one
    /// that is whole.
    pub fn move_scratch(&self, path: PathBuf) -> Result<(), AgentError> {
        let place = self.folder.scratch()?;
        if place.path == path {
            return Ok(());
        }
        match Scratch::open(&place.path) {
            Ok(scratch) => drop(scratch.copy_to(&path)?),
            // Whoever moves away from such a place has lost what it knew: one slower run.
            Err(EngineError::ScratchPlace { .. }) => drop(Scratch::begin(&path)?),
            Err(error) => return Err(error.into()),
        }
        let place = ScratchPlace {
            path,
            leaving: Some(place.path),
        };
        self.folder.keep_scratch(&place)?;
        self.leave_scratch(place)
    }

    /// Removes the folder that the scratch folder was moved from.
    fn leave_scratch(&self, place: ScratchPlace) -> Result<(), AgentError> {
        let Some(left) = &place.leaving else { return Ok(()) };
        match Scratch::remove(left) {
            Ok(()) => {}
            Err(error @ EngineError::ScratchPlace { .. }) => tracing::warn!("{error}. What was left in it stays there"),
            Err(error) => {
                tracing::warn!("{error}; the former scratch folder is removed another time");
                return Ok(());
            }
        }
        self.folder.keep_scratch(&ScratchPlace { leaving: None, ..place })
    }

    /// How it reaches its service.
    pub fn network(&self) -> Result<Network, AgentError> {
        self.folder.network()
    }

    /// Remembers how it reaches its service. A program that runs already goes on as it did.
    pub fn keep_network(&self, network: &Network) -> Result<(), AgentError> {
        self.folder.keep_network(network)
    }

    /// What it backs up when nobody says what: what the vault keeps, or while that does not answer, the copy of it.
    pub async fn settings_now(&self) -> Result<MachineSettings, AgentError> {
        match self.sync_settings().await {
            Ok(synced) => {
                if let Some(news) = synced.news {
                    tracing::warn!("{news}");
                }
                Ok(synced.settings)
            }
            Err(AgentError::Client(error)) => {
                tracing::warn!(%error, "the settings are as they were the last time, for the vault does not say");
                Ok(self.settings()?.settings)
            }
            Err(error) => Err(error),
        }
    }

    /// What it backs up when nobody says what, as it was in the vault the last time.
    pub fn settings(&self) -> Result<SettingsCopy, AgentError> {
        Ok(self.folder.settings()?.unwrap_or_default())
    }

    /// What it runs before and after its backups.
    pub fn commands(&self) -> Result<Commands, AgentError> {
        self.folder.commands()
    }

    /// Remembers what it runs before and after its backups. Only who sits at the machine can: nothing of it is sent.
    pub fn keep_commands(&self, commands: &Commands) -> Result<(), AgentError> {
        match commands.refused() {
            Some(why) => Err(AgentError::Settings(why)),
            None => self.folder.keep_commands(commands),
        }
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
            priority: Priority::Normal,
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
        let mut points = match &self.disk {
            Some(disk) => disk.points(&self.keys, self.state.item, filter).await,
            None => self.client.points(filter).await?.points,
        };
        points.sort_by_key(|point| point.created);
        Ok(points)
    }

    /// The point that a person means: an id, a unique beginning of one, or `latest` (of this machine, or of another one
    /// that `filter` names).
    pub async fn find_point(&self, text: &str, filter: &PointFilter) -> Result<PointId, AgentError> {
        if text == "latest" {
            let latest = self.points(filter).await?.pop();
            return latest.map(|point| point.id).ok_or_else(|| self.no_points(filter));
        }
        let all = match filter {
            PointFilter::Own => self.points(&PointFilter::All).await?,
            filter => self.points(filter).await?,
        };
        match_point(text, all.iter().map(|point| point.id))
    }

    fn no_points(&self, filter: &PointFilter) -> AgentError {
        AgentError::NoSuchPoint(match (&self.disk, filter) {
            (None, filter) => no_points(filter),
            (Some(_), PointFilter::Own) => {
                "the disk has no recovery point that this machine made as it is registered now and that its keys open: \
                 name a machine with --machine, or all with --all"
                    .to_owned()
            }
            (Some(_), _) => {
                "the disk has no such recovery point that these keys open: --ask-passphrase or --passphrase-file gives \
                 others"
                    .to_owned()
            }
        })
    }

    /// Whether its keys open the point. A disk lists no others.
    fn opens(&self, point: &PointView) -> bool {
        self.disk.is_some() || point.key_set == self.opens
    }

    /// Finds, fetches and opens the point that a person means.
    pub async fn find_and_open(&self, text: &str, filter: &PointFilter) -> Result<OpenPoint, AgentError> {
        self.open_point(self.find_point(text, filter).await?).await
    }

    /// Fetches and opens a point; says whose it is if the keys do not fit.
    pub async fn open_point(&self, id: PointId) -> Result<OpenPoint, AgentError> {
        if self.disk.is_none() {
            let view = self.client.point(id).await?;
            if view.key_set != self.opens {
                return Err(AgentError::OtherKeySet {
                    point: id,
                    machine: view.machine.to_string(),
                });
            }
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

    /// Finds all versions of what fits a pattern, in the points that `filter` names and this machine's keys open. Also
    /// returns what could not be read.
    pub async fn find(
        &self,
        patterns: Patterns,
        filter: &PointFilter,
        progress: Progress,
    ) -> Result<(Vec<Version>, Vec<String>), AgentError> {
        let mut points = self.points(filter).await?;
        points.retain(|point| self.opens(point));
        if points.is_empty() {
            return Err(self.no_points(filter));
        }
        let points = points.into_iter().map(|point| point.id).collect();
        self.find_in(points, patterns, progress).await
    }

    /// Finds all versions of what fits a pattern in these points, which its keys open. Also returns what could not be read.
    pub async fn find_in(
        &self,
        points: Vec<PointId>,
        patterns: Patterns,
        progress: Progress,
    ) -> Result<(Vec<Version>, Vec<String>), AgentError> {
        let parts = self.reading(progress);
        let mut history = History::new(parts.reader.clone(), &self.keys, patterns);
        for id in points {
            if parts.progress.is_cancelled() {
                return Err(EngineError::Cancelled.into());
            }
            let point = OpenPoint::open(&parts.reader, &self.keys, id).await?;
            history.look_through(&point).await?;
        }
        Ok(history.finish())
    }

    /// Compares two points, the earlier first.
    pub async fn compare(
        &self,
        points: [&OpenPoint; 2],
        paths: Vec<Vec<u8>>,
        each: impl FnMut(Differing),
    ) -> Result<(), AgentError> {
        let parts = self.reading(Progress::default());
        Ok(compare(&parts.reader, &self.keys, points, paths, each).await?)
    }

    /// Restores a point. The service knows of it as a job.
    pub async fn restore(
        &self,
        point: &OpenPoint,
        options: &RestoreOptions,
        progress: Progress,
    ) -> Result<RestoreReport, AgentError> {
        let work = async { Ok(restore(&self.reading(progress.clone()), point, options).await?) };
        self.as_job(&progress, work).await
    }

    /// Writes an archive of a point. The service knows of it as a job.
    pub async fn archive(
        &self,
        point: &OpenPoint,
        options: &RestoreOptions,
        form: ArchiveForm,
        output: Output,
        progress: Progress,
    ) -> Result<RestoreReport, AgentError> {
        let work = async { Ok(archive(&self.reading(progress.clone()), point, options, form, output).await?) };
        self.as_job(&progress, work).await
    }

    /// Does what the service knows of as a job; from a disk, it need not know.
    async fn as_job(
        &self,
        progress: &Progress,
        work: impl Future<Output = Result<RestoreReport, AgentError>>,
    ) -> Result<RestoreReport, AgentError> {
        if self.disk.is_some() {
            return work.await;
        }
        let id = self.client.begin_job(Operation::Restore).await?.id;
        self.job(id, FETCH).run(progress, work).await
    }

    /// Says what a restore would do, entry by entry. Nothing is done, and the service knows of no job.
    pub async fn preview(
        &self,
        point: &OpenPoint,
        options: &RestoreOptions,
        progress: Progress,
        each: impl FnMut(Planned) + Send + 'static,
    ) -> Result<RestoreReport, AgentError> {
        Ok(preview(&self.reading(progress), point, options, each).await?)
    }

    /// Reads all of a point and checks it.
    pub async fn verify(&self, point: &OpenPoint, progress: Progress) -> Result<VerifyReport, AgentError> {
        Ok(verify(&self.reading(progress), point).await?)
    }

    /// Looks into recovery points without restoring them.
    pub fn browser(&self) -> Browser {
        Browser::new(self.reading(Progress::default()), workers())
    }

    /// Those of its recovery points, or of another machine's that `filter` names, that its keys open; newest last.
    pub async fn openable_points(&self, filter: &PointFilter) -> Result<Vec<PointView>, AgentError> {
        let mut points = self.points(filter).await?;
        points.retain(|point| self.opens(point));
        match points.is_empty() {
            false => Ok(points),
            true => Err(self.no_points(filter)),
        }
    }

    fn reading(&self, progress: Progress) -> RestoreParts {
        let reader: Arc<dyn VaultReader> = match &self.disk {
            Some(disk) => disk.clone(),
            None => Arc::new(ServiceVault::new(self.client.clone(), None)),
        };
        RestoreParts {
            reader,
            keys: self.keys.clone(),
            progress,
            workers: workers(),
        }
    }
}

/// Says that a list of recovery points is empty.
pub fn no_points(filter: &PointFilter) -> String {
    match filter {
        PointFilter::Own => "there is no recovery point yet: make one with `strongroom backup PATH`".to_owned(),
        PointFilter::All => "there is no recovery point in this vault that this machine may read".to_owned(),
        PointFilter::Machine(name) => format!(
            "there is no recovery point of machine {name} that this machine may read: it has none yet, or uses another passphrase than this machine, which --ask-passphrase or --passphrase-file gives"
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
