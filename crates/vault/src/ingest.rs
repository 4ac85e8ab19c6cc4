//! Taking in packs: every byte is checked, then the object is stored, then its rows are inserted.

use bytes::Bytes;
use strongroom_db::{CHUNK_LEVEL, IDS_MAX, NewBlob, NewPack};
use strongroom_format::pack::{BlobKind, PACK_BYTES_MAX, PackBuilder, TocEntry, verify_pack};
use strongroom_format::page::parse_visible;
use strongroom_model::{BlobId, ContainerId, PackId, SessionId, VaultId};
use strongroom_store::{Key, Store, StoreError};

use crate::blocking::hashing;
use crate::{VaultError, Vaults, pack_key};

/// What a pack brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutOutcome {
    /// Blobs that the vault did not have.
    pub new_blobs: u64,
    /// Blobs that it had already: their first copy stays the one that is used.
    pub duplicate_blobs: u64,
}

impl Vaults {
    /// Takes in a pack. When this returns, it is durable and its blobs are known. The same pack again, also at the same
    /// time, is fine.
    pub async fn put_pack(
        &self,
        container: ContainerId,
        session: SessionId,
        name: PackId,
        bytes: Bytes,
    ) -> Result<PutOutcome, VaultError> {
        let _inside = self.0.ingests.enter(container.as_bytes()).await;
        let vault = self.renewed(container, session).await?.vault;
        let blobs = checked(name, bytes.clone()).await?;
        let store = self.store(vault).await?;
        let key = pack_key(name);
        if self.db().pack(vault, name).await?.is_some() {
            return keep(&*store, &key, bytes, &blobs).await;
        }
        let unknown = self.unknown(vault, &blobs).await?;
        let known_blobs = (blobs.len() - unknown.len()) as u64;
        let pack = match unknown.len() {
            0 => return Ok(nothing_new(&blobs)),
            count if count == blobs.len() => Pack { name, bytes, blobs },
            _ => Pack::of(&bytes, unknown),
        };
        let row = NewPack {
            id: pack.name,
            size: pack.bytes.len() as u64,
            added: self.now(),
        };
        store.put(&pack_key(pack.name), pack.bytes).await?;
        let inserted = self.db().insert_pack(vault, row, &pack.blobs).await?;
        Ok(PutOutcome {
            new_blobs: inserted.new_blobs,
            duplicate_blobs: inserted.duplicate_blobs + known_blobs,
        })
    }

    /// Those of a pack's blobs that the vault does not have.
    async fn unknown(&self, vault: VaultId, blobs: &[NewBlob]) -> Result<Vec<NewBlob>, VaultError> {
        let mut unknown = Vec::new();
        for batch in blobs.chunks(IDS_MAX) {
            let ids: Vec<BlobId> = batch.iter().map(|blob| blob.id).collect();
            let missing = self.db().missing_blobs(vault, &ids).await?;
            let lacking = batch.iter().zip(missing).filter(|(_, missing)| *missing);
            unknown.extend(lacking.map(|(blob, _)| *blob));
        }
        Ok(unknown)
    }
}

/// A pack that was checked.
struct Pack {
    name: PackId,
    bytes: Bytes,
    blobs: Vec<NewBlob>,
}

impl Pack {
    /// A pack of these blobs of another one. Who was killed with a pack on its way may ask what is missing before it
    /// arrives, and sends some of its blobs again, beside others: they are not stored twice.
    fn of(bytes: &[u8], mut blobs: Vec<NewBlob>) -> Pack {
        let mut builder = PackBuilder::new();
        for blob in &mut blobs {
            let place = builder.len_bytes() as u64;
            let sealed = &bytes[blob.place as usize..][..blob.size as usize];
            let kind = if blob.level == CHUNK_LEVEL {
                BlobKind::Chunk
            } else {
                BlobKind::Page
            };
            builder.push(kind, blob.id, sealed);
            blob.place = place;
        }
        let (name, bytes, _) = builder.finish();
        Pack {
            name,
            bytes: bytes.into(),
            blobs,
        }
    }
}

/// A pack that has its row: nothing is to do, unless its object was lost. Then these bytes, which were just checked
/// against the same name, repair it.
async fn keep(store: &dyn Store, key: &Key, bytes: Bytes, blobs: &[NewBlob]) -> Result<PutOutcome, VaultError> {
    let is_there = match store.size(key).await {
        Ok(size) => size == bytes.len() as u64,
        Err(StoreError::NotFound { .. }) => false,
        Err(error) => return Err(error.into()),
    };
    if !is_there {
        tracing::warn!(object = %key, "a lost pack was sent again and is stored again");
        store.put(key, bytes).await?;
    }
    Ok(nothing_new(blobs))
}

fn nothing_new(blobs: &[NewBlob]) -> PutOutcome {
    PutOutcome {
        new_blobs: 0,
        duplicate_blobs: blobs.len() as u64,
    }
}

/// Checks a pack completely: the name, every blob's identity, and that every page is one.
async fn checked(name: PackId, bytes: Bytes) -> Result<Vec<NewBlob>, VaultError> {
    if bytes.len() > PACK_BYTES_MAX {
        let why = format!("it has {} bytes, and at most {PACK_BYTES_MAX} are taken", bytes.len());
        return Err(VaultError::PackRejected { why });
    }
    let checked = hashing(bytes.len(), move || check(name, &bytes)).await?;
    checked.map_err(|why| VaultError::PackRejected { why })
}

fn check(name: PackId, bytes: &[u8]) -> Result<Vec<NewBlob>, String> {
    let toc = verify_pack(name, bytes).map_err(|error| error.to_string())?;
    if toc.entries().is_empty() {
        return Err("it holds nothing".to_owned());
    }
    let blob = |entry: &TocEntry| {
        let range = entry.range();
        Ok(NewBlob {
            id: entry.id,
            place: entry.offset,
            size: entry.length,
            level: level(entry, &bytes[range.start as usize..range.end as usize])?,
        })
    };
    toc.entries().iter().map(blob).collect()
}

/// The level of a blob follows from its bytes alone, whoever sends it: otherwise one who sends another's page as a chunk
/// would spoil it for him. Hence a chunk that reads as a page is refused; a sealed chunk begins with a hash and does so
/// once in 2⁵² times.
fn level(entry: &TocEntry, bytes: &[u8]) -> Result<i8, String> {
    match (entry.kind, parse_visible(bytes)) {
        (BlobKind::Page, Ok(page)) => Ok(page.level as i8),
        (BlobKind::Chunk, Err(_)) => Ok(CHUNK_LEVEL),
        (BlobKind::Page, Err(error)) => Err(format!("blob {} is said to be a page: {error}", entry.id)),
        (BlobKind::Chunk, Ok(_)) => Err(format!("blob {} is said to be a chunk, but is a page", entry.id)),
    }
}
