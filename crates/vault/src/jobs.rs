//! Jobs: asked for by people and schedules, taken and reported by machines.

use jiff::{SignedDuration, Timestamp};
use strongroom_db::{Dispatched, DueItem, ItemRow, JobMade, JobQuery, JobReport, JobRow, NewJob};
use strongroom_model::{ContainerId, ItemChange, ItemId, JobError, JobId, JobState, Operation, Trigger, VaultId};

use crate::items::refusal;
use crate::{VaultError, Vaults, fresh};

/// The longest that a recovery point can be asked for.
const KEEP_YEARS_MAX: i64 = 99;

/// Due items are turned into jobs so many at a time.
const BATCH: u32 = 200;

impl Vaults {
    /// A job of a vault.
    pub async fn job(&self, vault: VaultId, id: JobId) -> Result<JobRow, VaultError> {
        let found = self.db().job(id).await?.filter(|job| job.vault == vault);
        found.ok_or(VaultError::JobNotFound)
    }

    /// Jobs of a vault, newest first, and where the next page begins.
    pub async fn jobs(&self, vault: VaultId, query: &JobQuery) -> Result<(Vec<JobRow>, Option<u64>), VaultError> {
        Ok(self.db().jobs(vault, query).await?)
    }

    /// Has an item backed up as soon as its machine hears of it.
    pub async fn back_up_now(&self, item: &ItemRow, keep_until: Option<Timestamp>) -> Result<JobRow, VaultError> {
        if let Some(why) = refusal(item, ItemChange::BackUp) {
            let name = item.name.clone();
            return Err(VaultError::ItemRefused { name, why });
        }
        let now = self.now();
        if let Some(until) = keep_until {
            let longest = now.saturating_add(SignedDuration::from_hours(24 * 366 * KEEP_YEARS_MAX));
            if until <= now || longest.is_ok_and(|longest| until > longest) {
                return Err(VaultError::KeepUntil { until });
            }
        }
        let job = NewJob {
            keep_until,
            ..self.new_job(item.id, Operation::Backup, Trigger::OnDemand, JobState::Queued)
        };
        self.make(job).await
    }

    /// Tells a job to stop.
    pub async fn cancel_job(&self, vault: VaultId, id: JobId) -> Result<JobRow, VaultError> {
        let job = self.job(vault, id).await?;
        self.cancel(&job).await
    }

    /// Tells a job to stop, as its machine wants it.
    pub async fn cancel_own_job(&self, container: ContainerId, id: JobId) -> Result<JobRow, VaultError> {
        let job = self.own_job(container, id).await?;
        self.cancel(&job).await
    }

    async fn cancel(&self, job: &JobRow) -> Result<JobRow, VaultError> {
        match self.db().cancel_job(job.id, self.now()).await? {
            Some(_) => self.job(job.vault, job.id).await,
            None => {
                let state = self.job(job.vault, job.id).await?.state;
                Err(VaultError::JobOver { state })
            }
        }
    }

    /// A job of a machine.
    pub async fn own_job(&self, container: ContainerId, id: JobId) -> Result<JobRow, VaultError> {
        let found = self.db().job(id).await?.filter(|job| job.container == container);
        found.ok_or(VaultError::JobNotFound)
    }

    /// What a machine is to do: jobs that are queued, those that it was given and does not know of (it was started
    /// anew, or the answer was lost), and those that it is to stop.
    pub async fn work(&self, container: ContainerId, running: &[JobId]) -> Result<Work, VaultError> {
        let mut work = Work::default();
        for job in self.db().open_jobs(container).await? {
            let knows = running.contains(&job.id);
            match (job.state, job.trigger) {
                (JobState::Cancelling, _) if knows => work.stop.push(job.id),
                // Whoever did it is not there any more.
                (JobState::Cancelling, Trigger::Schedule | Trigger::OnDemand) => {
                    let report = JobReport::default();
                    let ended = self
                        .db()
                        .finish_job(job.id, None, JobState::Cancelled, &report, self.now());
                    ended.await?;
                }
                (JobState::Queued, _) | (JobState::InProgress, Trigger::Schedule | Trigger::OnDemand) if !knows => {
                    work.jobs.push(job);
                }
                _ => {}
            }
        }
        Ok(work)
    }

    /// Gives a job to the machine that asked for work. `None`: it is over, or told to stop.
    pub async fn take_job(&self, job: JobId) -> Result<Option<JobRow>, VaultError> {
        match self.db().take_job(job, self.now()).await? {
            true => Ok(self.db().job(job).await?),
            false => Ok(None),
        }
    }

    /// Begins a job that somebody at the machine asked for. A backup that is due is this one; one that the machine was
    /// doing before is over, for a machine does one at a time and knows best.
    pub async fn begin_job(&self, container: ContainerId, operation: Operation) -> Result<JobRow, VaultError> {
        let change = match operation {
            Operation::Backup => ItemChange::BackUp,
            _ => ItemChange::Restore,
        };
        let item = self.may(container, change).await?.id;
        loop {
            let job = self.new_job(item, operation, Trigger::Machine, JobState::InProgress);
            match self.db().insert_job(job).await? {
                JobMade::Made => return self.db().job(job.id).await?.ok_or(VaultError::JobNotFound),
                JobMade::NoItem => return Err(VaultError::ContainerNotFound),
                JobMade::Busy(busy) if busy.state == JobState::Queued => {
                    if let Some(taken) = self.take_job(busy.id).await? {
                        return Ok(taken);
                    }
                }
                JobMade::Busy(busy) => self.supersede(&busy).await?,
            }
        }
    }

    /// The machine's item, if its state allows that.
    pub(crate) async fn may(&self, container: ContainerId, change: ItemChange) -> Result<ItemRow, VaultError> {
        let item = self.container(container).await?.item;
        let row = self.db().item(item).await?.ok_or(VaultError::ContainerNotFound)?;
        match refusal(&row, change) {
            None => Ok(row),
            Some(why) => Err(VaultError::ItemRefused { name: row.name, why }),
        }
    }

    async fn supersede(&self, busy: &JobRow) -> Result<(), VaultError> {
        let (state, error) = match (busy.point, busy.state) {
            (Some(_), _) => (JobState::Completed, None),
            (None, JobState::Cancelling) => (JobState::Cancelled, None),
            (None, _) => (JobState::Failed, Some(interrupted())),
        };
        let report = JobReport {
            errors: error.into_iter().collect(),
            ..JobReport::default()
        };
        self.db().finish_job(busy.id, None, state, &report, self.now()).await?;
        Ok(())
    }

    /// Notes what a machine says about its job. Returns the state: it may be told to stop.
    pub async fn report_job(
        &self,
        container: ContainerId,
        job: JobId,
        report: &JobReport,
    ) -> Result<JobState, VaultError> {
        let state = self.db().report_job(job, container, report, self.now()).await?;
        state.ok_or(VaultError::JobNotFound)
    }

    /// Ends a job as its machine says. Saying it twice is fine.
    pub async fn finish_job(
        &self,
        container: ContainerId,
        job: JobId,
        state: JobState,
        report: &JobReport,
    ) -> Result<JobRow, VaultError> {
        let ended = self
            .db()
            .finish_job(job, Some(container), state, report, self.now())
            .await?;
        match ended {
            Some(job) => Ok(job),
            None => self.own_job(container, job).await,
        }
    }

    /// Makes jobs of all backups that are due. Returns what became of each.
    pub async fn dispatch(&self) -> Result<Vec<(DueItem, Dispatched)>, VaultError> {
        let mut all = Vec::new();
        loop {
            let now = self.now();
            let due = self.db().due_items(now, BATCH).await?;
            if due.is_empty() {
                return Ok(all);
            }
            let with_ids: Vec<_> = due.into_iter().map(|item| (item, self.new_job_id())).collect();
            let outcomes = self.db().dispatch(&with_ids, now).await?;
            all.extend(with_ids.into_iter().map(|(item, _)| item).zip(outcomes));
        }
    }

    /// Machines with jobs that were queued or cancelled at `since` or later, through whichever node.
    pub async fn machines_called(&self, since: Timestamp) -> Result<Vec<ContainerId>, VaultError> {
        Ok(self.db().machines_called(since).await?)
    }

    /// Ends jobs of which nothing was heard for `silence`: as failed, or as done if their recovery point exists.
    pub async fn fail_silent_jobs(&self, silence: SignedDuration) -> Result<Vec<JobRow>, VaultError> {
        let now = self.now();
        let before = now.checked_sub(silence).unwrap_or(Timestamp::MIN);
        let mut ended = Vec::new();
        for job in self.db().silent_jobs(before, BATCH).await? {
            let (state, error) = match (job.point, job.state) {
                (Some(_), _) => (JobState::Completed, None),
                (None, JobState::Cancelling) => (JobState::Cancelled, None),
                (None, _) => (JobState::Failed, Some(lost(silence))),
            };
            let report = JobReport {
                errors: error.into_iter().collect(),
                ..JobReport::default()
            };
            ended.extend(self.db().finish_job(job.id, None, state, &report, now).await?);
        }
        Ok(ended)
    }

    /// Forgets jobs that were over for so long at that moment, which is believed.
    pub async fn forget_jobs(&self, now: Timestamp, kept: SignedDuration) -> Result<u64, VaultError> {
        let before = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        let mut forgotten = 0;
        loop {
            let gone = self.db().prune_jobs(before, 1000).await?;
            forgotten += gone;
            if gone < 1000 {
                return Ok(forgotten);
            }
        }
    }

    /// A job that tells of something that is done already.
    pub(crate) async fn note_done(&self, item: ItemId, operation: Operation) -> Result<JobRow, VaultError> {
        self.make(self.new_job(item, operation, Trigger::OnDemand, JobState::Completed))
            .await
    }

    async fn make(&self, job: NewJob) -> Result<JobRow, VaultError> {
        match self.db().insert_job(job).await? {
            JobMade::Made => self.db().job(job.id).await?.ok_or(VaultError::JobNotFound),
            JobMade::Busy(busy) => Err(VaultError::JobBusy { job: busy.id }),
            JobMade::NoItem => Err(VaultError::ItemNotFound),
        }
    }

    pub(crate) fn new_job(&self, item: ItemId, operation: Operation, trigger: Trigger, state: JobState) -> NewJob {
        NewJob {
            id: self.new_job_id(),
            item,
            operation,
            trigger,
            state,
            due: None,
            keep_until: None,
            now: self.now(),
        }
    }

    fn new_job_id(&self) -> JobId {
        JobId::from_uuid(fresh::uuid(self.now(), self.entropy()))
    }
}

/// What a machine is to do.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// Jobs to begin.
    pub jobs: Vec<JobRow>,
    /// Jobs to stop.
    pub stop: Vec<JobId>,
}

fn interrupted() -> JobError {
    JobError {
        code: "Interrupted".to_owned(),
        message: "The machine began anew before this job was over".to_owned(),
        recommendations: vec!["Nothing is to be done: the next backup goes on where this one was".to_owned()],
    }
}

fn lost(silence: SignedDuration) -> JobError {
    JobError {
        code: "HeartbeatLost".to_owned(),
        message: format!("Nothing was heard of the machine for {} minutes", silence.as_mins()),
        recommendations: vec![
            "See whether the machine runs and reaches the service; the next backup goes on where this one was"
                .to_owned(),
        ],
    }
}
