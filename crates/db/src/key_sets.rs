//! Key sets and their members.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{ContainerId, Digest, KeySetId, MachineName, VaultId};

use crate::column::{Columns, nanoseconds, number};
use crate::containers::container_key;
use crate::vaults::lock_vault;
use crate::{Db, DbError};

/// A key set of a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySetRow {
    /// Its id, unique in the vault.
    pub id: KeySetId,
    /// BLAKE3 of its object.
    pub digest: Digest,
    /// BLAKE3 of its membership secret.
    pub verifier: Digest,
    /// Bytes of its object.
    pub size: u64,
    /// When it was added.
    pub added: Timestamp,
}

/// Which machine added a key set or is a member of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetMember {
    /// The key set.
    pub key_set: KeySetId,
    /// The machine, which is registered.
    pub machine: MachineName,
    /// Whether it is the one that added the set.
    pub added: bool,
}

/// A key set to add.
#[derive(Clone, Copy, Debug)]
pub struct NewKeySet {
    /// What it is.
    pub row: KeySetRow,
    /// Who adds it, and becomes its first member.
    pub added_by: ContainerId,
    /// How many key sets one container may add.
    pub per_container_max: u64,
    /// Whether it may be another one than the container's first since it was registered.
    pub further: bool,
}

/// What became of a key set to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetAdded {
    /// It is there now.
    Added,
    /// The id is taken by this one, which may be the very same.
    Exists(KeySetRow),
    /// The container has added as many as it may.
    TooMany,
    /// The container has added or joined one since it was registered.
    Further,
    /// It has the membership secret of a set that the container has not joined.
    Foreign,
}

macro_rules! select_key_sets {
    ($rest:literal) => {
        concat!("select id, digest, verifier, size, added from key_sets ", $rest)
    };
}

impl Db {
    /// Adds a key set. Its object must be durable before.
    pub async fn add_key_set(&self, vault: VaultId, new: NewKeySet) -> Result<KeySetAdded, DbError> {
        let mut write = self.write("add the key set").await?;
        let vault = write.vault_key(vault).await?;
        // Of two nodes that add the same one, or the last that a machine may, the second sees what the first did.
        lock_vault(write.on(), vault).await?;
        if let Some(row) = find(write.on(), vault, new.row.id).await? {
            return Ok(KeySetAdded::Exists(row));
        }
        let container = container_key(write.on(), new.added_by).await?;
        if added_by(write.on(), container).await? >= new.per_container_max {
            return Ok(KeySetAdded::TooMany);
        }
        if !new.further && is_keyed(write.on(), container).await? {
            return Ok(KeySetAdded::Further);
        }
        if is_foreign(write.on(), vault, container, new.row.verifier).await? {
            return Ok(KeySetAdded::Foreign);
        }
        insert(write.on(), vault, container, &new.row).await?;
        insert_member(write.on(), vault, container, new.row.id).await?;
        write.commit().await?;
        Ok(KeySetAdded::Added)
    }

    /// The key sets of a vault, oldest first.
    pub async fn key_sets(&self, vault: VaultId) -> Result<Vec<KeySetRow>, DbError> {
        let action = "list the key sets";
        let mut reader = self.read(action).await?;
        let vault = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query(select_key_sets!("where vault = $1 order by added, id")).bind(vault);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(key_set).collect()
    }

    /// The key set of a vault with this id.
    pub async fn key_set(&self, vault: VaultId, id: KeySetId) -> Result<Option<KeySetRow>, DbError> {
        let mut reader = self.read("find the key set").await?;
        let vault = self.vault_key(&mut reader, vault).await?;
        find(&mut reader, vault, id).await
    }

    /// Makes a container a member of a key set of its vault, and of those with the same membership secret. Being one already
    /// is fine.
    pub async fn join_key_set(&self, vault: VaultId, id: KeySetId, container: ContainerId) -> Result<(), DbError> {
        let action = "find the key sets of a master key";
        let mut write = self.write("join the key set").await?;
        let vault = write.vault_key(vault).await?;
        let container = container_key(write.on(), container).await?;
        insert_member(write.on(), vault, container, id).await?;
        let query = sqlx::query(
            "select id from key_sets where vault = $1 and id <> $2 \
             and verifier = (select verifier from key_sets where vault = $1 and id = $2)",
        )
        .bind(vault)
        .bind(id.as_bytes().to_vec());
        let rows = query.fetch_all(write.on()).await.map_err(DbError::sql(action))?;
        for row in rows {
            insert_member(write.on(), vault, container, KeySetId::from_bytes(row.array("id")?)).await?;
        }
        write.commit().await
    }

    /// Who added the key sets of a vault, and who their members are; by name.
    pub async fn key_set_members(&self, vault: VaultId) -> Result<Vec<KeySetMember>, DbError> {
        let action = "list the members of key sets";
        let mut reader = self.read(action).await?;
        let vault = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query(
            "select key_sets.id as key_set, containers.name as machine, \
             case when key_sets.added_by = containers.key then 1 else 0 end as added from key_set_members \
             join key_sets on key_sets.vault = key_set_members.vault and key_sets.id = key_set_members.key_set \
             join containers on containers.key = key_set_members.container \
             where key_set_members.vault = $1 and unregistered = 0 order by containers.name_folded",
        )
        .bind(vault);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(member).collect()
    }

    /// Whether a container has added or joined a key set since it was registered, the last time.
    pub async fn is_keyed(&self, container: ContainerId) -> Result<bool, DbError> {
        let mut reader = self.read("see whether the machine has a key set").await?;
        let container = container_key(&mut reader, container).await?;
        is_keyed(&mut reader, container).await
    }

    /// Whether there are key sets with this hash of a membership secret, and the container has joined none of them.
    pub async fn is_foreign(&self, vault: VaultId, verifier: Digest, container: ContainerId) -> Result<bool, DbError> {
        let mut reader = self.read("find the key sets of a master key").await?;
        let vault = self.vault_key(&mut reader, vault).await?;
        let container = container_key(&mut reader, container).await?;
        is_foreign(&mut reader, vault, container, verifier).await
    }

    /// How many key sets a container has added.
    pub async fn key_sets_added_by(&self, container: ContainerId) -> Result<u64, DbError> {
        let mut reader = self.read("count the machine's key sets").await?;
        let container = container_key(&mut reader, container).await?;
        added_by(&mut reader, container).await
    }

    /// The key sets that a container is a member of.
    pub async fn joined_key_sets(&self, container: ContainerId) -> Result<Vec<KeySetId>, DbError> {
        let action = "list the machine's key sets";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select key_set from key_set_members join containers on containers.key = key_set_members.container \
             where containers.id = $1 order by key_set",
        )
        .bind(&container.as_bytes()[..]);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        (rows.iter().map(|row| row.array("key_set").map(KeySetId::from_bytes))).collect()
    }
}

async fn find(connection: &mut AnyConnection, vault: i64, id: KeySetId) -> Result<Option<KeySetRow>, DbError> {
    let query = sqlx::query(select_key_sets!("where vault = $1 and id = $2"))
        .bind(vault)
        .bind(&id.as_bytes()[..]);
    let row = (query.fetch_optional(connection).await).map_err(DbError::sql("find the key set"))?;
    row.as_ref().map(key_set).transpose()
}

async fn added_by(connection: &mut AnyConnection, container: i64) -> Result<u64, DbError> {
    let query = sqlx::query("select count(*) as sets from key_sets where added_by = $1").bind(container);
    let row = (query.fetch_one(connection).await).map_err(DbError::sql("count the machine's key sets"))?;
    row.size("sets")
}

async fn is_foreign(
    connection: &mut AnyConnection,
    vault: i64,
    container: i64,
    verifier: Digest,
) -> Result<bool, DbError> {
    let query = sqlx::query(
        "select count(*) as sets, count(key_set_members.container) as joined from key_sets left join key_set_members \
         on key_set_members.vault = key_sets.vault and key_set_members.key_set = key_sets.id \
         and key_set_members.container = $3 where key_sets.vault = $1 and verifier = $2",
    )
    .bind(vault)
    .bind(verifier.as_bytes().to_vec())
    .bind(container);
    let row = (query.fetch_one(connection).await).map_err(DbError::sql("find the key sets of a master key"))?;
    Ok(row.number("sets")? > 0 && row.number("joined")? == 0)
}

/// Forgets what a container has joined: whoever registers under its name has to prove it anew.
pub(crate) async fn leave_all(connection: &mut AnyConnection, container: i64) -> Result<(), DbError> {
    let query = sqlx::query("delete from key_set_members where container = $1").bind(container);
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("leave the key sets"))
}

async fn insert(connection: &mut AnyConnection, vault: i64, container: i64, row: &KeySetRow) -> Result<(), DbError> {
    let query = sqlx::query(
        "insert into key_sets (vault, id, digest, verifier, size, added_by, added) values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(vault)
    .bind(&row.id.as_bytes()[..])
    .bind(&row.digest.as_bytes()[..])
    .bind(&row.verifier.as_bytes()[..])
    .bind(number(row.size))
    .bind(container)
    .bind(nanoseconds(row.added));
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("insert the key set"))
}

async fn is_keyed(connection: &mut AnyConnection, container: i64) -> Result<bool, DbError> {
    let query = sqlx::query("select keyed from containers where key = $1").bind(container);
    let row = (query.fetch_one(connection).await).map_err(DbError::sql("see whether the machine has a key set"))?;
    Ok(row.number("keyed")? != 0)
}

/// Makes a container a member, and notes that it has a key set now.
async fn insert_member(
    connection: &mut AnyConnection,
    vault: i64,
    container: i64,
    id: KeySetId,
) -> Result<(), DbError> {
    let query = sqlx::query(
        "insert into key_set_members (vault, key_set, container) values ($1, $2, $3) \
         on conflict (vault, key_set, container) do nothing",
    )
    .bind(vault)
    .bind(&id.as_bytes()[..])
    .bind(container);
    let action = "join the key set";
    query.execute(&mut *connection).await.map_err(DbError::sql(action))?;
    let query = sqlx::query("update containers set keyed = 1 where key = $1").bind(container);
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql(action))
}

fn member(row: &AnyRow) -> Result<KeySetMember, DbError> {
    Ok(KeySetMember {
        key_set: KeySetId::from_bytes(row.array("key_set")?),
        machine: row.parsed("machine")?,
        added: row.number("added")? != 0,
    })
}

fn key_set(row: &AnyRow) -> Result<KeySetRow, DbError> {
    Ok(KeySetRow {
        id: KeySetId::from_bytes(row.array("id")?),
        digest: Digest::from_bytes(row.array("digest")?),
        verifier: Digest::from_bytes(row.array("verifier")?),
        size: row.size("size")?,
        added: row.moment("added")?,
    })
}
