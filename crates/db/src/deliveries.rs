//! What is on its way to people and programs. A delivery is made in the transaction that takes the event that it tells of,
//! and whoever has its lease tries: nothing is lost in a crash, and of several nodes one sends.

use jiff::Timestamp;
use sqlx::AnyConnection;
use strongroom_model::{Channel, DeliveryId, VaultId};

use crate::column::{Columns, nanoseconds, number};
use crate::notifications::EventRow;
use crate::{Db, DbError};

/// A delivery to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Its vault.
    pub vault: VaultId,
    /// How it goes.
    pub channel: Channel,
    /// Where to.
    pub target: String,
    /// The subject of a mail.
    pub subject: String,
    /// The text.
    pub body: String,
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// What it is.
    pub delivery: NewDelivery,
    /// When it was made.
    pub made: Timestamp,
    /// How often somebody has tried.
    pub attempts: u64,
}

/// What becomes of events: each is either told, or waits.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    /// Those that are told, and go.
    pub told: Vec<EventRow>,
    /// Those that wait for a digest, and until when.
    pub waiting: Vec<(EventRow, Timestamp)>,
    /// What is sent.
    pub deliveries: Vec<NewDelivery>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Delivered,
    /// It is not; try again then.
    Again(Timestamp, String),
    /// It is not, and nobody tries again.
    GivenUp(String),
}

impl Db {
    /// Takes events, and makes the deliveries that tell of them: all or nothing. `false`: another node was faster.
    pub async fn tell(&self, telling: &Telling, now: Timestamp) -> Result<bool, DbError> {
        let action = "make deliveries";
        let mut write = self.write(action).await?;
        let gone = "delete from alert_events where key = $1 and due = $2";
        let moved = "update alert_events set due = $3 where key = $1 and due = $2";
        let due = |event: &EventRow| event.due.map_or(0, nanoseconds);
        let told = telling.told.iter().map(|event| (gone, event, 0));
        let waiting = (telling.waiting.iter()).map(|(event, until)| (moved, event, nanoseconds(*until)));
        let mut steps: Vec<_> = told.chain(waiting).collect();
        // In the same order on every node: none waits for another that waits for it.
        steps.sort_by_key(|(_, event, _)| event.key.0);
        for (text, event, until) in steps {
            let query = sqlx::query(text).bind(event.key.0).bind(due(event));
            let query = if text == moved { query.bind(until) } else { query };
            let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
        }
        for new in &telling.deliveries {
            let query = sqlx::query(
                "insert into deliveries (id, vault, channel, target, subject, body, made, attempts, next_try, lease_until, \
                 is_open, ended, outcome, error) select $1, key, $3, $4, $5, $6, $7, 0, $7, 0, 1, 0, '', '' \
                 from vaults where id = $2",
            )
            .bind(new.id.as_bytes().to_vec())
            .bind(new.vault.as_bytes().to_vec())
            .bind(new.channel.as_str())
            .bind(&new.target)
            .bind(&new.subject)
            .bind(&new.body)
            .bind(nanoseconds(now));
            query.execute(write.on()).await.map_err(DbError::sql(action))?;
        }
        write.commit().await?;
        Ok(true)
    }

    /// Deliveries to try now that nobody tries, at most `limit`.
    pub async fn deliveries_to_try(&self, now: Timestamp, limit: u32) -> Result<Vec<DeliveryRow>, DbError> {
        let action = "find what to deliver";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select deliveries.id as id, vaults.id as vault, channel, target, subject, body, made, attempts from deliveries \
             join vaults on vaults.key = deliveries.vault where is_open = 1 and next_try <= $1 and lease_until <= $1 \
             order by next_try, deliveries.key limit $2",
        )
        .bind(nanoseconds(now))
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let delivery = |row: &sqlx::any::AnyRow| {
            Ok(DeliveryRow {
                delivery: NewDelivery {
                    id: DeliveryId::from_bytes(row.array("id")?),
                    vault: VaultId::from_bytes(row.array("vault")?),
                    channel: row.parsed("channel")?,
                    target: row.text("target")?,
                    subject: row.text("subject")?,
                    body: row.text("body")?,
                },
                made: row.moment("made")?,
                attempts: row.size("attempts")?,
            })
        };
        rows.iter().map(delivery).collect()
    }

    /// Takes the lease of a delivery that was found; its number of attempts grows. `false`: another node was faster.
    pub async fn claim_delivery(&self, found: &DeliveryRow, now: Timestamp, until: Timestamp) -> Result<bool, DbError> {
        let action = "claim a delivery";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "update deliveries set lease_until = $4, attempts = attempts + 1 \
             where id = $1 and attempts = $2 and is_open = 1 and lease_until <= $3",
        )
        .bind(found.delivery.id.as_bytes().to_vec())
        .bind(number(found.attempts))
        .bind(nanoseconds(now))
        .bind(nanoseconds(until));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes how the attempt ended that this number stands for. One whose lease ran out, and that another node has taken
    /// over, changes nothing.
    pub async fn note_attempt(
        &self,
        id: DeliveryId,
        attempts: u64,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let action = "note how a delivery went";
        let mut write = self.write(action).await?;
        let (is_open, next_try, word, error) = match outcome {
            Outcome::Delivered => (0, now, "Delivered", ""),
            Outcome::Again(next, error) => (1, *next, "", error.as_str()),
            Outcome::GivenUp(error) => (0, now, "GivenUp", error.as_str()),
        };
        let query = sqlx::query(
            "update deliveries set lease_until = 0, is_open = $3, next_try = $4, outcome = $5, error = $6, ended = $7 \
             where id = $1 and attempts = $2 and is_open = 1",
        )
        .bind(id.as_bytes().to_vec())
        .bind(number(attempts))
        .bind(is_open)
        .bind(nanoseconds(next_try))
        .bind(word)
        .bind(error)
        .bind(if is_open == 0 { nanoseconds(now) } else { 0 });
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// Deletes deliveries that were over before that moment, at most `limit`; returns how many.
    pub async fn prune_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64, DbError> {
        let action = "forget old deliveries";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "delete from deliveries where key in \
             (select key from deliveries where is_open = 0 and ended < $1 order by ended limit $2)",
        )
        .bind(nanoseconds(before))
        .bind(i64::from(limit));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected())
    }
}

/// Has everything tried, and told, at the next look, after a clock that ran ahead was set back.
pub(crate) async fn plan_anew(connection: &mut AnyConnection, now: Timestamp) -> Result<(), DbError> {
    for text in [
        "update alert_events set due = $1 where due > $1",
        "update deliveries set next_try = $1, lease_until = 0 where is_open = 1 and (next_try > $1 or lease_until > $1)",
    ] {
        let done = sqlx::query(text).bind(nanoseconds(now)).execute(&mut *connection).await;
        done.map_err(DbError::sql("plan deliveries anew"))?;
    }
    Ok(())
}
