//! Alerts: raised and resolved in the transaction of what they tell of. They come last in it: policy, item, job, alert.

use blake3::Hasher;
use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{AlertEvent, AlertId, AlertKind, AlertSeverity, AlertState, ItemId, JobId, Notice, VaultId};

use crate::causes::{of_item, place_of};
use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// Its id.
    pub id: AlertId,
    /// Its vault.
    pub vault: VaultId,
    /// The item that it is about, if it is about one.
    pub item: Option<ItemId>,
    /// The job that raised it, the last of them; if one did.
    pub job: Option<JobId>,
    /// What it is about.
    pub kind: AlertKind,
    /// For programs: the error's code, or the change that was made.
    pub code: String,
    /// The name of the item, the policy or the setting.
    pub subject: String,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    pub recommendation: String,
    /// How many causes it stands for.
    pub count: u64,
    /// Whether it still stands.
    pub state: AlertState,
    /// When the first cause was.
    pub raised: Timestamp,
    /// When the last cause was.
    pub last: Timestamp,
    /// Since when it does not stand any more.
    pub ended: Option<Timestamp>,
    /// Who saw to it; empty if nobody did.
    pub ended_by: String,
    /// What they said.
    pub note: String,
}

/// Which alerts to list.
#[derive(Clone, Debug, Default)]
pub struct AlertQuery {
    /// Those older than this one, as [`Db::alerts`] counts.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
    /// Only those in this state.
    pub state: Option<AlertState>,
    /// Only those of this severity.
    pub severity: Option<AlertSeverity>,
    /// Only those of this kind.
    pub kind: Option<AlertKind>,
    /// Only those about this.
    pub item: Option<ItemId>,
    /// Only those with a cause then or later.
    pub since: Option<Timestamp>,
    /// Only those that were raised before.
    pub until: Option<Timestamp>,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About {
    pub(crate) item: Option<ItemId>,
    pub(crate) job: Option<JobId>,
}

macro_rules! alert_columns {
    () => {
        "alerts.key as key, alerts.id as id, vaults.id as vault, item, job, kind, code, subject, message, \
         recommendation, times, state, raised, last_at, ended, ended_by, note"
    };
}
pub(crate) use alert_columns;

macro_rules! select_alerts {
    ($rest:literal) => {
        concat!(
            "select ",
            alert_columns!(),
            " from alerts join vaults on vaults.key = alerts.vault ",
            $rest
        )
    };
}

impl Db {
    /// Alerts of a vault, newest first, and for the next page what to say as [`AlertQuery::before`].
    pub async fn alerts(&self, vault: VaultId, query: &AlertQuery) -> Result<(Vec<AlertRow>, Option<u64>), DbError> {
        let action = "list the alerts";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let limit = i64::from(query.limit);
        let query = sqlx::query(select_alerts!(
            "where alerts.vault = $1 and alerts.key < $2 and ($3 = '' or state = $3) and ($4 = '' or severity = $4) \
             and ($5 = '' or kind = $5) and (length($6) = 0 or item = $6) and last_at >= $7 and raised < $8 \
             order by alerts.key desc limit $9"
        ))
        .bind(key)
        .bind(query.before.and_then(|key| i64::try_from(key).ok()).unwrap_or(i64::MAX))
        .bind(query.state.map_or("", AlertState::as_str))
        .bind(query.severity.map_or("", AlertSeverity::as_str))
        .bind(query.kind.map_or("", AlertKind::as_str))
        .bind(item_bytes(query.item))
        .bind(query.since.map_or(i64::MIN, nanoseconds))
        .bind(query.until.map_or(i64::MAX, nanoseconds))
        .bind(limit);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let next = match rows.last() {
            Some(last) if rows.len() as i64 == limit => Some(last.size("key")?),
            _ => None,
        };
        let alerts: Result<Vec<_>, _> = rows.iter().map(alert_row).collect();
        Ok((alerts?, next))
    }

    /// The alert with this id.
    pub async fn alert(&self, id: AlertId) -> Result<Option<AlertRow>, DbError> {
        let action = "find the alert";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_alerts!("where alerts.id = $1")).bind(id.as_bytes().to_vec());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(alert_row).transpose()
    }

    /// Notes that somebody saw to an alert. `false`: it does not stand any more.
    pub async fn inactivate_alert(&self, id: AlertId, by: &str, note: &str, now: Timestamp) -> Result<bool, DbError> {
        let action = "close the alert";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "update alerts set state = 'Inactive', is_active = 0, ended = $2, ended_by = $3, note = $4 \
             where id = $1 and is_active = 1",
        )
        .bind(id.as_bytes().to_vec())
        .bind(nanoseconds(now))
        .bind(by)
        .bind(note);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Raises an alert about a whole vault.
    pub async fn raise_in_vault(&self, vault: VaultId, notice: &Notice, now: Timestamp) -> Result<(), DbError> {
        let mut write = self.write("raise an alert").await?;
        let key = write.vault_key(vault).await?;
        raise(write.on(), key, About::default(), notice, now).await?;
        write.commit().await
    }

    /// Raises an alert about an item.
    pub async fn raise_about_item(&self, item: ItemId, notice: &Notice, now: Timestamp) -> Result<(), DbError> {
        let mut write = self.write("raise an alert").await?;
        if let Some((vault, _)) = place_of(write.on(), item).await? {
            raise(write.on(), vault, of_item(item), notice, now).await?;
            write.commit().await?;
        }
        Ok(())
    }

    /// Resolves alerts of a kind, of whatever vault, whose last cause was at `until` or before.
    pub async fn resolve_kind(&self, kind: AlertKind, until: Timestamp, now: Timestamp) -> Result<(), DbError> {
        let action = "resolve alerts";
        let text = "select key from alerts where kind = $1 and last_at <= $2 and is_active = 1 order by key";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(text).bind(kind.as_str()).bind(nanoseconds(until));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        drop(reader);
        if rows.is_empty() {
            return Ok(());
        }
        let mut write = self.write(action).await?;
        end_all(write.on(), &rows, now).await?;
        write.commit().await
    }

    /// Deletes alerts that have not stood since before that moment, at most `limit`; returns how many.
    pub async fn prune_alerts(&self, before: Timestamp, limit: u32) -> Result<u64, DbError> {
        let action = "forget old alerts";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "delete from alerts where key in (select key from alerts where is_active = 0 and ended < $1 \
             and not exists (select 1 from alert_events where alert_events.alert = alerts.key) order by ended limit $2)",
        )
        .bind(nanoseconds(before))
        .bind(i64::from(limit));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected())
    }
}

/// Raises an alert, or counts its cause on one that stands. The same cause again changes nothing.
pub(crate) async fn raise(
    connection: &mut AnyConnection,
    vault: i64,
    about: About,
    notice: &Notice,
    now: Timestamp,
) -> Result<(), DbError> {
    let topic = topic(about, notice);
    if is_known(connection, vault, &topic, &notice.cause).await?
        || count(connection, vault, &topic, about, notice, now).await?
    {
        return Ok(());
    }
    let id = new_id(vault, &topic, &notice.cause, now);
    let action = "raise an alert";
    let query = sqlx::query(
        "insert into alerts (id, vault, item, job, kind, severity, code, subject, message, recommendation, topic, cause, \
         times, state, is_active, raised, last_at, ended, ended_by, note) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, 'Active', 1, $13, $13, 0, '', '') \
         on conflict do nothing",
    )
    .bind(id.as_bytes().to_vec())
    .bind(vault)
    .bind(item_bytes(about.item))
    .bind(job_bytes(about.job))
    .bind(notice.kind.as_str())
    .bind(notice.kind.severity().as_str())
    .bind(&notice.code)
    .bind(&notice.subject)
    .bind(&notice.message)
    .bind(&notice.recommendation)
    .bind(&topic)
    .bind(&notice.cause)
    .bind(nanoseconds(now));
    let done = query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    if done.rows_affected() == 0 {
        // Another node raised it in between.
        return count(connection, vault, &topic, about, notice, now).await.map(drop);
    }
    let query = sqlx::query("select key from alerts where id = $1").bind(id.as_bytes().to_vec());
    let row = query.fetch_one(&mut *connection).await.map_err(DbError::sql(action))?;
    tell(connection, row.number("key")?, AlertEvent::Raised, now).await
}

/// Resolves the alerts of these kinds that stand about an item.
pub(crate) async fn resolve_item(
    connection: &mut AnyConnection,
    item: ItemId,
    kinds: &[AlertKind],
    now: Timestamp,
) -> Result<(), DbError> {
    let query = sqlx::query(
        "select key from alerts where item = $1 and is_active = 1 and $2 like '%,' || kind || ',%' order by key",
    )
    .bind(item.as_bytes().to_vec())
    .bind(kind_list(kinds));
    let rows = query.fetch_all(&mut *connection).await;
    end_all(connection, &rows.map_err(DbError::sql("resolve alerts"))?, now).await
}

/// Resolves the alerts of these kinds that stand about a vault itself.
pub(crate) async fn resolve_vault(
    connection: &mut AnyConnection,
    vault: i64,
    kinds: &[AlertKind],
    now: Timestamp,
) -> Result<(), DbError> {
    let query = sqlx::query(
        "select key from alerts where vault = $1 and length(item) = 0 and is_active = 1 \
         and $2 like '%,' || kind || ',%' order by key",
    )
    .bind(vault)
    .bind(kind_list(kinds));
    let rows = query.fetch_all(&mut *connection).await;
    end_all(connection, &rows.map_err(DbError::sql("resolve alerts"))?, now).await
}

async fn end_all(connection: &mut AnyConnection, rows: &[AnyRow], now: Timestamp) -> Result<(), DbError> {
    for row in rows {
        let key = row.number("key")?;
        let query = sqlx::query(
            "update alerts set state = 'Resolved', is_active = 0, ended = $2 where key = $1 and is_active = 1",
        )
        .bind(key)
        .bind(nanoseconds(now));
        let done = query.execute(&mut *connection).await;
        if done.map_err(DbError::sql("resolve alerts"))?.rows_affected() == 1 {
            tell(connection, key, AlertEvent::Resolved, now).await?;
        }
    }
    Ok(())
}

/// Whether an alert, standing or not, has counted this cause last.
async fn is_known(connection: &mut AnyConnection, vault: i64, topic: &str, cause: &str) -> Result<bool, DbError> {
    let query = sqlx::query("select key from alerts where vault = $1 and topic = $2 and cause = $3 limit 1")
        .bind(vault)
        .bind(topic)
        .bind(cause);
    let row = query.fetch_optional(connection).await;
    Ok(row.map_err(DbError::sql("find the alert"))?.is_some())
}

/// Counts another cause on the alert that stands. `false`: none does.
async fn count(
    connection: &mut AnyConnection,
    vault: i64,
    topic: &str,
    about: About,
    notice: &Notice,
    now: Timestamp,
) -> Result<bool, DbError> {
    let query = sqlx::query(
        "update alerts set times = times + 1, last_at = $4, cause = $3, message = $5, recommendation = $6, \
         job = (case length($7) when 0 then job else $7 end) \
         where vault = $1 and topic = $2 and is_active = 1 and cause <> $3",
    )
    .bind(vault)
    .bind(topic)
    .bind(&notice.cause)
    .bind(nanoseconds(now))
    .bind(&notice.message)
    .bind(&notice.recommendation)
    .bind(job_bytes(about.job));
    let done = query.execute(connection).await;
    Ok(done.map_err(DbError::sql("count the alert"))?.rows_affected() == 1)
}

/// Leaves word for whoever tells people.
async fn tell(connection: &mut AnyConnection, alert: i64, event: AlertEvent, now: Timestamp) -> Result<(), DbError> {
    let query = sqlx::query("insert into alert_events (alert, event, at, due) values ($1, $2, $3, 0)")
        .bind(alert)
        .bind(event.as_str())
        .bind(nanoseconds(now));
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("tell of the alert"))
}

/// What is one alert while it stands.
fn topic(about: About, notice: &Notice) -> String {
    let whose = match about.item {
        Some(item) => item.to_string(),
        None => notice.subject.to_lowercase(),
    };
    let alone = if notice.joins { "" } else { &notice.cause };
    format!("{}/{whose}/{}/{alone}", notice.kind, notice.code)
}

/// The id follows from what is raised, so that this crate needs no randomness: a version-7 UUID, the hash in place of the
/// random bits.
fn new_id(vault: i64, topic: &str, cause: &str, now: Timestamp) -> AlertId {
    let mut hasher = Hasher::new();
    hasher.update(&vault.to_le_bytes());
    for part in [topic, cause] {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0).to_be_bytes();
    bytes[..6].copy_from_slice(&milliseconds[2..]);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    AlertId::from_bytes(bytes)
}

fn kind_list(kinds: &[AlertKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    format!(",{},", names.join(","))
}

fn item_bytes(item: Option<ItemId>) -> Vec<u8> {
    item.map_or(Vec::new(), |item| item.as_bytes().to_vec())
}

fn job_bytes(job: Option<JobId>) -> Vec<u8> {
    job.map_or(Vec::new(), |job| job.as_bytes().to_vec())
}

pub(crate) fn alert_row(row: &AnyRow) -> Result<AlertRow, DbError> {
    Ok(AlertRow {
        id: AlertId::from_bytes(row.array("id")?),
        vault: VaultId::from_bytes(row.array("vault")?),
        item: row.optional("item")?.map(ItemId::from_bytes),
        job: row.optional("job")?.map(JobId::from_bytes),
        kind: row.parsed("kind")?,
        code: row.text("code")?,
        subject: row.text("subject")?,
        message: row.text("message")?,
        recommendation: row.text("recommendation")?,
        count: row.size("times")?,
        state: row.parsed("state")?,
        raised: row.moment("raised")?,
        last: row.moment("last_at")?,
        ended: row.moment_if_any("ended")?,
        ended_by: row.text("ended_by")?,
        note: row.text("note")?,
    })
}
