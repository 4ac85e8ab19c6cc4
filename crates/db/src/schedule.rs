//! Which items are due, and the step that makes a job of that, once, however many nodes look.

use jiff::Timestamp;
use sqlx::AnyConnection;
use strongroom_model::policy::Policy;
use strongroom_model::{ContainerId, ItemId, JobId, JobState, Operation, Trigger, VaultId};

use crate::causes;
use crate::column::{Columns, NEVER, due_or_never, nanoseconds};
use crate::jobs::{self, NewJob};
use crate::policies::parse_rules;
use crate::{Db, DbError};

/// An item whose moment has come.
#[derive(Clone, Debug)]
pub struct DueItem {
    /// The item.
    pub item: ItemId,
    /// Its vault.
    pub vault: VaultId,
    /// The machine that is to do it.
    pub container: ContainerId,
    /// The moment that has come.
    pub due: Timestamp,
    /// Its policy.
    pub policy: Policy,
}

/// What became of a due backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatched {
    /// A job was made.
    Made,
    /// One that waits for the machine stands for this moment too: it missed one.
    Waiting,
    /// One is under way: the next will take over what this one would have been.
    Busy,
    /// Another node was faster, or the item changed.
    Gone,
}

impl Db {
    /// Items whose moment has come, the longest overdue first, at most `limit`.
    pub async fn due_items(&self, now: Timestamp, limit: u32) -> Result<Vec<DueItem>, DbError> {
        let action = "find due backups";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select items.id as item, vaults.id as vault, containers.id as container, next_due, rules from items \
             join containers on containers.item = items.key join vaults on vaults.key = items.vault \
             join policies on policies.key = items.policy where next_due <= $1 order by next_due limit $2",
        )
        .bind(nanoseconds(now))
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let due = |row: &sqlx::any::AnyRow| {
            Ok(DueItem {
                item: ItemId::from_bytes(row.array("item")?),
                vault: VaultId::from_bytes(row.array("vault")?),
                container: ContainerId::from_bytes(row.array("container")?),
                due: row.moment("next_due")?,
                policy: parse_rules(row)?,
            })
        };
        rows.iter().map(due).collect()
    }

    /// Moves items on to their next moments and makes jobs of the present ones, `due` being for each the last moment that
    /// has come: several that were missed are one job. Of all nodes that look, one finds each item as it was.
    pub async fn dispatch(&self, items: &[(DueItem, JobId)], now: Timestamp) -> Result<Vec<Dispatched>, DbError> {
        let mut write = self.write("make jobs of due backups").await?;
        // In the same order on every node: none waits for another that waits for it.
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|index| items[*index].0.item);
        let mut outcomes = vec![Dispatched::Gone; items.len()];
        for index in order {
            let (item, job) = &items[index];
            outcomes[index] = one(write.on(), item, *job, now).await?;
        }
        write.commit().await?;
        Ok(outcomes)
    }
}

/// Plans all schedules from `now` on, after a clock that ran ahead was set back: nothing waits, or is owed, for a future that
/// does not come.
pub(crate) async fn plan_anew(connection: &mut AnyConnection, now: Timestamp) -> Result<(), DbError> {
    let action = "plan all schedules anew";
    let query = sqlx::query(
        "select items.key as key, rules from items join policies on policies.key = items.policy \
             where next_due > $1 and next_due < $2 order by items.id",
    )
    .bind(nanoseconds(now))
    .bind(NEVER);
    let rows = query.fetch_all(&mut *connection).await.map_err(DbError::sql(action))?;
    for row in rows {
        let policy = parse_rules(&row)?;
        let query = sqlx::query("update items set next_due = $2 where key = $1")
            .bind(row.number("key")?)
            .bind(due_or_never(policy.schedule.next(&policy.zone, now)));
        query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    }
    let query = sqlx::query("update items set owed_until = $1 where owed_until > $1").bind(nanoseconds(now));
    query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    Ok(())
}

async fn one(
    connection: &mut AnyConnection,
    item: &DueItem,
    job: JobId,
    now: Timestamp,
) -> Result<Dispatched, DbError> {
    let action = "move the item on";
    let DueItem {
        due: expected, policy, ..
    } = item;
    let due = policy
        .schedule
        .last(&policy.zone, now)
        .unwrap_or(*expected)
        .max(*expected);
    let next = policy.schedule.next(&policy.zone, now);
    let query = sqlx::query("update items set next_due = $3 where id = $1 and next_due = $2")
        .bind(item.item.as_bytes().to_vec())
        .bind(nanoseconds(*expected))
        .bind(due_or_never(next));
    let done = query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    if done.rows_affected() == 0 {
        return Ok(Dispatched::Gone);
    }
    let new = NewJob {
        id: job,
        item: item.item,
        operation: Operation::Backup,
        trigger: Trigger::Schedule,
        state: JobState::Queued,
        due: Some(due),
        keep_until: None,
        now,
    };
    if jobs::insert(&mut *connection, new).await? {
        return Ok(Dispatched::Made);
    }
    // It waits for a machine that is away. When that returns, it makes the point of the newest moment; the rest is owed.
    let query = sqlx::query("select due from jobs where item = $1 and operation = 'Backup' and state = 'Queued'")
        .bind(item.item.as_bytes().to_vec());
    let waiting = query
        .fetch_optional(&mut *connection)
        .await
        .map_err(DbError::sql(action))?;
    let waited_for = match waiting {
        Some(row) => row.moment_if_any("due")?.unwrap_or(due),
        None => due,
    };
    let query = sqlx::query(
        "update jobs set due = (case trigger_kind when 'Schedule' then $2 else due end) \
         where item = $1 and operation = 'Backup' and state = 'Queued'",
    )
    .bind(item.item.as_bytes().to_vec())
    .bind(nanoseconds(due));
    let done = query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    match done.rows_affected() {
        0 => {
            causes::found_busy(connection, (item.item, due), now).await?;
            Ok(Dispatched::Busy)
        }
        _ => {
            causes::found_waiting(connection, (item.item, waited_for), now).await?;
            Ok(Dispatched::Waiting)
        }
    }
}
