//! Vaults.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{
    Digest, Notice, Redundancy, Region, ResourceGroupName, Scope, VaultId, VaultName, VaultSettings,
};

use crate::alerts::{About, raise, resolve_vault};
use crate::column::{Columns, nanoseconds, number};
use crate::resource_groups::hold_resource_group;
use crate::role_assignments::delete_assignments_at;
use crate::{Db, DbError};

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
}

/// How much is in a vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VaultFigures {
    /// Registered containers.
    pub containers: u64,
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

macro_rules! select_vaults {
    ($rest:literal) => {
        concat!(
            "select id, name, resource_group, region, redundancy, created, salt, file_digest, settings, version \
             from vaults ",
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

    /// The vault with this id.
    pub async fn vault(&self, id: VaultId) -> Result<Option<VaultRow>, DbError> {
        let action = "find the vault";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_vaults!("where id = $1")).bind(&id.as_bytes()[..]);
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

    /// All vaults, by name.
    pub async fn vaults(&self) -> Result<Vec<VaultRow>, DbError> {
        let action = "list the vaults";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_vaults!("order by name_folded"));
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
        let lock = sqlx::query("update vaults set version = version + 1 where id = $1").bind(id.as_bytes().to_vec());
        lock.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query = sqlx::query(select_vaults!("where id = $1")).bind(id.as_bytes().to_vec());
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let Some(row) = row else { return Ok(None) };
        let present = vault_row(&row)?;
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
        lock_vault(write.on(), key).await?;
        let figures = figures(write.on(), key).await?;
        if figures.containers > 0 || figures.points > 0 {
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

/// Keeps other transactions from adding to the vault what counts, or deleting it, until this one ends.
pub(crate) async fn lock_vault(connection: &mut AnyConnection, key: i64) -> Result<(), DbError> {
    let query = sqlx::query("update vaults set version = version where key = $1").bind(key);
    let done = query
        .execute(connection)
        .await
        .map_err(DbError::sql("lock the vault"))?;
    match done.rows_affected() {
        0 => Err(DbError::NoVault),
        _ => Ok(()),
    }
}

async fn figures(connection: &mut AnyConnection, key: i64) -> Result<VaultFigures, DbError> {
    let query = sqlx::query(
        "select (select count(*) from containers where vault = $1) as containers, \
         (select count(*) from points where vault = $1) as points, \
         (select cast(coalesce(sum(size), 0) as bigint) from packs where vault = $1) as stored_bytes",
    )
    .bind(key);
    let row = (query.fetch_one(connection).await).map_err(DbError::sql("count what is in the vault"))?;
    Ok(VaultFigures {
        containers: row.size("containers")?,
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
        settings: serde_json::from_str(&row.text("settings")?).map_err(|_| DbError::Value("settings"))?,
        version: row.size("version")?,
    })
}
