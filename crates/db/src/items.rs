//! Protected items: their state, their policy, and what is due.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::policy::{Owed, Policy, Workload};
use strongroom_model::{
    AlertKind, ContainerId, ItemId, ItemState, JobState, MachineName, Notice, PointId, PolicyName, RpoBasis, VaultId,
    VaultSettings,
};

use crate::alerts::{raise, resolve_item};
use crate::causes::{of_item, place_of};
use crate::column::{Columns, due_or_never, moment_or_zero, nanoseconds};
use crate::expiry::{AgingItem, aging};
use crate::policies::{self, keep_promises, owed_of, parse_rules};
use crate::vaults::lock_vault_of;
use crate::{Db, DbError};

/// A protected item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRow {
    /// Its id.
    pub id: ItemId,
    /// Its vault.
    pub vault: VaultId,
    /// The machine that it is of.
    pub container: ContainerId,
    /// That machine's name.
    pub name: MachineName,
    /// When the machine was unregistered, if it was.
    pub unregistered: Option<Timestamp>,
    /// What kind of thing it is.
    pub workload: Workload,
    /// Its state.
    pub state: ItemState,
    /// The policy that it is under; or was, if it is stopped or soft-deleted.
    pub policy: Option<PolicyName>,
    /// Grows with each change that a person makes.
    pub version: u64,
    /// The moment of its next scheduled backup.
    pub next_due: Option<Timestamp>,
    /// How its last backup ended, and when.
    pub last_backup: Option<(JobState, Timestamp)>,
    /// When it was soft-deleted, if it is.
    pub deleted: Option<Timestamp>,
    /// When it goes for good, if it is soft-deleted.
    pub purge_at: Option<Timestamp>,
    /// Its newest recovery point.
    pub latest_point: Option<PointId>,
    /// What it owes.
    pub owed: Owed,
    /// What tells how old its last good backup may be; none while nothing is scheduled.
    pub rpo: Option<RpoBasis>,
    /// The generation of its machine's settings; 0: none are kept.
    pub settings: u64,
}

/// Which items to list.
#[derive(Clone, Debug, Default)]
pub struct ItemQuery {
    /// Those that come after this place, as [`Db::items`] tells it: a folded name, or more.
    pub after: String,
    /// At most so many.
    pub limit: u32,
    /// Only those under this policy.
    pub policy: Option<PolicyName>,
    /// Only those in this state.
    pub state: Option<ItemState>,
    /// Only those that are soft-deleted, or only those that are not.
    pub deleted: Option<bool>,
}

/// What decides about a change of an item: all of it as it is in the transaction that makes the change, and stays until
/// that ends.
#[derive(Clone, Copy, Debug)]
pub struct ItemSeen<'a> {
    /// The item.
    pub item: &'a ItemRow,
    /// What decides about its points, with the policy that it is or was under.
    pub aging: &'a AgingItem,
    /// The policy that it may come under.
    pub given: Option<&'a Policy>,
    /// What guards its vault's data.
    pub settings: &'a VaultSettings,
}

/// What a change makes of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemNext {
    /// Its state.
    pub state: ItemState,
    /// What becomes of its policy.
    pub policy: NextPolicy,
    /// When it was soft-deleted and when it goes, if it is.
    pub deleted: Option<(Timestamp, Timestamp)>,
}

/// What becomes of an item's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextPolicy {
    /// It stays the same.
    Same,
    /// The one that [`Db::change_item`] was called with.
    Given,
    /// None.
    None,
}

macro_rules! select_items {
    ($rest:literal) => {
        concat!(
            "select items.key as key, items.id as id, vaults.id as vault, containers.id as container, \
             containers.name as name, containers.name_folded as place, unregistered, items.workload as workload, state, coalesce(policies.name, '') as policy, \
             coalesce(policies.rules, '') as rules, items.version as version, next_due, last_backup, last_backup_at, \
             items.deleted as deleted, items.purge_at as purge_at, latest_point, owed_until, owed_tags, rpo_from, \
             coalesce(machine_settings.generation, 0) as settings \
             from items join containers on containers.item = items.key join vaults on vaults.key = items.vault \
             left join policies on policies.key = items.policy \
             left join machine_settings on machine_settings.item = items.key ",
            $rest
        )
    };
}

impl Db {
    /// Items of a vault by name, as far as the query goes, and for the next page what to say as [`ItemQuery::after`].
    pub async fn items(&self, vault: VaultId, query: &ItemQuery) -> Result<(Vec<ItemRow>, Option<String>), DbError> {
        let action = "list the items";
        let limit = query.limit as usize;
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let deleted = query.deleted.map_or(-1, i64::from);
        let query = sqlx::query(select_items!(
            "where containers.vault = $1 and containers.name_folded > $2 \
             and ($3 = '' or policies.name_folded = $3) and ($4 = '' or state = $4) \
             and ($5 < 0 or ($5 = 0 and items.deleted = 0) or ($5 = 1 and items.deleted > 0)) \
             order by containers.name_folded limit $6"
        ))
        .bind(key)
        .bind(query.after.clone())
        .bind(query.policy.as_ref().map_or(String::new(), PolicyName::folded))
        .bind(query.state.map_or("", ItemState::as_str))
        .bind(deleted)
        .bind(i64::from(query.limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let next = match rows.last() {
            Some(last) if rows.len() == limit => Some(last.text("place")?),
            _ => None,
        };
        let items: Result<Vec<_>, _> = rows.iter().map(item_row).collect();
        Ok((items?, next))
    }

    /// The item with this id.
    pub async fn item(&self, id: ItemId) -> Result<Option<ItemRow>, DbError> {
        let mut reader = self.read("find the item").await?;
        let found = find(&mut reader, id).await?;
        Ok(found.map(|(_, item, _)| item))
    }

    /// The item of the registered machine with this name, without regard to case.
    pub async fn item_by_name(&self, vault: VaultId, name: &MachineName) -> Result<Option<ItemRow>, DbError> {
        let action = "find the item by name";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query(select_items!(
            "where containers.vault = $1 and containers.name_folded = $2"
        ))
        .bind(key)
        .bind(name.folded());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(item_row).transpose()
    }

    /// At most `limit` items of machines that had this name, without regard to case, until they were unregistered.
    pub async fn items_left_by(&self, vault: VaultId, name: &MachineName, limit: u32) -> Result<Vec<ItemRow>, DbError> {
        let action = "find the items of an unregistered machine";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query(select_items!(
            "where containers.vault = $1 and unregistered > 0 and lower(containers.name) = $2 limit $3"
        ))
        .bind(key)
        .bind(name.folded())
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(item_row).collect()
    }

    /// Changes an item as `decide` says, which sees it as it is. `given` is a policy of its vault that it may come under. Its debts, its next backup, what its points were promised, and alerts follow.
    ///
    /// `Ok(None)`: there is no such item, or no such policy.
    pub async fn change_item<E: Send>(
        &self,
        id: ItemId,
        given: Option<&PolicyName>,
        now: Timestamp,
        decide: impl FnOnce(&ItemSeen<'_>) -> Result<ItemNext, E> + Send,
    ) -> Result<Option<Result<ItemRow, E>>, DbError> {
        let mut write = self.write("change the item").await?;
        // The vault and the policy first: whoever changes one of them locks it before its items.
        let Some((key, vault, settings)) = lock_vault_of(write.on(), id).await? else {
            return Ok(None);
        };
        let given = match given {
            None => None,
            Some(name) => {
                policies::lock(write.on(), key, name).await?;
                match policies::find(write.on(), key, vault, name).await? {
                    None => return Ok(None),
                    Some((key, row)) => Some((key, row.policy)),
                }
            }
        };
        lock(write.on(), id).await?;
        let (Some(found), Some((_, aging))) = (find(write.on(), id).await?, aging(write.on(), id).await?) else {
            return Ok(None);
        };
        let seen = ItemSeen {
            item: &found.1,
            aging: &aging,
            given: given.as_ref().map(|(_, policy)| policy),
            settings: &settings,
        };
        let next = match decide(&seen) {
            Ok(next) => next,
            Err(error) => return Ok(Some(Err(error))),
        };
        change(write.on(), &found, given.as_ref(), &next, now).await?;
        let changed = find(write.on(), id).await?;
        write.commit().await?;
        Ok(changed.map(|(_, item, _)| Ok(item)))
    }

    /// Soft-deleted items whose time has come, the longest due first: but for the first `skip`, at most `limit`.
    pub async fn items_to_purge(&self, now: Timestamp, skip: u32, limit: u32) -> Result<Vec<ItemRow>, DbError> {
        let action = "find what is to be purged";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_items!(
            "where items.purge_at <= $1 and items.deleted > 0 and vaults.deleted = 0 order by items.purge_at, items.key \
             limit $2 offset $3"
        ))
        .bind(nanoseconds(now))
        .bind(i64::from(limit))
        .bind(i64::from(skip));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(item_row).collect()
    }

    /// Deletes a soft-deleted item whose time has come, with its recovery points and its machine's registration.
    /// `false`: it has not, or somebody brought it back.
    pub async fn purge_item(&self, id: ItemId, now: Timestamp) -> Result<bool, DbError> {
        let action = "purge the item";
        let mut write = self.write(action).await?;
        lock(write.on(), id).await?;
        let query = sqlx::query("select key from items where id = $1 and deleted > 0 and purge_at <= $2")
            .bind(id.as_bytes().to_vec())
            .bind(nanoseconds(now));
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let Some(row) = row else { return Ok(false) };
        let key = row.number("key")?;
        if let Some((vault, name)) = place_of(write.on(), id).await? {
            resolve_item(write.on(), id, AlertKind::ENDED_BY_STOP, now).await?;
            resolve_item(write.on(), id, &[AlertKind::UpcomingPurge], now).await?;
            raise(write.on(), vault, of_item(id), &Notice::purged(&name, now), now).await?;
        }
        delete_rows(write.on(), key).await?;
        write.commit().await?;
        Ok(true)
    }
}

/// Deletes an item with its recovery points and its machine.
pub(crate) async fn delete_rows(connection: &mut AnyConnection, key: i64) -> Result<(), DbError> {
    for text in [
        "delete from sessions where container in (select key from containers where item = $1)",
        "delete from points where item = $1",
        "delete from machine_settings where item = $1",
        "delete from key_set_members where container in (select key from containers where item = $1)",
        // A key set that others use goes on; one that nobody is left to use goes too.
        "update key_sets set added_by = (select min(container) from key_set_members as member \
             where member.vault = key_sets.vault and member.key_set = key_sets.id) \
             where added_by in (select key from containers where item = $1) \
             and exists (select 1 from key_set_members as member \
             where member.vault = key_sets.vault and member.key_set = key_sets.id)",
        "delete from key_sets where added_by in (select key from containers where item = $1)",
        "delete from containers where item = $1",
        "delete from items where key = $1",
    ] {
        let done = sqlx::query(text).bind(key).execute(&mut *connection).await;
        done.map_err(DbError::sql("delete the item"))?;
    }
    Ok(())
}

/// Keeps other transactions from changing the item until this one ends.
pub(crate) async fn lock(connection: &mut AnyConnection, id: ItemId) -> Result<(), DbError> {
    let query = sqlx::query("update items set version = version where id = $1").bind(id.as_bytes().to_vec());
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("lock the item"))
}

/// An item of a vault that is not soft-deleted, with its small key and the policy that it is or was under.
pub(crate) type Found = (i64, ItemRow, Option<Policy>);

pub(crate) async fn find(connection: &mut AnyConnection, id: ItemId) -> Result<Option<Found>, DbError> {
    let query = sqlx::query(select_items!("where items.id = $1 and vaults.deleted = 0")).bind(id.as_bytes().to_vec());
    let row = (query.fetch_optional(connection).await).map_err(DbError::sql("find the item"))?;
    let Some(row) = row else { return Ok(None) };
    let policy = match row.text("rules")?.is_empty() {
        true => None,
        false => Some(parse_rules(&row)?),
    };
    Ok(Some((row.number("key")?, item_row(&row)?, policy)))
}

/// Changes an item, with all that follows from it.
pub(crate) async fn change(
    connection: &mut AnyConnection,
    (key, item, present): &Found,
    given: Option<&(i64, Policy)>,
    next: &ItemNext,
    now: Timestamp,
) -> Result<(), DbError> {
    settle(&mut *connection, (*key, item, present.as_ref()), given, next, now).await?;
    let given = given.map(|(_, policy)| policy);
    alert(connection, (item, present.as_ref()), given, next, now).await
}

/// Writes what a change makes of an item, and what follows from it.
async fn settle(
    connection: &mut AnyConnection,
    (key, item, present): (i64, &ItemRow, Option<&Policy>),
    given: Option<&(i64, Policy)>,
    next: &ItemNext,
    now: Timestamp,
) -> Result<(), DbError> {
    let policy = match next.policy {
        NextPolicy::Same => present,
        NextPolicy::Given => given.map(|(_, policy)| policy),
        NextPolicy::None => None,
    };
    let was_scheduled = item.state.is_scheduled() && item.deleted.is_none();
    let is_scheduled = next.state.is_scheduled() && next.deleted.is_none();
    let owed = match present {
        Some(present) if was_scheduled => item.owed.at(present, now),
        // Nothing was wanted while nothing was scheduled.
        _ => Owed::nothing(now),
    };
    let due = policy.filter(|_| is_scheduled);
    let due = due.and_then(|policy| policy.schedule.next(&policy.zone, now));
    if let (NextPolicy::Given, Some(before), Some(after)) = (next.policy, present, policy) {
        keep_promises(&mut *connection, key, before, after).await?;
    }
    let given_key = given.map_or(0, |(key, _)| *key);
    let query = sqlx::query(
        "update items set state = $2, owed_until = $3, owed_tags = $4, next_due = $5, next_look = 0, deleted = $6, \
         purge_at = $7, version = version + 1, rpo_from = (case $10 when 0 then rpo_from else $10 end), \
         policy = (case $8 when 0 then policy when 1 then $9 else 0 end) where key = $1",
    )
    .bind(key)
    .bind(next.state.as_str())
    .bind(nanoseconds(owed.until))
    .bind(i64::from(owed.tags.bits()))
    .bind(due_or_never(due))
    .bind(moment_or_zero(next.deleted.map(|(deleted, _)| deleted)))
    .bind(due_or_never(next.deleted.map(|(_, purge)| purge)))
    .bind(next.policy as i64)
    .bind(given_key)
    .bind(moment_or_zero((is_scheduled && !was_scheduled).then_some(now)));
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("change the item"))
}

/// What a change of an item raises and resolves.
async fn alert(
    connection: &mut AnyConnection,
    (item, present): (&ItemRow, Option<&Policy>),
    given: Option<&Policy>,
    next: &ItemNext,
    now: Timestamp,
) -> Result<(), DbError> {
    let is_scheduled = next.state.is_scheduled() && next.deleted.is_none();
    if !is_scheduled {
        resolve_item(&mut *connection, item.id, AlertKind::ENDED_BY_STOP, now).await?;
    }
    let mut notices = Vec::new();
    match (item.deleted, next.deleted) {
        (None, Some((_, purge))) => notices.push(Notice::data_deleted(&item.name, purge, now)),
        (Some(_), None) => {
            let ended = [AlertKind::DeleteBackupData, AlertKind::UpcomingPurge];
            resolve_item(&mut *connection, item.id, &ended, now).await?;
        }
        _ => {}
    }
    if let (NextPolicy::Given, Some(before), Some(after)) = (next.policy, present, given) {
        let lowered = before.lowered_by(after);
        if !lowered.is_empty() {
            let cause = (item.version + 1).to_string();
            notices.push(Notice::protection_shortened(&item.name, &lowered, cause));
        }
    }
    if notices.is_empty() {
        return Ok(());
    }
    let Some((vault, _)) = place_of(&mut *connection, item.id).await? else {
        return Ok(());
    };
    for notice in notices {
        raise(&mut *connection, vault, of_item(item.id), &notice, now).await?;
    }
    Ok(())
}

fn rpo_of(row: &AnyRow, state: ItemState) -> Result<Option<RpoBasis>, DbError> {
    let is_scheduled = state.is_scheduled() && row.number("deleted")? == 0;
    if !is_scheduled || row.text("rules")?.is_empty() {
        return Ok(None);
    }
    Ok(Some(RpoBasis {
        from: row.moment("rpo_from")?,
        hours_between: parse_rules(row)?.schedule.hours_between(),
    }))
}

fn item_row(row: &AnyRow) -> Result<ItemRow, DbError> {
    let last_state = row.text("last_backup")?;
    let last_backup = match row.moment_if_any("last_backup_at")? {
        Some(at) if !last_state.is_empty() => Some((row.parsed("last_backup")?, at)),
        _ => None,
    };
    let policy = row.text("policy")?;
    let state = row.parsed("state")?;
    Ok(ItemRow {
        id: ItemId::from_bytes(row.array("id")?),
        vault: VaultId::from_bytes(row.array("vault")?),
        container: ContainerId::from_bytes(row.array("container")?),
        name: row.parsed("name")?,
        unregistered: row.moment_if_any("unregistered")?,
        workload: row.parsed("workload")?,
        state,
        policy: if policy.is_empty() {
            None
        } else {
            Some(row.parsed("policy")?)
        },
        version: row.size("version")?,
        next_due: row.moment_if_any("next_due")?,
        last_backup,
        deleted: row.moment_if_any("deleted")?,
        purge_at: row.moment_if_any("purge_at")?,
        latest_point: row.optional("latest_point")?.map(PointId::from_bytes),
        owed: owed_of(row)?,
        rpo: rpo_of(row, state)?,
        settings: row.size("settings")?,
    })
}
