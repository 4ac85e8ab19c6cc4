//! A seed becomes a recovery point: its objects are sent to the service as its machine would have sent them.
//!
//! Every step may run twice: packs that the vault has are not sent again, and the recovery point is made once.

use std::path::Path;

use bytes::Bytes;
use serde::Serialize;
use strongroom_api::{Client, SeedOf};
use strongroom_engine::{EngineError, Progress};
use strongroom_format::pack::verify_pack;
use strongroom_format::point::{POINT_BYTES_MAX, point_digest};
use strongroom_model::{BlobId, PackId, PointId, SessionId, VaultName};
use strongroom_store::{Disk, Key, Store};

use crate::error::AgentError;
use crate::inventory::{lacking, listed};
use crate::seed::{DESCRIPTION, DESCRIPTION_BYTES_MAX, SeedDescription, point_name};
use crate::store_vault::{read, read_toc};

/// Objects that a refusal names; the others are counted.
const NAMED_MAX: usize = 20;

/// A seed whose objects are all there.
pub struct Seed {
    store: Disk,
    description: SeedDescription,
    /// Its packs with their sizes.
    packs: Vec<(String, u64)>,
}

/// What an import did.
#[derive(Clone, Debug, Serialize)]
pub struct SeedImported {
    /// The recovery point, which exists now.
    pub point: PointId,
    /// How many packs were sent.
    pub packs_sent: u64,
    /// How many bytes they had.
    pub bytes_sent: u64,
    /// How many packs the vault had already.
    pub packs_known: u64,
}

impl Seed {
    /// Opens the seed in a folder, and sees that nothing of it is missing or cut short.
    ///
    /// # Errors
    /// [`AgentError::Seed`] names the objects.
    pub async fn open(folder: &Path) -> Result<Self, AgentError> {
        let failed = |why: String| AgentError::Seed(format!("{}: {why}", folder.display()));
        let store = Disk::open_read_only(folder).map_err(|error| AgentError::Store(error.to_string()))?;
        let description = Key::new(DESCRIPTION).expect("it is a name of an object");
        if store.size(&description).await.is_err() {
            return Err(failed(format!(
                "there is no whole seed: it has no {DESCRIPTION}. Name the folder that `strongroom backup --seed-to` has \
                 filled, or let that end first"
            )));
        }
        let description = read(&store, DESCRIPTION, DESCRIPTION_BYTES_MAX)
            .await
            .map_err(&failed)?;
        let description: SeedDescription = serde_json::from_slice(&description)
            .map_err(|error| failed(format!("{DESCRIPTION} is damaged: {error}")))?;
        if description.format != SeedDescription::FORMAT {
            return Err(failed(
                "a newer strongroom made this seed: use that to import it".to_owned(),
            ));
        }
        let objects = listed(&store, description.list).await.map_err(&failed)?;
        refuse_lacking(&store, &objects).await.map_err(&failed)?;
        let packs = objects.into_iter().filter(|(name, _)| name.starts_with("packs/"));
        Ok(Self {
            packs: packs.collect(),
            store,
            description,
        })
    }

    /// What it says of itself.
    pub fn description(&self) -> &SeedDescription {
        &self.description
    }

    /// Has the service take it in.
    pub async fn import(
        &self,
        client: &Client,
        vault: &VaultName,
        progress: &Progress,
    ) -> Result<SeedImported, AgentError> {
        let seed = SeedOf {
            vault,
            statement: &self.description.statement,
        };
        let point = self.point().await?;
        let session = client.begin_seed(seed).await?.id;
        progress.expect(self.packs.len() as u64, self.packs.iter().map(|(_, size)| size).sum());
        let mut imported = SeedImported {
            point: self.description.point,
            packs_sent: 0,
            bytes_sent: 0,
            packs_known: 0,
        };
        for (object, size) in &self.packs {
            if progress.is_cancelled() {
                return Err(EngineError::Cancelled.into());
            }
            match self.lacking(client, seed, session, object, *size).await? {
                None => imported.packs_known += 1,
                Some((name, bytes)) => {
                    client.put_seed_pack(seed, session, name, bytes).await?;
                    imported.packs_sent += 1;
                    imported.bytes_sent += size;
                    progress.add_new_bytes(*size);
                }
            }
            progress.add_entries(1);
            progress.add_bytes(*size);
        }
        client.commit_seed(seed, session, point).await?;
        Ok(imported)
    }

    async fn point(&self) -> Result<Bytes, AgentError> {
        let name = point_name(self.description.item, self.description.point);
        let read = read(&self.store, &name, POINT_BYTES_MAX as u64).await;
        let point = read.map_err(|why| AgentError::Seed(format!("{name} is damaged: {why}")))?;
        match point_digest(&point) == self.description.digest {
            true => Ok(point),
            false => Err(damaged(&name, "it is not what the machine wrote")),
        }
    }

    /// A pack that has something which the vault lacks, checked.
    async fn lacking(
        &self,
        client: &Client,
        seed: SeedOf<'_>,
        session: SessionId,
        object: &str,
        size: u64,
    ) -> Result<Option<(PackId, Bytes)>, AgentError> {
        let (name, toc) = read_toc(&self.store, object)
            .await
            .map_err(|why| damaged(object, why))?;
        let ids: Vec<BlobId> = toc.entries().iter().map(|entry| entry.id).collect();
        let mut lacks = false;
        for batch in ids.chunks(strongroom_api::IDENTITIES_MAX) {
            lacks |= client.missing_of_seed(seed, session, batch).await?.contains(&true);
        }
        if !lacks {
            return Ok(None);
        }
        let bytes = read(&self.store, object, size)
            .await
            .map_err(|why| damaged(object, why))?;
        verify_pack(name, &bytes).map_err(|error| damaged(object, error))?;
        Ok(Some((name, bytes)))
    }
}

fn damaged(object: &str, why: impl std::fmt::Display) -> AgentError {
    AgentError::Seed(format!(
        "{object} is damaged: {why}. Copy that object again from the disk that the machine wrote, or have the seed made anew; \
         what was imported before it stays"
    ))
}

/// Half a copy is told before anything is sent.
async fn refuse_lacking(store: &Disk, objects: &[(String, u64)]) -> Result<(), String> {
    let lacking = lacking(store, objects).await;
    if lacking.is_empty() {
        return Ok(());
    }
    let named = lacking.iter().take(NAMED_MAX);
    let named: Vec<String> = named.map(|lack| format!("{} {}", lack.object, lack.why)).collect();
    let more = match lacking.len() - named.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Err(format!(
        "the seed is not whole: {}{more}. Copy it again",
        named.join(", ")
    ))
}
