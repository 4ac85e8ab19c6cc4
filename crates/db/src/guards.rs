//! Resource guards, and the vaults that are under them.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{AlertKind, GuardName, GuardedOperation, Notice, ResourceGroupName, VaultId, VaultName};

use crate::alerts::{About, raise, resolve_vault};
use crate::column::{Columns, nanoseconds};
use crate::resource_groups::hold_resource_group;
use crate::vaults::lock_vault;
use crate::{Db, DbError};

/// A resource guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardRow {
    pub(crate) key: i64,
    /// The resource group that it lies in, as that is spelled.
    pub resource_group: ResourceGroupName,
    /// Its name, unique in the group without regard to case.
    pub name: GuardName,
    /// What it leaves alone.
    pub excepted: Vec<GuardedOperation>,
    /// When it was made.
    pub created: Timestamp,
    /// The vaults that are under it, by name.
    pub vaults: Vec<VaultName>,
}

impl GuardRow {
    /// Whether the operation needs a second person in the vaults that are under it.
    pub fn guards(&self, operation: GuardedOperation) -> bool {
        operation.is_mandatory() || !self.excepted.contains(&operation)
    }
}

/// What became of a wish to delete a guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardDeleted {
    /// It is gone, and so is what was asked of it.
    Deleted,
    /// These vaults are under it; nothing was changed.
    InUse(Vec<VaultName>),
    /// There is none.
    Absent,
}

/// What became of a wish to put a vault under a guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardSet {
    /// It is under it since then.
    Since(Timestamp),
    /// It is under this other one; nothing was changed.
    Other(GuardName),
    /// There is no such guard.
    Absent,
}

macro_rules! select_guards {
    ($rest:literal) => {
        concat!(
            "select guards.key as key, resource_groups.name as resource_group, guards.name as name, excepted, \
             guards.created as created from guards \
             join resource_groups on resource_groups.name_folded = guards.resource_group ",
            $rest
        )
    };
}

impl Db {
    /// Makes a guard. `false`: another one of the group has the name; nothing was changed. The resource group must be there:
    /// [`DbError::NoResourceGroup`].
    pub async fn insert_guard(
        &self,
        group: &ResourceGroupName,
        name: &GuardName,
        excepted: &[GuardedOperation],
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let action = "insert the resource guard";
        let mut write = self.write(action).await?;
        hold_resource_group(write.on(), group).await?;
        let excepted: Vec<&str> = excepted.iter().map(|operation| operation.as_str()).collect();
        let query = sqlx::query(
            "insert into guards (resource_group, name, name_folded, excepted, created) values ($1, $2, $3, $4, $5) \
             on conflict (resource_group, name_folded) do nothing",
        )
        .bind(group.folded())
        .bind(name.as_str())
        .bind(name.folded())
        .bind(excepted.join(","))
        .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// The guard of a group with this name, without regard to case.
    pub async fn guard(&self, group: &ResourceGroupName, name: &GuardName) -> Result<Option<GuardRow>, DbError> {
        let mut reader = self.read("find the resource guard").await?;
        find(&mut reader, group, name).await
    }

    /// The guards of a resource group, by name.
    pub async fn guards(&self, group: &ResourceGroupName) -> Result<Vec<GuardRow>, DbError> {
        let action = "list the resource guards";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_guards!(
            "where guards.resource_group = $1 order by guards.name_folded"
        ))
        .bind(group.folded());
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let mut guards = Vec::new();
        for row in rows {
            guards.push(with_vaults(&mut reader, &row).await?);
        }
        Ok(guards)
    }

    /// The guard that a vault is under, and since when.
    pub async fn guard_of(&self, vault: VaultId) -> Result<Option<(GuardRow, Timestamp)>, DbError> {
        let mut reader = self.read("find the vault's resource guard").await?;
        let key = self.vault_key(&mut reader, vault).await?;
        guard_of(&mut reader, key).await
    }

    /// Deletes a guard that no vault is under.
    pub async fn delete_guard(&self, group: &ResourceGroupName, name: &GuardName) -> Result<GuardDeleted, DbError> {
        let action = "delete the resource guard";
        let mut write = self.write(action).await?;
        hold(write.on(), group, name).await?;
        let Some(guard) = find(write.on(), group, name).await? else {
            return Ok(GuardDeleted::Absent);
        };
        if !guard.vaults.is_empty() {
            return Ok(GuardDeleted::InUse(guard.vaults));
        }
        for text in [
            "delete from approvals where guard = $1",
            "delete from guards where key = $1",
        ] {
            let done = sqlx::query(text).bind(guard.key).execute(write.on()).await;
            done.map_err(DbError::sql(action))?;
        }
        write.commit().await?;
        Ok(GuardDeleted::Deleted)
    }

    /// Puts a vault under a guard.
    pub async fn set_guard(
        &self,
        vault: VaultId,
        group: &ResourceGroupName,
        name: &GuardName,
        now: Timestamp,
    ) -> Result<GuardSet, DbError> {
        let action = "put the vault under the resource guard";
        let mut write = self.write(action).await?;
        let key = write.vault_key(vault).await?;
        lock_vault(write.on(), key).await?;
        hold(write.on(), group, name).await?;
        let Some(guard) = find(write.on(), group, name).await? else {
            return Ok(GuardSet::Absent);
        };
        if let Some((present, since)) = guard_of(write.on(), key).await? {
            return Ok(match present.key == guard.key {
                true => GuardSet::Since(since),
                false => GuardSet::Other(present.name),
            });
        }
        let query = sqlx::query("insert into vault_guards (vault, guard, since) values ($1, $2, $3)")
            .bind(key)
            .bind(guard.key)
            .bind(nanoseconds(now));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        resolve_vault(write.on(), key, &[AlertKind::GuardRemoved], now).await?;
        write.commit().await?;
        Ok(GuardSet::Since(now))
    }

    /// Takes the guard off a vault; the owners are told. `false`: it was under none.
    pub async fn remove_guard(&self, vault: VaultId, now: Timestamp) -> Result<bool, DbError> {
        let action = "take the resource guard off the vault";
        let mut write = self.write(action).await?;
        let key = write.vault_key(vault).await?;
        lock_vault(write.on(), key).await?;
        let Some((guard, _)) = guard_of(write.on(), key).await? else {
            return Ok(false);
        };
        let query = sqlx::query("delete from vault_guards where vault = $1").bind(key);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let notice = Notice::guard_removed(&guard.name, now);
        raise(write.on(), key, About::default(), &notice, now).await?;
        write.commit().await?;
        Ok(true)
    }
}

/// Keeps other transactions from deleting the guard, or from putting a vault under it, until this one ends.
async fn hold(connection: &mut AnyConnection, group: &ResourceGroupName, name: &GuardName) -> Result<(), DbError> {
    let query = sqlx::query("update guards set name = name where resource_group = $1 and name_folded = $2")
        .bind(group.folded())
        .bind(name.folded());
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("hold the resource guard"))
}

async fn find(
    connection: &mut AnyConnection,
    group: &ResourceGroupName,
    name: &GuardName,
) -> Result<Option<GuardRow>, DbError> {
    let query = sqlx::query(select_guards!(
        "where guards.resource_group = $1 and guards.name_folded = $2"
    ))
    .bind(group.folded())
    .bind(name.folded());
    let row = query.fetch_optional(&mut *connection).await;
    match row.map_err(DbError::sql("find the resource guard"))? {
        Some(row) => with_vaults(connection, &row).await.map(Some),
        None => Ok(None),
    }
}

/// The guard that the vault of this key is under, and since when.
pub(crate) async fn guard_of(
    connection: &mut AnyConnection,
    vault: i64,
) -> Result<Option<(GuardRow, Timestamp)>, DbError> {
    let action = "find the vault's resource guard";
    let query = sqlx::query("select guard, since from vault_guards where vault = $1").bind(vault);
    let row = query
        .fetch_optional(&mut *connection)
        .await
        .map_err(DbError::sql(action))?;
    let Some(row) = row else { return Ok(None) };
    let query = sqlx::query(select_guards!("where guards.key = $1")).bind(row.number("guard")?);
    let guard = query.fetch_one(&mut *connection).await.map_err(DbError::sql(action))?;
    Ok(Some((with_vaults(connection, &guard).await?, row.moment("since")?)))
}

async fn with_vaults(connection: &mut AnyConnection, row: &AnyRow) -> Result<GuardRow, DbError> {
    let key = row.number("key")?;
    let query = sqlx::query(
        "select name from vaults join vault_guards on vault_guards.vault = vaults.key where guard = $1 order by name_folded",
    )
    .bind(key);
    let vaults = query.fetch_all(connection).await;
    let vaults = vaults.map_err(DbError::sql("list the vaults under the resource guard"))?;
    let excepted = row.text("excepted")?;
    // What a later version guards, this one does not know to leave alone.
    let excepted = excepted.split(',').filter_map(|word| word.parse().ok()).collect();
    Ok(GuardRow {
        key,
        resource_group: row.parsed("resource_group")?,
        name: row.parsed("name")?,
        excepted,
        created: row.moment("created")?,
        vaults: vaults.iter().map(|row| row.parsed("name")).collect::<Result<_, _>>()?,
    })
}
