//! What the state of items and the end of jobs raises and resolves.

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;
use strongroom_model::{AlertKind, ItemId, JobId, JobState, MachineName, Notice, Operation, Trigger};

use crate::alerts::{About, raise, resolve_item};
use crate::column::{Columns, moment_or_zero, nanoseconds};
use crate::jobs::JobRow;
use crate::{Db, DbError};

/// So many alerts about how the jobs of an item went stand at a time, and one more of each kind.
const ALERTS_PER_ITEM_MAX: u64 = 20;

/// How long before soft-deleted data goes somebody is warned.
const PURGE_WARNING: SignedDuration = SignedDuration::from_hours(48);

impl Db {
    /// Raises an alert for each scheduled backup that has waited for its machine for longer than `grace`, at most `limit`.
    /// Returns how many it looked at.
    pub async fn raise_missed(&self, grace: SignedDuration, now: Timestamp, limit: u32) -> Result<u64, DbError> {
        let action = "find backups that did not run";
        let before = nanoseconds(now.checked_sub(grace).unwrap_or(Timestamp::MIN));
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select id, item, name, due, vault from jobs where is_open = 1 and state = 'Queued' \
             and operation = 'Backup' and trigger_kind = 'Schedule' and due > 0 and due <= $1 and created <= $1 \
             and not exists (select 1 from alerts where alerts.vault = jobs.vault and alerts.item = jobs.item \
             and alerts.kind = 'BackupMissed' and alerts.cause = cast(jobs.due as text)) order by item limit $2",
        )
        .bind(before)
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        drop(reader);
        for row in &rows {
            let (item, job) = (
                ItemId::from_bytes(row.array("item")?),
                JobId::from_bytes(row.array("id")?),
            );
            let mut write = self.write("raise an alert").await?;
            // Its machine may take it just now, and be done before the alert is there.
            let query = sqlx::query("update jobs set seen = seen where id = $1 and state = 'Queued'")
                .bind(job.as_bytes().to_vec());
            let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
            if done.rows_affected() == 0 {
                continue;
            }
            let name: MachineName = row.parsed("name")?;
            let notice = Notice::machine_away(&name, row.number("due")?.to_string());
            let about = About {
                item: Some(item),
                job: Some(job),
            };
            raise(write.on(), row.number("vault")?, about, &notice, now).await?;
            write.commit().await?;
        }
        Ok(rows.len() as u64)
    }

    /// Raises an alert for each soft-deleted item that goes within two days, at most `limit`. Returns how many.
    pub async fn raise_upcoming_purges(&self, now: Timestamp, limit: u32) -> Result<u64, DbError> {
        let action = "find what will be purged soon";
        let soon = now.saturating_add(PURGE_WARNING).unwrap_or(Timestamp::MAX);
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select items.id as item, purge_at from items where purge_at <= $1 and deleted > 0 and purge_at > deleted \
             and exists (select 1 from vaults where vaults.key = items.vault and vaults.deleted = 0) \
             and not exists (select 1 from alerts where alerts.vault = items.vault and alerts.item = items.id \
             and alerts.kind = 'UpcomingPurge' and alerts.raised >= items.deleted) order by items.id limit $2",
        )
        .bind(nanoseconds(soon))
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        drop(reader);
        for row in &rows {
            let item = ItemId::from_bytes(row.array("item")?);
            let mut write = self.write("raise an alert").await?;
            let query =
                sqlx::query("update items set version = version where id = $1 and purge_at = $2 and deleted > 0")
                    .bind(item.as_bytes().to_vec())
                    .bind(row.number("purge_at")?);
            let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
            // Somebody brought it back in between.
            if done.rows_affected() == 0 {
                continue;
            }
            if let Some((vault, name)) = place_of(write.on(), item).await? {
                let notice = Notice::upcoming_purge(&name, row.moment("purge_at")?);
                raise(write.on(), vault, of_item(item), &notice, now).await?;
            }
            write.commit().await?;
        }
        Ok(rows.len() as u64)
    }

    /// Raises an alert for each soft-deleted vault that goes within two days, at most `limit`. Returns how many.
    pub async fn raise_upcoming_vault_purges(&self, now: Timestamp, limit: u32) -> Result<u64, DbError> {
        let action = "find vaults that will be purged soon";
        let soon = now.saturating_add(PURGE_WARNING).unwrap_or(Timestamp::MAX);
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select key, name, purge_at from vaults where deleted > 0 and purge_at <= $1 and purge_at > deleted \
             and not exists (select 1 from alerts where alerts.vault = vaults.key and alerts.kind = 'UpcomingPurge' \
             and length(alerts.item) = 0 and alerts.raised >= vaults.deleted) order by key limit $2",
        )
        .bind(nanoseconds(soon))
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        drop(reader);
        for row in &rows {
            let mut write = self.write("raise an alert").await?;
            let (key, purge) = (row.number("key")?, row.number("purge_at")?);
            let query =
                sqlx::query("update vaults set version = version where key = $1 and purge_at = $2 and deleted > 0")
                    .bind(key)
                    .bind(purge);
            let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
            // Somebody brought it back in between.
            if done.rows_affected() == 0 {
                continue;
            }
            let notice = Notice::upcoming_vault_purge(&row.parsed("name")?, row.moment("purge_at")?);
            raise(write.on(), key, About::default(), &notice, now).await?;
            write.commit().await?;
        }
        Ok(rows.len() as u64)
    }
}

/// What the end of a job raises and resolves. One that somebody cancelled says nothing; one of an item that is gone neither.
pub(crate) async fn after_job(connection: &mut AnyConnection, job: &JobRow, now: Timestamp) -> Result<(), DbError> {
    let (kind, ended): (_, &[AlertKind]) = match (job.operation, job.state) {
        (Operation::Backup, JobState::Completed) => (None, AlertKind::ENDED_BY_BACKUP),
        (Operation::Backup, JobState::CompletedWithWarnings) => (
            Some(AlertKind::BackupWarnings),
            &[AlertKind::BackupFailure, AlertKind::BackupMissed],
        ),
        (Operation::Backup, JobState::Failed) => (Some(AlertKind::BackupFailure), &[]),
        (Operation::Restore, JobState::Failed) => (Some(AlertKind::RestoreFailure), &[]),
        _ => return Ok(()),
    };
    resolve_item(&mut *connection, job.item, ended, now).await?;
    let Some(kind) = kind else { return Ok(()) };
    let joins = job.trigger == Trigger::Schedule;
    let notice = Notice::of_job(kind, &job.name, &job.errors, job.id.to_string(), joins);
    let (Some(notice), Some((vault, _))) = (notice, place_of(&mut *connection, job.item).await?) else {
        return Ok(());
    };
    let about = About {
        item: Some(job.item),
        job: Some(job.id),
    };
    let notice = match standing(&mut *connection, job.item).await? < ALERTS_PER_ITEM_MAX {
        true => notice,
        false => notice.among_others(),
    };
    raise(connection, vault, about, &notice, now).await
}

/// How many alerts stand about an item.
async fn standing(connection: &mut AnyConnection, item: ItemId) -> Result<u64, DbError> {
    let query = sqlx::query("select count(*) as alerts from alerts where item = $1 and is_active = 1")
        .bind(item.as_bytes().to_vec());
    let row = query.fetch_one(connection).await;
    row.map_err(DbError::sql("count the alerts"))?.size("alerts")
}

/// A due moment found a backup that waits: the moment that this one stood for was missed.
pub(crate) async fn found_waiting(
    connection: &mut AnyConnection,
    (item, waited_for): (ItemId, Timestamp),
    now: Timestamp,
) -> Result<(), DbError> {
    let Some((vault, name)) = place_of(&mut *connection, item).await? else {
        return Ok(());
    };
    let notice = Notice::machine_away(&name, moment_or_zero(Some(waited_for)).to_string());
    raise(connection, vault, of_item(item), &notice, now).await
}

/// A due moment found a backup under way.
pub(crate) async fn found_busy(
    connection: &mut AnyConnection,
    (item, due): (ItemId, Timestamp),
    now: Timestamp,
) -> Result<(), DbError> {
    let Some((vault, name)) = place_of(&mut *connection, item).await? else {
        return Ok(());
    };
    let notice = Notice::still_running(&name, moment_or_zero(Some(due)).to_string());
    raise(connection, vault, of_item(item), &notice, now).await
}

pub(crate) fn of_item(item: ItemId) -> About {
    About {
        item: Some(item),
        job: None,
    }
}

/// The small key of an item's vault, and the name of its machine.
pub(crate) async fn place_of(
    connection: &mut AnyConnection,
    item: ItemId,
) -> Result<Option<(i64, MachineName)>, DbError> {
    let query = sqlx::query(
        "select items.vault as vault, containers.name as name from items \
         join containers on containers.item = items.key where items.id = $1",
    )
    .bind(item.as_bytes().to_vec());
    let row = query
        .fetch_optional(connection)
        .await
        .map_err(DbError::sql("find the item"))?;
    row.map(|row| Ok((row.number("vault")?, row.parsed("name")?)))
        .transpose()
}
