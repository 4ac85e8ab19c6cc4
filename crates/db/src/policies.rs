//! Policies. What a change of one does to its items and their recovery points happens in the same transaction.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::policy::{Owed, Policy, Retention, Tag, Tags, Workload, promises};
use strongroom_model::{Notice, PolicyName, VaultId};

use crate::alerts::{About, raise};
use crate::column::{Columns, NEVER, due_or_never, nanoseconds};
use crate::expiry::kept_points;
use crate::{Db, DbError};

/// A policy of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    /// Its vault.
    pub vault: VaultId,
    /// Its name, unique in the vault without regard to case.
    pub name: PolicyName,
    /// What it is for.
    pub workload: Workload,
    /// Its rules.
    pub policy: Policy,
    /// Grows with each change.
    pub version: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed, the last time.
    pub changed: Timestamp,
    /// How many items are under it. One that is soft-deleted or stopped is not; it only remembers what it was under.
    pub items: u64,
}

/// A policy to make.
#[derive(Clone, Copy, Debug)]
pub struct NewPolicy<'a> {
    /// Its name.
    pub name: &'a PolicyName,
    /// What it is for.
    pub workload: Workload,
    /// Its rules, which the caller has checked.
    pub policy: &'a Policy,
    /// Now.
    pub now: Timestamp,
}

/// What became of a wish to change or delete a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyChanged {
    /// It was done.
    Done,
    /// There is none of that name.
    Absent,
    /// Somebody else changed it: it has this version now.
    OtherVersion(u64),
    /// So many items are under it; it was not deleted.
    InUse(u64),
    /// So many items that are stopped or soft-deleted are bound by it; it was not deleted.
    Remembered(u64),
}

macro_rules! select_policies {
    ($rest:literal) => {
        concat!(
            "select policies.key as key, name, workload, rules, version, created, changed, \
             (select count(*) from items where items.policy = policies.key and items.deleted = 0 \
             and items.state <> 'ProtectionStopped') as items \
             from policies where vault = $1 ",
            $rest
        )
    };
}

impl Db {
    /// Inserts a policy. `false`: another one of the vault has the name (without regard to case).
    pub async fn insert_policy(&self, vault: VaultId, new: NewPolicy<'_>) -> Result<bool, DbError> {
        let mut write = self.write("insert the policy").await?;
        let vault = write.vault_key(vault).await?;
        let inserted = insert(write.on(), vault, new).await?;
        write.commit().await?;
        Ok(inserted)
    }

    /// The policies of a vault, by name.
    pub async fn policies(&self, vault: VaultId) -> Result<Vec<PolicyRow>, DbError> {
        let action = "list the policies";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query(select_policies!("order by name_folded")).bind(key);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(|row| policy_row(vault, row)).collect()
    }

    /// The policy of this name, without regard to case.
    pub async fn policy(&self, vault: VaultId, name: &PolicyName) -> Result<Option<PolicyRow>, DbError> {
        let mut reader = self.read("find the policy").await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let found = find(&mut reader, key, vault, name).await?;
        Ok(found.map(|(_, row)| row))
    }

    /// Gives a policy other rules, if it still has `version` (if one is given). Its items are due by the new rules, keep
    /// their debts, and old points of rules that go keep what they were promised.
    pub async fn change_policy(
        &self,
        vault: VaultId,
        new: NewPolicy<'_>,
        version: Option<u64>,
    ) -> Result<PolicyChanged, DbError> {
        let mut write = self.write("change the policy").await?;
        let vault_key = write.vault_key(vault).await?;
        lock(write.on(), vault_key, new.name).await?;
        let Some((key, before)) = find(write.on(), vault_key, vault, new.name).await? else {
            return Ok(PolicyChanged::Absent);
        };
        if version.is_some_and(|version| version != before.version) {
            return Ok(PolicyChanged::OtherVersion(before.version));
        }
        replace(write.on(), key, new).await?;
        settle_items(write.on(), key, &before.policy, new).await?;
        let lowered = before.policy.lowered_by(new.policy);
        if !lowered.is_empty() {
            let notice = Notice::policy_shortened(&before.name, &lowered, (before.version + 1).to_string());
            raise(write.on(), vault_key, About::default(), &notice, new.now).await?;
        }
        write.commit().await?;
        Ok(PolicyChanged::Done)
    }

    /// Deletes a policy that no item is under, and, if that `binds`, that none remembers. Points of items that were under it
    /// keep what it promised them, but for the daily ones.
    pub async fn delete_policy(
        &self,
        vault: VaultId,
        name: &PolicyName,
        version: Option<u64>,
        binds: bool,
    ) -> Result<PolicyChanged, DbError> {
        let action = "delete the policy";
        let mut write = self.write(action).await?;
        let vault_key = write.vault_key(vault).await?;
        lock(write.on(), vault_key, name).await?;
        let Some((key, before)) = find(write.on(), vault_key, vault, name).await? else {
            return Ok(PolicyChanged::Absent);
        };
        if version.is_some_and(|version| version != before.version) {
            return Ok(PolicyChanged::OtherVersion(before.version));
        }
        if before.items > 0 {
            return Ok(PolicyChanged::InUse(before.items));
        }
        if binds {
            let query = sqlx::query("select count(*) as remembering from items where policy = $1").bind(key);
            let row = query.fetch_one(write.on()).await.map_err(DbError::sql(action))?;
            let remembering = row.size("remembering")?;
            if remembering > 0 {
                return Ok(PolicyChanged::Remembered(remembering));
            }
        }
        leave(write.on(), key, &before.policy).await?;
        let query = sqlx::query("delete from policies where key = $1").bind(key);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(PolicyChanged::Done)
    }
}

pub(crate) async fn insert(connection: &mut AnyConnection, vault: i64, new: NewPolicy<'_>) -> Result<bool, DbError> {
    let query = sqlx::query(
        "insert into policies (vault, name, name_folded, workload, rules, version, created, changed) \
         values ($1, $2, $3, $4, $5, 1, $6, $6) on conflict (vault, name_folded) do nothing",
    )
    .bind(vault)
    .bind(new.name.as_str())
    .bind(new.name.folded())
    .bind(new.workload.as_str())
    .bind(rules(new.policy))
    .bind(nanoseconds(new.now));
    let done = (query.execute(connection).await).map_err(DbError::sql("insert the policy"))?;
    Ok(done.rows_affected() == 1)
}

/// Keeps other transactions from changing the policy, or putting items under it, until this one ends.
pub(crate) async fn lock(connection: &mut AnyConnection, vault: i64, name: &PolicyName) -> Result<(), DbError> {
    let query = sqlx::query("update policies set version = version where vault = $1 and name_folded = $2")
        .bind(vault)
        .bind(name.folded());
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("lock the policy"))
}

/// The policy of this name, and its small key.
pub(crate) async fn find(
    connection: &mut AnyConnection,
    key: i64,
    vault: VaultId,
    name: &PolicyName,
) -> Result<Option<(i64, PolicyRow)>, DbError> {
    let query = sqlx::query(select_policies!("and name_folded = $2"))
        .bind(key)
        .bind(name.folded());
    let row = (query.fetch_optional(connection).await).map_err(DbError::sql("find the policy"))?;
    row.map(|row| Ok((row.number("key")?, policy_row(vault, &row)?)))
        .transpose()
}

async fn replace(connection: &mut AnyConnection, key: i64, new: NewPolicy<'_>) -> Result<(), DbError> {
    let query = sqlx::query("update policies set rules = $2, changed = $3, version = version + 1 where key = $1")
        .bind(key)
        .bind(rules(new.policy))
        .bind(nanoseconds(new.now));
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("change the policy"))
}

/// Brings everything under a policy from its old rules to the new ones.
async fn settle_items(
    connection: &mut AnyConnection,
    policy: i64,
    before: &Policy,
    new: NewPolicy<'_>,
) -> Result<(), DbError> {
    let action = "settle the items of the policy";
    let query = sqlx::query("select key, owed_until, owed_tags, next_due from items where policy = $1 order by key")
        .bind(policy);
    let rows = query.fetch_all(&mut *connection).await.map_err(DbError::sql(action))?;
    let next_due = due_or_never(new.policy.schedule.next(&new.policy.zone, new.now));
    for row in rows {
        let item = row.number("key")?;
        let owed = owed_of(&row)?.at(before, new.now);
        // Never: its schedule is not followed.
        let next_due = match row.number("next_due")? {
            NEVER => NEVER,
            _ => next_due,
        };
        let query = sqlx::query(
            "update items set owed_until = $2, owed_tags = $3, next_due = $4, next_look = 0, version = version + 1 \
             where key = $1",
        )
        .bind(item)
        .bind(nanoseconds(owed.until))
        .bind(i64::from(owed.tags.bits()))
        .bind(next_due);
        query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
        keep_promises(&mut *connection, item, before, new.policy).await?;
    }
    Ok(())
}

/// Takes a policy from those that remember it.
async fn leave(connection: &mut AnyConnection, policy: i64, before: &Policy) -> Result<(), DbError> {
    let action = "take the policy from stopped items";
    let nothing = Policy {
        retention: Retention::default(),
        ..before.clone()
    };
    let query = sqlx::query("select key from items where policy = $1 order by key").bind(policy);
    let rows = query.fetch_all(&mut *connection).await.map_err(DbError::sql(action))?;
    for row in rows {
        keep_promises(&mut *connection, row.number("key")?, before, &nothing).await?;
    }
    let query = sqlx::query("update items set policy = 0 where policy = $1").bind(policy);
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql(action))
}

/// Gives the item's points the dates that rules promised which `next` does not have any more.
pub(crate) async fn keep_promises(
    connection: &mut AnyConnection,
    item: i64,
    before: &Policy,
    next: &Policy,
) -> Result<(), DbError> {
    let goes = |tag: &Tag| before.retention.keep(*tag).is_some() && next.retention.keep(*tag).is_none();
    if !Tag::LONG_TERM.iter().any(goes) {
        return Ok(());
    }
    let points = kept_points(&mut *connection, item).await?;
    let promised = promises(&points, before, next);
    for (point, until) in points.iter().zip(promised) {
        let Some(until) = until else { continue };
        let query = sqlx::query("update points set asked_until = $3 where item = $1 and id = $2")
            .bind(item)
            .bind(&point.point.as_bytes()[..])
            .bind(nanoseconds(until));
        let done = query.execute(&mut *connection).await;
        done.map(drop).map_err(DbError::sql("keep what was promised"))?;
    }
    Ok(())
}

pub(crate) fn owed_of(row: &AnyRow) -> Result<Owed, DbError> {
    let bits = u8::try_from(row.number("owed_tags")?).map_err(|_| DbError::Value("owed_tags"))?;
    Ok(Owed {
        until: row.moment("owed_until")?,
        tags: Tags::from_bits(bits),
    })
}

/// Rules as text.
fn rules(policy: &Policy) -> String {
    serde_json::to_string(policy).expect("plain fields always serialise")
}

pub(crate) fn parse_rules(row: &AnyRow) -> Result<Policy, DbError> {
    serde_json::from_str(&row.text("rules")?).map_err(|_| DbError::Value("rules"))
}

fn policy_row(vault: VaultId, row: &AnyRow) -> Result<PolicyRow, DbError> {
    Ok(PolicyRow {
        vault,
        name: row.parsed("name")?,
        workload: row.parsed("workload")?,
        policy: parse_rules(row)?,
        version: row.size("version")?,
        created: row.moment("created")?,
        changed: row.moment("changed")?,
        items: row.size("items")?,
    })
}
