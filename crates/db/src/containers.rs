//! Containers (registered machines) and their items.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::policy::Workload;
use strongroom_model::{ContainerId, Digest, ItemId, MachineName, PointId, VaultId};

use crate::column::{Columns, nanoseconds, retired_name};
use crate::expiry::aging;
use crate::items::{self, ItemNext, ItemRow, ItemSeen};
use crate::jobs::{self, JobReport, NewJob};
use crate::key_sets::leave_all;
use crate::vaults::{lock_vault, lock_vault_of};
use crate::{Db, DbError, virtual_machines};

/// A registered machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Names it for ever.
    pub id: ContainerId,
    /// Its vault.
    pub vault: VaultId,
    /// What it protects: its files and folders.
    pub item: ItemId,
    /// Its name, unique in the vault without regard to case.
    pub name: MachineName,
    /// The key that it signs in with.
    pub public_key: [u8; 32],
    /// When it was registered, the last time.
    pub registered: Timestamp,
    /// What kind of thing its item is.
    pub workload: Workload,
    /// The host that signs in for it, if it is a virtual machine that a registered host has.
    pub host: Option<ContainerId>,
    /// Where it stands among the vault's containers: no two stand at one place.
    pub place: String,
}

impl Container {
    /// Whether anybody may sign in as it. A virtual machine that no host has is only kept for what it left.
    pub fn signs_in(&self) -> bool {
        self.workload != Workload::VirtualMachine || self.host.is_some()
    }
}

/// What becomes of the item of a machine that is unregistered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemLeft {
    /// It stays as it is.
    Same,
    /// It stays, changed.
    Changed(ItemNext),
    /// It goes with the machine: there is nothing in it to keep.
    Gone,
}

/// A machine to register.
#[derive(Clone, Debug)]
pub struct NewContainer<'a> {
    /// Its id, if there is none of that name yet.
    pub id: ContainerId,
    /// Its item's id, if there is none of that name yet.
    pub item: ItemId,
    /// Its name.
    pub name: &'a MachineName,
    /// The key that it will sign in with.
    pub public_key: &'a [u8; 32],
    /// When.
    pub registered: Timestamp,
}

macro_rules! select_containers {
    ($rest:literal) => {
        concat!(
            "select containers.id as id, vaults.id as vault, items.id as item, containers.name as name, public_key, \
             registered, containers.name_folded as place, items.workload as workload, host from containers \
             join vaults on vaults.key = containers.vault join items on items.key = containers.item ",
            $rest
        )
    };
}

impl Db {
    /// Registers a machine. One that is registered under the name keeps its ids and gets the new key; what key sets it had
    /// joined, it has to prove anew.
    pub async fn register_container(&self, vault: VaultId, new: NewContainer<'_>) -> Result<Container, DbError> {
        let action = "register the machine";
        let mut write = self.write(action).await?;
        let vault = write.vault_key(vault).await?;
        lock_vault(write.on(), vault).await?;
        if !replace_key(write.on(), vault, &new).await? {
            insert(write.on(), vault, &new, &new.name.folded(), Workload::FilesAndFolders).await?;
        }
        let query = sqlx::query(select_containers!(
            "where containers.vault = $1 and containers.name_folded = $2"
        ))
        .bind(vault)
        .bind(new.name.folded());
        let row = query.fetch_one(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        container(&row)
    }

    /// Unregisters a machine: its key and its sessions are good no more, its name is free, and what it does ends as `report`
    /// says. What becomes of its item, `decide` says, which sees it as it is. `job` tells of it; it is over.
    ///
    /// Returns the item, if it stays. `Ok(None)`: no such machine is registered.
    pub async fn unregister_container<E: Send>(
        &self,
        id: ContainerId,
        job: NewJob,
        report: &JobReport,
        decide: impl FnOnce(&ItemSeen<'_>) -> Result<ItemLeft, E> + Send,
    ) -> Result<Option<Result<Option<ItemRow>, E>>, DbError> {
        let mut write = self.write("unregister the machine").await?;
        let Some((_, _, settings)) = lock_vault_of(write.on(), job.item).await? else {
            return Ok(None);
        };
        items::lock(write.on(), job.item).await?;
        let (Some(found), Some((_, aging))) = (
            items::find(write.on(), job.item).await?,
            aging(write.on(), job.item).await?,
        ) else {
            return Ok(None);
        };
        let seen = ItemSeen {
            item: &found.1,
            aging: &aging,
            given: None,
            settings: &settings,
        };
        let left = match decide(&seen) {
            Ok(left) => left,
            Err(error) => return Ok(Some(Err(error))),
        };
        if !retire(write.on(), id, &found.1, job.now).await? {
            return Ok(None);
        }
        jobs::insert(write.on(), job).await?;
        jobs::end_all_of(write.on(), id, report, job.now).await?;
        match left {
            ItemLeft::Same => {}
            ItemLeft::Changed(next) => items::change(write.on(), &found, None, &next, job.now).await?,
            ItemLeft::Gone => items::delete_rows(write.on(), found.0).await?,
        }
        let item = items::find(write.on(), job.item).await?;
        write.commit().await?;
        Ok(Some(Ok(item.map(|(_, item, _)| item))))
    }

    /// The registered machine with this id.
    pub async fn container(&self, id: ContainerId) -> Result<Option<Container>, DbError> {
        let action = "find the machine";
        let mut reader = self.read(action).await?;
        let query =
            sqlx::query(select_containers!("where containers.id = $1 and unregistered = 0")).bind(&id.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(container).transpose()
    }

    /// The registered machine of this name, without regard to case.
    pub async fn container_by_name(&self, vault: VaultId, name: &MachineName) -> Result<Option<Container>, DbError> {
        let action = "find the machine by name";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_containers!(
            "where vaults.id = $1 and containers.name_folded = $2 and unregistered = 0"
        ))
        .bind(&vault.as_bytes()[..])
        .bind(name.folded());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(container).transpose()
    }

    /// At most `limit` of a vault's registered machines by name: those whose folded names come after `after`.
    pub async fn containers(&self, vault: VaultId, after: &str, limit: u32) -> Result<Vec<Container>, DbError> {
        let action = "list the machines";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_containers!(
            "where vaults.id = $1 and containers.name_folded > $2 and unregistered = 0 \
             order by containers.name_folded limit $3"
        ))
        .bind(&vault.as_bytes()[..])
        .bind(after)
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(container).collect()
    }

    /// The item's latest recovery point and the digest of its object: the predecessor that the next one must name.
    pub async fn latest_point(&self, item: ItemId) -> Result<Option<(PointId, Digest)>, DbError> {
        let action = "find the latest recovery point";
        let mut reader = self.read(action).await?;
        let query =
            sqlx::query("select latest_point, latest_digest from items where id = $1").bind(&item.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        let Some(row) = row else { return Ok(None) };
        let point = row.optional("latest_point")?.map(PointId::from_bytes);
        let digest = row.optional("latest_digest")?.map(Digest::from_bytes);
        Ok(point.zip(digest))
    }
}

async fn replace_key(connection: &mut AnyConnection, vault: i64, new: &NewContainer<'_>) -> Result<bool, DbError> {
    let query = sqlx::query(
        "update containers set name = $3, public_key = $4, registered = $5, keyed = 0 \
         where vault = $1 and name_folded = $2 returning key, id",
    )
    .bind(vault)
    .bind(new.name.folded())
    .bind(new.name.as_str())
    .bind(&new.public_key[..])
    .bind(nanoseconds(new.registered));
    let found = query.fetch_optional(&mut *connection).await;
    let found = found.map_err(DbError::sql("replace the machine's key"))?;
    let Some(row) = found else { return Ok(false) };
    leave_all(&mut *connection, row.number("key")?).await?;
    virtual_machines::rekey(connection, ContainerId::from_bytes(row.array("id")?), new.public_key).await?;
    Ok(true)
}

/// Inserts a container with its item, at a place where none stands.
pub(crate) async fn insert(
    connection: &mut AnyConnection,
    vault: i64,
    new: &NewContainer<'_>,
    place: &str,
    workload: Workload,
) -> Result<(), DbError> {
    let none: &[u8] = &[];
    let item = sqlx::query_scalar(
        "insert into items (id, vault, latest_point, latest_digest, workload) values ($1, $2, $3, $4, $5) returning key",
    )
    .bind(&new.item.as_bytes()[..])
    .bind(vault)
    .bind(none)
    .bind(none)
    .bind(workload.as_str());
    let item: i64 = (item.fetch_one(&mut *connection).await).map_err(DbError::sql("insert the item"))?;
    let query = sqlx::query(
        "insert into containers (id, vault, item, name, name_folded, public_key, registered) \
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&new.id.as_bytes()[..])
    .bind(vault)
    .bind(item)
    .bind(new.name.as_str())
    .bind(place)
    .bind(&new.public_key[..])
    .bind(nanoseconds(new.registered));
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("insert the machine"))
}

/// Takes a machine's registration: its sessions end, and its name is free. `false`: it is not registered.
async fn retire(
    connection: &mut AnyConnection,
    id: ContainerId,
    item: &ItemRow,
    now: Timestamp,
) -> Result<bool, DbError> {
    let action = "unregister the machine";
    let query = sqlx::query(
        "update containers set unregistered = $2, name_folded = $3 where id = $1 and unregistered = 0 \
         and item = (select key from items where id = $4)",
    )
    .bind(id.as_bytes().to_vec())
    .bind(nanoseconds(now))
    .bind(retired_name(&item.name.folded(), id))
    .bind(item.id.as_bytes().to_vec());
    let done = query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let query = sqlx::query("delete from sessions where container = (select key from containers where id = $1)")
        .bind(id.as_bytes().to_vec());
    query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    virtual_machines::leave_host(connection, id).await?;
    Ok(true)
}

/// The small key of a registered machine.
pub(crate) async fn container_key(connection: &mut AnyConnection, id: ContainerId) -> Result<i64, DbError> {
    let query =
        sqlx::query_scalar("select key from containers where id = $1 and unregistered = 0").bind(&id.as_bytes()[..]);
    let found: Option<i64> = (query.fetch_optional(connection).await).map_err(DbError::sql("find the machine"))?;
    found.ok_or(DbError::NoContainer)
}

fn container(row: &AnyRow) -> Result<Container, DbError> {
    Ok(Container {
        id: ContainerId::from_bytes(row.array("id")?),
        vault: VaultId::from_bytes(row.array("vault")?),
        item: ItemId::from_bytes(row.array("item")?),
        name: row.parsed("name")?,
        public_key: row.array("public_key")?,
        registered: row.moment("registered")?,
        workload: row.parsed("workload")?,
        host: row.optional("host")?.map(ContainerId::from_bytes),
        place: row.text("place")?,
    })
}
