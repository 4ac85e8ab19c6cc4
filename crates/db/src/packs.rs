//! Packs, and the one transaction that makes the blobs of a pack known.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{BlobId, PackId, VaultId};

use crate::batch::{INSERT_BLOB, INSERT_BLOBS, ROWS};
use crate::column::{Columns, nanoseconds, number};
use crate::{Db, DbError};

/// The small key of a pack, in the order in which packs were added. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackKey(pub(crate) i64);

impl PackKey {
    /// Before all packs.
    pub const START: PackKey = PackKey(0);
}

/// A pack whose rows are to be inserted. Its object must be durable before.
#[derive(Clone, Copy, Debug)]
pub struct NewPack {
    /// Its name.
    pub id: PackId,
    /// Bytes of the whole object.
    pub size: u64,
    /// When.
    pub added: Timestamp,
}

/// A blob of a new pack.
#[derive(Clone, Copy, Debug)]
pub struct NewBlob {
    /// BLAKE3 of its bytes.
    pub id: BlobId,
    /// Its first byte in the pack.
    pub place: u64,
    /// Bytes.
    pub size: u32,
    /// The page's level; [`CHUNK_LEVEL`](crate::CHUNK_LEVEL) for a chunk.
    pub level: i8,
}

/// A pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackRow {
    /// Its small key.
    pub key: PackKey,
    /// Its name.
    pub id: PackId,
    /// Bytes of the whole object.
    pub size: u64,
}

/// What inserting a pack made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackInserted {
    /// Blobs that were not known before.
    pub new_blobs: u64,
    /// Blobs that were: they stay where they were first.
    pub duplicate_blobs: u64,
}

impl Db {
    /// Inserts a pack and its blobs, all or nothing. One that is there already changes nothing: all its blobs count as
    /// duplicates then.
    pub async fn insert_pack(&self, vault: VaultId, pack: NewPack, blobs: &[NewBlob]) -> Result<PackInserted, DbError> {
        let mut write = self.write("insert the pack").await?;
        let vault = write.vault_key(vault).await?;
        let new_blobs = match insert(write.on(), vault, &pack).await? {
            Some(key) => insert_blobs(write.on(), vault, key, blobs).await?,
            None => 0,
        };
        write.commit().await?;
        Ok(PackInserted {
            new_blobs,
            duplicate_blobs: blobs.len() as u64 - new_blobs,
        })
    }

    /// The pack of a vault with this name.
    pub async fn pack(&self, vault: VaultId, id: PackId) -> Result<Option<PackRow>, DbError> {
        let action = "find the pack";
        let mut reader = self.read(action).await?;
        let vault = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query("select key, id, size from packs where vault = $1 and id = $2")
            .bind(vault)
            .bind(&id.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(pack_row).transpose()
    }

    /// The pack with this small key.
    pub async fn pack_by_key(&self, key: PackKey) -> Result<Option<PackRow>, DbError> {
        let action = "find the pack by key";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select key, id, size from packs where key = $1").bind(key.0);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(pack_row).transpose()
    }

    /// At most `count` packs of a vault that were added after `after`, oldest first.
    pub async fn packs_after(&self, vault: VaultId, after: PackKey, count: u32) -> Result<Vec<PackRow>, DbError> {
        let action = "list the packs";
        let mut reader = self.read(action).await?;
        let vault = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query("select key, id, size from packs where vault = $1 and key > $2 order by key limit $3")
            .bind(vault)
            .bind(after.0)
            .bind(i64::from(count));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(pack_row).collect()
    }
}

/// The key of the new row; `None` if there is one of that name.
async fn insert(connection: &mut AnyConnection, vault: i64, pack: &NewPack) -> Result<Option<i64>, DbError> {
    let query = sqlx::query_scalar(
        "insert into packs (vault, id, size, added) values ($1, $2, $3, $4) \
         on conflict (vault, id) do nothing returning key",
    )
    .bind(vault)
    .bind(&pack.id.as_bytes()[..])
    .bind(number(pack.size))
    .bind(nanoseconds(pack.added));
    let key = query.fetch_optional(connection).await;
    key.map_err(DbError::sql("insert the pack"))
}

/// How many were not known.
async fn insert_blobs(
    connection: &mut AnyConnection,
    vault: i64,
    pack: i64,
    blobs: &[NewBlob],
) -> Result<u64, DbError> {
    // In the order of the tree that they go into: neighbours share its pages.
    let mut sorted: Vec<&NewBlob> = blobs.iter().collect();
    sorted.sort_unstable_by_key(|blob| blob.id);
    let (batches, rest) = sorted.as_chunks::<ROWS>();
    let mut known = 0;
    for batch in batches {
        known += insert_batch(connection, INSERT_BLOBS.as_str(), [vault, pack], batch).await?;
    }
    for blob in rest {
        known += insert_batch(connection, INSERT_BLOB.as_str(), [vault, pack], &[*blob]).await?;
    }
    Ok(known)
}

async fn insert_batch(
    connection: &mut AnyConnection,
    text: &'static str,
    [vault, pack]: [i64; 2],
    batch: &[&NewBlob],
) -> Result<u64, DbError> {
    let mut query = sqlx::query(text).bind(vault).bind(pack);
    for blob in batch {
        query = (query.bind(&blob.id.as_bytes()[..]).bind(number(blob.place)))
            .bind(i64::from(blob.size))
            .bind(i64::from(blob.level));
    }
    let done = query.execute(connection).await;
    Ok(done.map_err(DbError::sql("insert the blobs"))?.rows_affected())
}

fn pack_row(row: &AnyRow) -> Result<PackRow, DbError> {
    Ok(PackRow {
        key: PackKey(row.number("key")?),
        id: PackId::from_bytes(row.array("id")?),
        size: row.size("size")?,
    })
}
