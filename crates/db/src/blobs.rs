//! The index: which blobs a vault has, and where.

use std::collections::{HashMap, HashSet};

use sqlx::any::AnyArguments;
use sqlx::{Any, AnyConnection};
use strongroom_model::{BlobId, VaultId};

use crate::batch::{KNOWN, PLACES, VERIFY, joined, rows};
use crate::column::Columns;
use crate::{Db, DbError, PackKey};

/// The most identities that one call takes.
pub const IDS_MAX: usize = 16_384;
/// The level of a chunk, one below that of a leaf page: what a page of level n refers to has level n − 1.
pub const CHUNK_LEVEL: i8 = -1;

/// Where a blob lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobPlace {
    /// In which pack.
    pub pack: PackKey,
    /// Its first byte.
    pub place: u64,
    /// Bytes.
    pub size: u32,
    /// The page's level; [`CHUNK_LEVEL`] for a chunk.
    pub level: i8,
    /// Whether all that a page refers to, down to the chunks, was seen to be there. Always false for a chunk.
    pub verified: bool,
}

/// How often marking pages is tried again when two transactions were in each other's way.
const MARK_ATTEMPTS: u32 = 4;

impl Db {
    /// For each identity whether the vault lacks it. At most [`IDS_MAX`] identities.
    pub async fn missing_blobs(&self, vault: VaultId, ids: &[BlobId]) -> Result<Vec<bool>, DbError> {
        let mut reader = self.read("look for blobs").await?;
        let vault = self.vault_key(&mut reader, vault).await?;
        let sorted = sorted(ids);
        let found = find(&mut reader, KNOWN, vault, &sorted).await?;
        let known: HashSet<BlobId> = (rows(&found)?.iter())
            .map(|[position]| at(&sorted, *position))
            .collect::<Result<_, _>>()?;
        Ok(ids.iter().map(|id| !known.contains(id)).collect())
    }

    /// Where those of the blobs lie that the vault has. At most [`IDS_MAX`] identities.
    pub async fn locate_blobs(&self, vault: VaultId, ids: &[BlobId]) -> Result<HashMap<BlobId, BlobPlace>, DbError> {
        let mut reader = self.read("locate blobs").await?;
        let vault = self.vault_key(&mut reader, vault).await?;
        let sorted = sorted(ids);
        let found = find(&mut reader, PLACES, vault, &sorted).await?;
        (rows(&found)?.iter())
            .map(|[position, place @ ..]: &[i64; 6]| Ok((at(&sorted, *position)?, blob_place(place)?)))
            .collect()
    }

    /// Marks pages as verified. At most [`IDS_MAX`]: more at once would keep other writers waiting.
    pub async fn mark_verified(&self, vault: VaultId, pages: &[BlobId]) -> Result<(), DbError> {
        // Two commits through two nodes may mark the same pages in different orders; the database ends one of them.
        for _ in 0..MARK_ATTEMPTS {
            match self.mark_once(vault, pages).await {
                Err(DbError::Unavailable(_)) => {}
                result => return result,
            }
        }
        self.mark_once(vault, pages).await
    }

    async fn mark_once(&self, vault: VaultId, pages: &[BlobId]) -> Result<(), DbError> {
        let action = "mark pages as verified";
        let mut write = self.write(action).await?;
        let vault = write.vault_key(vault).await?;
        let done = listed(VERIFY, vault, &sorted(pages)).execute(write.on()).await;
        done.map_err(DbError::sql(action))?;
        write.commit().await
    }
}

/// In the order of the tree that they are looked up in, each once: neighbours share its pages.
fn sorted(ids: &[BlobId]) -> Vec<BlobId> {
    assert!(ids.len() <= IDS_MAX, "the caller bounds its list");
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

async fn find(
    connection: &mut AnyConnection,
    text: &'static str,
    vault: i64,
    ids: &[BlobId],
) -> Result<String, DbError> {
    let row = listed(text, vault, ids).fetch_one(connection).await;
    row.map_err(DbError::sql("look for blobs"))?.text("found")
}

/// Binds what the statements of [`batch`](crate::batch) take.
fn listed(text: &'static str, vault: i64, ids: &[BlobId]) -> sqlx::query::Query<'static, Any, AnyArguments> {
    sqlx::query(text).bind(vault).bind(joined(ids)).bind(ids.len() as i64)
}

fn at(ids: &[BlobId], position: i64) -> Result<BlobId, DbError> {
    let id = usize::try_from(position).ok().and_then(|position| ids.get(position));
    id.copied().ok_or(DbError::Value("found"))
}

fn blob_place(&[pack, place, size, level, verified]: &[i64; 5]) -> Result<BlobPlace, DbError> {
    Ok(BlobPlace {
        pack: PackKey(pack),
        place: u64::try_from(place).map_err(|_| DbError::Value("place"))?,
        size: u32::try_from(size).map_err(|_| DbError::Value("size"))?,
        level: i8::try_from(level).map_err(|_| DbError::Value("level"))?,
        verified: verified == 1,
    })
}
