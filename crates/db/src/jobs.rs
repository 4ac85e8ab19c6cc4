//! Jobs: their rows, and the few statements that move one from a state to the next.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::policy::Workload;
use strongroom_model::{
    ContainerId, ItemId, JobError, JobId, JobProgress, JobState, MachineName, Operation, PointId, Task, Trigger,
    VaultId,
};

use crate::column::{Columns, moment_or_zero, nanoseconds};
use crate::{Db, DbError};

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Its vault.
    pub vault: VaultId,
    /// What it is about.
    pub item: ItemId,
    /// The machine that does it.
    pub container: ContainerId,
    /// That machine's name.
    pub name: MachineName,
    /// What kind of thing it is about.
    pub workload: Workload,
    /// What it does.
    pub operation: Operation,
    /// What made it.
    pub trigger: Trigger,
    /// How far it is.
    pub state: JobState,
    /// The moment that the schedule wanted it at.
    pub due: Option<Timestamp>,
    /// Until when the recovery point is wanted that it makes, if somebody said so.
    pub keep_until: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// When a machine took it.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// The last sign of life.
    pub seen: Timestamp,
    /// How far the machine says it is.
    pub progress: JobProgress,
    /// Its parts.
    pub tasks: Vec<Task>,
    /// Why it failed, or what it warns of.
    pub errors: Vec<JobError>,
    /// The recovery point that it made.
    pub point: Option<PointId>,
}

/// A job to make.
#[derive(Clone, Copy, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// What it is about.
    pub item: ItemId,
    /// What it does.
    pub operation: Operation,
    /// What makes it.
    pub trigger: Trigger,
    /// How it begins: queued for the machine, under way, or over.
    pub state: JobState,
    /// The moment that the schedule wanted it at.
    pub due: Option<Timestamp>,
    /// Until when its recovery point is wanted.
    pub keep_until: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// What became of a wish for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobMade {
    /// It is there.
    Made,
    /// This one of the same operation is not over.
    Busy(Box<JobRow>),
    /// There is no such item.
    NoItem,
}

/// How a job ends, or what it says on the way.
#[derive(Clone, Debug, Default)]
pub struct JobReport {
    /// How far it is.
    pub progress: JobProgress,
    /// Its parts.
    pub tasks: Vec<Task>,
    /// Why it failed, or what it warns of.
    pub errors: Vec<JobError>,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobQuery {
    /// Those older than this one, as [`Db::jobs`] counts.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
    /// Only those in one of these states; none: in any.
    pub states: Vec<JobState>,
    /// Only those that do this.
    pub operation: Option<Operation>,
    /// Only those about such things.
    pub workload: Option<Workload>,
    /// Only those about this.
    pub item: Option<ItemId>,
    /// Only those made then or later.
    pub since: Option<Timestamp>,
    /// Only those made before.
    pub until: Option<Timestamp>,
}

macro_rules! select_jobs {
    ($rest:literal) => {
        concat!(
            "select jobs.key as key, jobs.id as id, vaults.id as vault, item, container, jobs.name as name, workload, operation, \
             trigger_kind, state, due, keep_until, jobs.created as created, started, ended, seen, progress, tasks, \
             errors, point from jobs join vaults on vaults.key = jobs.vault ",
            $rest
        )
    };
}

impl Db {
    /// Makes a job, unless another one of its operation is under way on its item.
    pub async fn insert_job(&self, new: NewJob) -> Result<JobMade, DbError> {
        let mut write = self.write("insert the job").await?;
        if insert(write.on(), new).await? {
            write.commit().await?;
            return Ok(JobMade::Made);
        }
        let busy = open_job(write.on(), new.item, new.operation).await?;
        write.leave().await?;
        Ok(busy.map_or(JobMade::NoItem, |job| JobMade::Busy(Box::new(job))))
    }

    /// The job with this id.
    pub async fn job(&self, id: JobId) -> Result<Option<JobRow>, DbError> {
        let action = "find the job";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_jobs!("where jobs.id = $1")).bind(id.as_bytes().to_vec());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(job_row).transpose()
    }

    /// Jobs of a vault, newest first, and for the next page what to say as [`JobQuery::before`].
    pub async fn jobs(&self, vault: VaultId, query: &JobQuery) -> Result<(Vec<JobRow>, Option<u64>), DbError> {
        let action = "list the jobs";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let limit = i64::from(query.limit);
        let states: Vec<&str> = query.states.iter().map(|state| state.as_str()).collect();
        let query = sqlx::query(select_jobs!(
            "where jobs.vault = $1 and jobs.key < $2 and ($3 = '' or $3 like '%,' || state || ',%') \
             and ($4 = '' or operation = $4) and ($9 = '' or workload = $9) and (length($5) = 0 or item = $5) \
             and jobs.created >= $6 and jobs.created < $7 order by jobs.key desc limit $8"
        ))
        .bind(key)
        .bind(query.before.and_then(|key| i64::try_from(key).ok()).unwrap_or(i64::MAX))
        .bind(if states.is_empty() {
            String::new()
        } else {
            format!(",{},", states.join(","))
        })
        .bind(query.operation.map_or("", Operation::as_str))
        .bind(query.item.map_or(Vec::new(), |item| item.as_bytes().to_vec()))
        .bind(query.since.map_or(i64::MIN, nanoseconds))
        .bind(query.until.map_or(i64::MAX, nanoseconds))
        .bind(limit)
        .bind(query.workload.map_or("", Workload::as_str));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let next = match rows.last() {
            Some(last) if rows.len() as i64 == limit => Some(last.size("key")?),
            _ => None,
        };
        let jobs: Result<Vec<_>, _> = rows.iter().map(job_row).collect();
        Ok((jobs?, next))
    }

    /// Jobs that are not over and that a machine is to do, oldest first.
    pub async fn open_jobs(&self, container: ContainerId) -> Result<Vec<JobRow>, DbError> {
        let mut reader = self.read("find the machine's jobs").await?;
        open_jobs(&mut reader, container).await
    }

    /// Machines with jobs that somebody queued or cancelled at `since` or later.
    pub async fn machines_called(&self, since: Timestamp) -> Result<Vec<ContainerId>, DbError> {
        let action = "find machines with new jobs";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select distinct container from jobs where is_open = 1 and seen >= $1 and state in ('Queued', 'Cancelling')",
        )
        .bind(nanoseconds(since));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter()
            .map(|row| Ok(ContainerId::from_bytes(row.array("container")?)))
            .collect()
    }

    /// Gives a job to its machine. `false`: it is over, or told to stop.
    pub async fn take_job(&self, job: JobId, now: Timestamp) -> Result<bool, DbError> {
        let action = "give the job to its machine";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "update jobs set started = (case state when 'Queued' then $2 else started end), state = 'InProgress', seen = $2 \
             where id = $1 and state in ('Queued', 'InProgress')",
        )
        .bind(job.as_bytes().to_vec())
        .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes what a machine says about its job, and that it lives. Returns the job's state: it may be told to stop.
    /// `None`: there is no such job of this machine, or it is over.
    pub async fn report_job(
        &self,
        job: JobId,
        container: ContainerId,
        report: &JobReport,
        now: Timestamp,
    ) -> Result<Option<JobState>, DbError> {
        let action = "note the job's progress";
        let mut write = self.write(action).await?;
        let query = sqlx::query_scalar(
            "update jobs set progress = $3, tasks = $4, seen = $5 where id = $1 and container = $2 \
             and state in ('InProgress', 'Cancelling') returning state",
        )
        .bind(job.as_bytes().to_vec())
        .bind(container.as_bytes().to_vec())
        .bind(text(&report.progress))
        .bind(text(&report.tasks))
        .bind(nanoseconds(now));
        let state: Option<String> = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        state
            .map(|state| state.parse().map_err(|_| DbError::Value("state")))
            .transpose()
    }

    /// Ends a job that is not over, notes on its item how its backup went, and raises or resolves alerts. `None`: it was over
    /// already, or is none of this machine's.
    pub async fn finish_job(
        &self,
        job: JobId,
        container: Option<ContainerId>,
        state: JobState,
        report: &JobReport,
        now: Timestamp,
    ) -> Result<Option<JobRow>, DbError> {
        let action = "end the job";
        let mut write = self.write(action).await?;
        // The item first, as everybody does who changes both.
        let query = sqlx::query("update items set version = version where id = (select item from jobs where id = $1)")
            .bind(job.as_bytes().to_vec());
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let ended = end(write.on(), job, container, state, report, now).await?;
        write.commit().await?;
        Ok(ended)
    }

    /// Tells a job to stop: one that nobody took is cancelled at once, another one when its machine hears of it. Returns
    /// the state that it has then. `None`: there is no such job, or it is over.
    pub async fn cancel_job(&self, job: JobId, now: Timestamp) -> Result<Option<JobState>, DbError> {
        let action = "cancel the job";
        let mut write = self.write(action).await?;
        let query = sqlx::query_scalar(
            "update jobs set is_open = (case state when 'Queued' then 0 else 1 end), \
             ended = (case state when 'Queued' then $2 else ended end), seen = $2, \
             state = (case state when 'Queued' then 'Cancelled' else 'Cancelling' end) \
             where id = $1 and is_open = 1 returning state",
        )
        .bind(job.as_bytes().to_vec())
        .bind(nanoseconds(now));
        let state: Option<String> = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        state
            .map(|state| state.parse().map_err(|_| DbError::Value("state")))
            .transpose()
    }

    /// Jobs under way of which nothing was heard since `before`.
    pub async fn silent_jobs(&self, before: Timestamp, limit: u32) -> Result<Vec<JobRow>, DbError> {
        let action = "find silent jobs";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_jobs!(
            "where is_open = 1 and state in ('InProgress', 'Cancelling') and seen < $1 order by seen limit $2"
        ))
        .bind(nanoseconds(before))
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(job_row).collect()
    }

    /// Deletes jobs that were over before that moment, at most `limit`; returns how many.
    pub async fn prune_jobs(&self, before: Timestamp, limit: u32) -> Result<u64, DbError> {
        let action = "forget old jobs";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "delete from jobs where key in (select key from jobs where is_open = 0 and ended < $1 order by ended limit $2)",
        )
        .bind(nanoseconds(before))
        .bind(i64::from(limit));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected())
    }
}

/// Inserts a job with its machine's name and vault. `false`: there is no such item, or it is busy.
pub(crate) async fn insert(connection: &mut AnyConnection, new: NewJob) -> Result<bool, DbError> {
    let now = nanoseconds(new.now);
    let (started, ended) = match (new.state, new.state.is_open()) {
        (JobState::Queued, _) => (0, 0),
        (_, true) => (now, 0),
        (_, false) => (now, now),
    };
    let query = sqlx::query(
        "insert into jobs (id, vault, item, container, name, workload, operation, trigger_kind, state, is_open, due, keep_until, \
         created, started, ended, seen, progress, tasks, errors, point) \
         select $1, containers.vault, items.id, containers.id, containers.name, items.workload, $3, $4, $5, $6, $7, $8, $9, $10, $11, $9, \
         '{}', '[]', '[]', $12 from items join containers on containers.item = items.key where items.id = $2 \
         on conflict do nothing",
    )
    .bind(new.id.as_bytes().to_vec())
    .bind(new.item.as_bytes().to_vec())
    .bind(new.operation.as_str())
    .bind(new.trigger.as_str())
    .bind(new.state.as_str())
    .bind(i64::from(new.state.is_open()))
    .bind(moment_or_zero(new.due))
    .bind(moment_or_zero(new.keep_until))
    .bind(now)
    .bind(started)
    .bind(ended)
    .bind(Vec::<u8>::new());
    let done = (query.execute(connection).await).map_err(DbError::sql("insert the job"))?;
    Ok(done.rows_affected() == 1)
}

/// The job of this operation that is under way on the item.
pub(crate) async fn open_job(
    connection: &mut AnyConnection,
    item: ItemId,
    operation: Operation,
) -> Result<Option<JobRow>, DbError> {
    let query = sqlx::query(select_jobs!("where item = $1 and operation = $2 and is_open = 1"))
        .bind(item.as_bytes().to_vec())
        .bind(operation.as_str());
    let row = (query.fetch_optional(connection).await).map_err(DbError::sql("find the job under way"))?;
    row.as_ref().map(job_row).transpose()
}

/// Ends all that a machine does or was to do: what has its recovery point is done, and the rest is cancelled. Whoever calls
/// this has locked the machine's item.
pub(crate) async fn end_all_of(
    connection: &mut AnyConnection,
    container: ContainerId,
    report: &JobReport,
    now: Timestamp,
) -> Result<(), DbError> {
    for job in open_jobs(&mut *connection, container).await? {
        let (state, report) = match job.point {
            Some(_) => (JobState::Completed, &JobReport::default()),
            None => (JobState::Cancelled, report),
        };
        end(&mut *connection, job.id, None, state, report, now).await?;
    }
    Ok(())
}

async fn open_jobs(connection: &mut AnyConnection, container: ContainerId) -> Result<Vec<JobRow>, DbError> {
    let query = sqlx::query(select_jobs!("where container = $1 and is_open = 1 order by jobs.key"))
        .bind(container.as_bytes().to_vec());
    let rows = query.fetch_all(connection).await;
    let rows = rows.map_err(DbError::sql("find the machine's jobs"))?;
    rows.iter().map(job_row).collect()
}

/// Ends a job, with what that means for its item and for alerts.
async fn end(
    connection: &mut AnyConnection,
    job: JobId,
    container: Option<ContainerId>,
    state: JobState,
    report: &JobReport,
    now: Timestamp,
) -> Result<Option<JobRow>, DbError> {
    let action = "end the job";
    let query = sqlx::query(
        "update jobs set state = $2, is_open = 0, ended = $3, seen = $3, \
         progress = (case $4 when '' then progress else $4 end), tasks = (case $5 when '' then tasks else $5 end), \
         errors = $6 where id = $1 and is_open = 1 and (length($7) = 0 or container = $7)",
    )
    .bind(job.as_bytes().to_vec())
    .bind(state.as_str())
    .bind(nanoseconds(now))
    .bind(if container.is_some() {
        text(&report.progress)
    } else {
        String::new()
    })
    .bind(if container.is_some() {
        text(&report.tasks)
    } else {
        String::new()
    })
    .bind(text(&report.errors))
    .bind(container.map_or(Vec::new(), |container| container.as_bytes().to_vec()));
    let done = query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    let query = sqlx::query(select_jobs!("where jobs.id = $1")).bind(job.as_bytes().to_vec());
    let row = query.fetch_one(&mut *connection).await.map_err(DbError::sql(action))?;
    let ended = job_row(&row)?;
    crate::outcome::note(&mut *connection, &ended, now).await?;
    crate::causes::after_job(connection, &ended, now).await?;
    Ok(Some(ended))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain fields always serialise")
}

fn parsed_json<T: DeserializeOwned>(row: &AnyRow, name: &'static str) -> Result<T, DbError> {
    serde_json::from_str(&row.text(name)?).map_err(|_| DbError::Value(name))
}

fn job_row(row: &AnyRow) -> Result<JobRow, DbError> {
    Ok(JobRow {
        id: JobId::from_bytes(row.array("id")?),
        vault: VaultId::from_bytes(row.array("vault")?),
        item: ItemId::from_bytes(row.array("item")?),
        container: ContainerId::from_bytes(row.array("container")?),
        name: row.parsed("name")?,
        workload: row.parsed("workload")?,
        operation: row.parsed("operation")?,
        trigger: row.parsed("trigger_kind")?,
        state: row.parsed("state")?,
        due: row.moment_if_any("due")?,
        keep_until: row.moment_if_any("keep_until")?,
        created: row.moment("created")?,
        started: row.moment_if_any("started")?,
        ended: row.moment_if_any("ended")?,
        seen: row.moment("seen")?,
        progress: parsed_json(row, "progress")?,
        tasks: parsed_json(row, "tasks")?,
        errors: parsed_json(row, "errors")?,
        point: row.optional("point")?.map(PointId::from_bytes),
    })
}
