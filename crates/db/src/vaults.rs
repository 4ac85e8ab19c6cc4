//! Vaults.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{
    AlertKind, Digest, ItemId, Notice, Redundancy, Region, ResourceGroupName, Scope, VaultId, VaultName, VaultSettings,
};

use crate::alerts::{About, raise, resolve_vault};
use crate::column::{Columns, NEVER, nanoseconds, number, retired_name};
use crate::resource_groups::hold_resource_group;
use crate::role_assignments::delete_assignments_at;
use crate::{Db, DbError, approvals};

/// A vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultRow {
    /// Names it for ever.
    pub id: VaultId,
    /// Its name, unique without regard to case.
    pub name: VaultName,
    /// The resource group that it lies in.
    pub resource_group: ResourceGroupName,
    /// Where its objects are kept.
    pub region: Region,
    /// In how many places.
    pub redundancy: Redundancy,
    /// When it was made.
    pub created: Timestamp,
    /// The salt for passphrases.
    pub salt: [u8; 32],
    /// BLAKE3 of its `vault.json`.
    pub file_digest: Digest,
    /// What guards its data.
    pub settings: VaultSettings,
    /// Grows with each change of the settings.
    pub version: u64,
    /// When it was soft-deleted, if it is.
    pub deleted: Option<Timestamp>,
    /// When it goes for good, if it is.
    pub purge_at: Option<Timestamp>,
}

/// How much is in a vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VaultFigures {
    /// Registered containers.
    pub containers: u64,
    /// Items that are not soft-deleted.
    pub items: u64,
    /// Items that are.
    pub deleted_items: u64,
    /// Recovery points.
    pub points: u64,
    /// Bytes of all packs.
    pub stored_bytes: u64,
}

/// What became of a wish to delete a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultDeleted {
    /// Its rows are gone.
    Deleted,
    /// It still holds something; nothing was changed.
    NotEmpty(VaultFigures),
    /// There is none.
    Absent,
}

/// What became of a wish to soft-delete a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultSoftDeleted {
    /// So it is now.
    Deleted(Box<VaultRow>),
    /// It holds more than what is soft-deleted; nothing was changed.
    NotEmpty(VaultFigures),
    /// Its settings have this version, not the one that the caller saw; nothing was changed.
    OtherVersion(u64),
    /// There is none.
    Absent,
}

/// What became of a wish to bring a soft-deleted vault back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultUndeleted {
    /// It is back.
    Undeleted(Box<VaultRow>),
    /// Another vault has its name; nothing was changed.
    NameTaken,
    /// No such vault is soft-deleted, or its time has come.
    Absent,
}

macro_rules! select_vaults {
    ($rest:literal) => {
        concat!(
            "select id, name, resource_group, region, redundancy, created, salt, file_digest, settings, version, \
             deleted, purge_at from vaults ",
            $rest
        )
    };
}

impl Db {
    /// Inserts a vault. `false`: another one has the name (without regard to case); nothing was changed. The resource group
    /// must be there: [`DbError::NoResourceGroup`].
    pub async fn insert_vault(&self, vault: &VaultRow) -> Result<bool, DbError> {
        let action = "insert the vault";
        let mut write = self.write(action).await?;
        hold_resource_group(write.on(), &vault.resource_group).await?;
        let query = sqlx::query(
            "insert into vaults (id, name, name_folded, region, redundancy, created, salt, file_digest, settings, version, \
             resource_group) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (name_folded) do nothing",
        )
        .bind(&vault.id.as_bytes()[..])
        .bind(vault.name.as_str())
        .bind(vault.name.folded())
        .bind(vault.region.as_str())
        .bind(vault.redundancy.to_string())
        .bind(nanoseconds(vault.created))
        .bind(&vault.salt[..])
        .bind(&vault.file_digest.as_bytes()[..])
        .bind(settings_text(&vault.settings))
        .bind(number(vault.version))
        .bind(vault.resource_group.as_str());
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// The vault with this id, unless it is soft-deleted.
    pub async fn vault(&self, id: VaultId) -> Result<Option<VaultRow>, DbError> {
        let action = "find the vault";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_vaults!("where id = $1 and deleted = 0")).bind(&id.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(vault_row).transpose()
    }

    /// The vault with this name, without regard to case.
    pub async fn vault_by_name(&self, name: &VaultName) -> Result<Option<VaultRow>, DbError> {
        let action = "find the vault by name";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_vaults!("where name_folded = $1")).bind(name.folded());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(vault_row).transpose()
    }

    /// All soft-deleted vaults, those that were deleted last first.
    pub async fn deleted_vaults(&self) -> Result<Vec<VaultRow>, DbError> {
        let action = "list the deleted vaults";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_vaults!("where deleted > 0 order by deleted desc, key desc"));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(vault_row).collect()
    }

    /// All vaults, by name; not those that are soft-deleted.
    pub async fn vaults(&self) -> Result<Vec<VaultRow>, DbError> {
        let action = "list the vaults";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_vaults!("where deleted = 0 order by name_folded"));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(vault_row).collect()
    }

    /// Changes a vault's settings as `decide` says, which sees it as it is; alerts follow. `Ok(None)`: there is no such vault.
    pub async fn change_vault<E: Send>(
        &self,
        id: VaultId,
        now: Timestamp,
        decide: impl FnOnce(&VaultRow) -> Result<VaultSettings, E> + Send,
    ) -> Result<Option<Result<VaultRow, E>>, DbError> {
        let action = "change the vault";
        let mut write = self.write(action).await?;
        let lock = sqlx::query("update vaults set version = version + 1 where id = $1 and deleted = 0")
            .bind(id.as_bytes().to_vec());
        lock.execute(write.on()).await.map_err(DbError::sql(action))?;
        let Some(present) = find(write.on(), id).await?.filter(|vault| vault.deleted.is_none()) else {
            return Ok(None);
        };
        let before = VaultRow {
            version: present.version - 1,
            ..present.clone()
        };
        let settings = match decide(&before) {
            Ok(settings) => settings,
            Err(error) => return Ok(Some(Err(error))),
        };
        let query = sqlx::query("update vaults set settings = $2 where id = $1")
            .bind(id.as_bytes().to_vec())
            .bind(settings_text(&settings));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let key = write.vault_key(id).await?;
        let ended = Notice::ended_by_settings(&before.settings, &settings);
        resolve_vault(write.on(), key, &ended, now).await?;
        for notice in Notice::of_settings(&before.settings, &settings, &present.version.to_string()) {
            raise(write.on(), key, About::default(), &notice, now).await?;
        }
        write.commit().await?;
        Ok(Some(Ok(VaultRow { settings, ..present })))
    }

    /// How much is in a vault; all zero if there is none.
    pub async fn vault_figures(&self, id: VaultId) -> Result<VaultFigures, DbError> {
        let mut reader = self.read("count what is in the vault").await?;
        match self.vault_key(&mut reader, id).await {
            Ok(key) => figures(&mut reader, key).await,
            Err(DbError::NoVault) => Ok(VaultFigures::default()),
            Err(error) => Err(error),
        }
    }

    /// Deletes the rows of a vault that has neither containers nor recovery points. Its objects are to be deleted after.
    pub async fn delete_vault(&self, id: VaultId) -> Result<VaultDeleted, DbError> {
        let mut write = self.write("delete the vault").await?;
        let key = match write.vault_key(id).await {
            Ok(key) => key,
            Err(DbError::NoVault) => return Ok(VaultDeleted::Absent),
            Err(error) => return Err(error),
        };
        match lock_vault(write.on(), key).await {
            Err(DbError::NoVault) => return Ok(VaultDeleted::Absent),
            locked => locked?,
        }
        let figures = figures(write.on(), key).await?;
        if figures.items + figures.deleted_items + figures.points > 0 {
            return Ok(VaultDeleted::NotEmpty(figures));
        }
        let deleted = delete_rows(write.on(), key).await?;
        delete_assignments_at(write.on(), &Scope::Vault(id)).await?;
        write.commit().await?;
        self.forget_vault(id);
        Ok(if deleted {
            VaultDeleted::Deleted
        } else {
            VaultDeleted::Absent
        })
    }
}

impl Db {
    /// Soft-deletes a vault that holds nothing but soft-deleted items, if its settings have still `version`: its name is
    /// free, and nobody registers in it any more. It goes for good at `purge`, or with the last of its items if that is
    /// later; none of them goes before.
    pub async fn soft_delete_vault(
        &self,
        id: VaultId,
        version: u64,
        purge: Timestamp,
        now: Timestamp,
    ) -> Result<VaultSoftDeleted, DbError> {
        let action = "soft-delete the vault";
        let mut write = self.write(action).await?;
        let key = match write.vault_key(id).await {
            Ok(key) => key,
            Err(DbError::NoVault) => return Ok(VaultSoftDeleted::Absent),
            Err(error) => return Err(error),
        };
        match lock_vault(write.on(), key).await {
            Err(DbError::NoVault) => return Ok(VaultSoftDeleted::Absent),
            locked => locked?,
        }
        let Some(vault) = find(write.on(), id).await? else {
            return Ok(VaultSoftDeleted::Absent);
        };
        if vault.version != version {
            return Ok(VaultSoftDeleted::OtherVersion(vault.version));
        }
        // Nobody brings an item back until this ends; later nobody finds it.
        let lock = sqlx::query("update items set version = version where vault = $1").bind(key);
        lock.execute(write.on()).await.map_err(DbError::sql(action))?;
        let figures = figures(write.on(), key).await?;
        if figures.containers + figures.items > 0 {
            return Ok(VaultSoftDeleted::NotEmpty(figures));
        }
        let query = sqlx::query(
            "update vaults set deleted = $2, name_folded = $3, version = version + 1, purge_at = (select case \
             when max(items.purge_at) > $4 then max(items.purge_at) else $4 end from items where items.vault = $1) \
             where key = $1",
        )
        .bind(key)
        .bind(nanoseconds(now))
        .bind(retired_name(&vault.name.folded(), id))
        .bind(nanoseconds(purge));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        for text in [
            "update items set purge_at = (select purge_at from vaults where vaults.key = items.vault) where vault = $1",
            "delete from credentials where vault = $1",
        ] {
            let done = sqlx::query(text).bind(key).execute(write.on()).await;
            done.map_err(DbError::sql(action))?;
        }
        approvals::end_all(write.on(), key, now).await?;
        let Some(deleted) = find(write.on(), id).await? else {
            return Ok(VaultSoftDeleted::Absent);
        };
        let notice = Notice::vault_deleted(&deleted.name, deleted.purge_at.unwrap_or(purge), now);
        raise(write.on(), key, About::default(), &notice, now).await?;
        write.commit().await?;
        Ok(VaultSoftDeleted::Deleted(Box::new(deleted)))
    }

    /// Brings a soft-deleted vault back whose time has not come, with all that is in it, and resolves what was raised about
    /// its deletion.
    pub async fn undelete_vault(&self, id: VaultId, now: Timestamp) -> Result<VaultUndeleted, DbError> {
        let action = "bring the vault back";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update vaults set version = version where id = $1 and deleted > 0 and purge_at > $2")
            .bind(id.as_bytes().to_vec())
            .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let found = find(write.on(), id).await?;
        let Some(vault) = found.filter(|_| done.rows_affected() == 1) else {
            return Ok(VaultUndeleted::Absent);
        };
        let query = sqlx::query(
            "update vaults set deleted = 0, purge_at = $2, name_folded = $3, version = version + 1 where id = $1 \
             and not exists (select 1 from vaults as other where other.name_folded = $3)",
        )
        .bind(id.as_bytes().to_vec())
        .bind(NEVER)
        .bind(vault.name.folded());
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 0 {
            return Ok(VaultUndeleted::NameTaken);
        }
        let key = write.vault_key(id).await?;
        let ended = [AlertKind::DeleteBackupData, AlertKind::UpcomingPurge];
        resolve_vault(write.on(), key, &ended, now).await?;
        let Some(back) = find(write.on(), id).await? else {
            return Ok(VaultUndeleted::Absent);
        };
        write.commit().await?;
        Ok(VaultUndeleted::Undeleted(Box::new(back)))
    }

    /// Soft-deleted vaults whose time has come, the longest due first: but for the first `skip`, at most `limit`.
    pub async fn vaults_to_purge(&self, now: Timestamp, skip: u32, limit: u32) -> Result<Vec<VaultRow>, DbError> {
        let action = "find the vaults to purge";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_vaults!(
            "where purge_at <= $1 and deleted > 0 order by purge_at, key limit $2 offset $3"
        ))
        .bind(nanoseconds(now))
        .bind(i64::from(limit))
        .bind(i64::from(skip));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(vault_row).collect()
    }

    /// Deletes what is in a soft-deleted vault whose time has come, but for the vault itself: its objects are to be deleted
    /// after, and then [`Db::forget_purged_vault`] says so. `false`: its time has not come, or somebody brought it back.
    ///
    /// It may be called again after a crash. From the first call on nobody brings the vault back, whatever the clock says.
    pub async fn empty_vault(&self, id: VaultId, now: Timestamp) -> Result<bool, DbError> {
        let action = "empty the vault";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update vaults set purge_at = 0 where id = $1 and deleted > 0 and purge_at <= $2")
            .bind(id.as_bytes().to_vec())
            .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let key = write.vault_key(id).await?;
        for text in [
            "delete from sessions where container in (select key from containers where vault = $1)",
            "delete from points where vault = $1",
            "delete from key_set_members where vault = $1",
            "delete from key_sets where vault = $1",
            "delete from containers where vault = $1",
            "delete from machine_settings where item in (select key from items where vault = $1)",
            "delete from items where vault = $1",
        ] {
            let done = sqlx::query(text).bind(key).execute(write.on()).await;
            done.map_err(DbError::sql(action))?;
        }
        write.commit().await?;
        while self.delete_blobs(key).await? {}
        Ok(true)
    }

    /// Deletes some of a vault's blobs. `false`: there are no more. So others get their turn with the database.
    async fn delete_blobs(&self, vault: i64) -> Result<bool, DbError> {
        let action = "delete the blobs of a vault";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "delete from blobs where vault = $1 and id in (select id from blobs where vault = $1 limit 20000)",
        )
        .bind(vault);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Deletes the last rows of a vault that [`Db::empty_vault`] has emptied.
    pub async fn forget_purged_vault(&self, id: VaultId) -> Result<(), DbError> {
        let mut write = self.write("forget the vault").await?;
        let key = match write.vault_key(id).await {
            Ok(key) => key,
            Err(DbError::NoVault) => return Ok(()),
            Err(error) => return Err(error),
        };
        delete_rows(write.on(), key).await?;
        delete_assignments_at(write.on(), &Scope::Vault(id)).await?;
        write.commit().await?;
        self.forget_vault(id);
        Ok(())
    }
}

/// The vault with this id, soft-deleted or not.
async fn find(connection: &mut AnyConnection, id: VaultId) -> Result<Option<VaultRow>, DbError> {
    let query = sqlx::query(select_vaults!("where id = $1")).bind(id.as_bytes().to_vec());
    let row = (query.fetch_optional(connection).await).map_err(DbError::sql("find the vault"))?;
    row.as_ref().map(vault_row).transpose()
}

/// Keeps other transactions from adding to the vault what counts, or deleting it, until this one ends. One that is
/// soft-deleted is none.
pub(crate) async fn lock_vault(connection: &mut AnyConnection, key: i64) -> Result<(), DbError> {
    let query = sqlx::query("update vaults set version = version where key = $1 and deleted = 0").bind(key);
    let done = query
        .execute(connection)
        .await
        .map_err(DbError::sql("lock the vault"))?;
    match done.rows_affected() {
        0 => Err(DbError::NoVault),
        _ => Ok(()),
    }
}

/// Locks the vault that an item lies in, like [`lock_vault`]: its settings stay what they are until the transaction ends.
/// Returns its small key, its id and its settings; `None`: there is no such item, or its vault is soft-deleted.
pub(crate) async fn lock_vault_of(
    connection: &mut AnyConnection,
    item: ItemId,
) -> Result<Option<(i64, VaultId, VaultSettings)>, DbError> {
    let query = sqlx::query(
        "update vaults set version = version where deleted = 0 and key = (select vault from items where id = $1) \
         returning key, id, settings",
    )
    .bind(item.as_bytes().to_vec());
    let row = (query.fetch_optional(connection).await).map_err(DbError::sql("lock the vault of the item"))?;
    let Some(row) = row else { return Ok(None) };
    let id = VaultId::from_bytes(row.array("id")?);
    Ok(Some((row.number("key")?, id, parse_settings(&row)?)))
}

async fn figures(connection: &mut AnyConnection, key: i64) -> Result<VaultFigures, DbError> {
    let query = sqlx::query(
        "select (select count(*) from containers where vault = $1 and unregistered = 0) as containers, \
         (select count(*) from items where vault = $1 and deleted = 0) as items, \
         (select count(*) from items where vault = $1 and deleted > 0) as deleted_items, \
         (select count(*) from points where vault = $1) as points, \
         (select cast(coalesce(sum(size), 0) as bigint) from packs where vault = $1) as stored_bytes",
    )
    .bind(key);
    let row = (query.fetch_one(connection).await).map_err(DbError::sql("count what is in the vault"))?;
    Ok(VaultFigures {
        containers: row.size("containers")?,
        items: row.size("items")?,
        deleted_items: row.size("deleted_items")?,
        points: row.size("points")?,
        stored_bytes: row.size("stored_bytes")?,
    })
}

/// References keep this from taking anything that a container or a recovery point needs, also on a database that
/// another node has written to in between.
async fn delete_rows(connection: &mut AnyConnection, key: i64) -> Result<bool, DbError> {
    let mut deleted = false;
    for text in [
        "delete from security_pins where vault = $1",
        "delete from approvals where vault = $1",
        "delete from vault_guards where vault = $1",
        "delete from credentials where vault = $1",
        "delete from jobs where vault = $1",
        "delete from alert_events where alert in (select key from alerts where vault = $1)",
        "delete from alerts where vault = $1",
        "delete from notifications where vault = $1",
        "delete from deliveries where vault = $1",
        "delete from policies where vault = $1",
        "delete from key_set_members where vault = $1",
        "delete from key_sets where vault = $1",
        "delete from blobs where vault = $1",
        "delete from packs where vault = $1",
        "delete from machine_settings where item in (select key from items where vault = $1)",
        "delete from items where vault = $1",
        "delete from vault_records where vault = (select id from vaults where key = $1)",
        "delete from vaults where key = $1",
    ] {
        let done = sqlx::query(text).bind(key).execute(&mut *connection).await;
        deleted = done.map_err(DbError::sql("delete the vault"))?.rows_affected() > 0;
    }
    Ok(deleted)
}

fn settings_text(settings: &VaultSettings) -> String {
    serde_json::to_string(settings).expect("plain fields always serialise")
}

fn parse_settings(row: &AnyRow) -> Result<VaultSettings, DbError> {
    serde_json::from_str(&row.text("settings")?).map_err(|_| DbError::Value("settings"))
}

fn vault_row(row: &AnyRow) -> Result<VaultRow, DbError> {
    Ok(VaultRow {
        id: VaultId::from_bytes(row.array("id")?),
        name: row.parsed("name")?,
        resource_group: row.parsed("resource_group")?,
        region: row.parsed("region")?,
        redundancy: row.parsed("redundancy")?,
        created: row.moment("created")?,
        salt: row.array("salt")?,
        file_digest: Digest::from_bytes(row.array("file_digest")?),
        settings: parse_settings(row)?,
        version: row.size("version")?,
        deleted: row.moment_if_any("deleted")?,
        purge_at: row.moment_if_any("purge_at")?,
    })
}
