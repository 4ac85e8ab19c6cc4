//! Fetch: blobs by identity, pack by pack.
//!
//! A machine may fetch every blob of its vault whose identity it can name. Identities are 256-bit hashes of sealed bytes:
//! nobody can guess one, whoever knows one has read it in a page of a recovery point that he can open or sent the blob
//! himself, and what is handed out is sealed. So there is no list of who may read what, which deduplication between
//! machines would make meaningless anyway. Identities of other vaults are unknown here.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use strongroom_db::{IDS_MAX, PackRow};
use strongroom_format::pack::{FOOTER_LENGTH, parse_toc, toc_range};
use strongroom_model::{BlobId, ContainerId, VaultId};
use strongroom_store::{Key, Store};

use crate::damage::unreadable;
use crate::ranges::{self, Run};
use crate::{Damage, VaultError, Vaults, pack_key};

/// One answer of [`Vaults::fetch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The blob's stored bytes; they have the identity.
    Blob {
        /// The blob.
        id: BlobId,
        /// Its bytes.
        bytes: Bytes,
    },
    /// The blob cannot be given.
    Damaged {
        /// The blob.
        id: BlobId,
        /// What is wrong with its pack.
        damage: Damage,
    },
    /// The vault has no such blob.
    Unknown {
        /// The blob.
        id: BlobId,
    },
    /// The end of a pack (its table of contents) is damaged. The blobs have answers of their own.
    Remark {
        /// A blob of that pack.
        id: BlobId,
        /// What is wrong with the pack.
        damage: Damage,
    },
}

/// The answers of [`Vaults::fetch`]. An error ends them.
pub type FetchStream = BoxStream<'static, Result<Fetched, VaultError>>;

/// The reads that are still to do, and the answers that are still to give: those of one run, which is 8 MiB at most.
struct Fetch {
    store: Arc<dyn Store>,
    tasks: VecDeque<Task>,
    answers: VecDeque<Fetched>,
}

struct Task {
    pack: PackRow,
    run: Run,
    /// The first of its pack: it checks the table of contents too, which no blob's identity covers.
    is_first: bool,
}

impl Vaults {
    /// Streams the blobs back, in the order in which they lie; each one named is answered once, however often it was
    /// named. At most [`IDS_MAX`] identities.
    pub async fn fetch(&self, container: ContainerId, ids: Vec<BlobId>) -> Result<FetchStream, VaultError> {
        self.fetch_from(self.container(container).await?.vault, ids).await
    }

    /// As [`Vaults::fetch`], for somebody who may have the vault's recovery points given out.
    pub async fn fetch_from(&self, vault: VaultId, ids: Vec<BlobId>) -> Result<FetchStream, VaultError> {
        if ids.len() > IDS_MAX {
            return Err(VaultError::TooManyIds);
        }
        let fetch = self.plan(vault, ids).await?;
        Ok(try_unfold(fetch, Fetch::next).boxed())
    }

    async fn plan(&self, vault: VaultId, mut ids: Vec<BlobId>) -> Result<Fetch, VaultError> {
        ids.sort_unstable();
        ids.dedup();
        let places = self.db().locate_blobs(vault, &ids).await?;
        let unknown = ids.into_iter().filter(|id| !places.contains_key(id));
        let answers = unknown.map(|id| Fetched::Unknown { id }).collect();
        let mut tasks = VecDeque::new();
        for (pack, runs) in ranges::runs(places) {
            let pack = self.db().pack_by_key(pack).await?.ok_or(VaultError::VaultNotFound)?;
            let task = |(number, run)| Task {
                pack,
                run,
                is_first: number == 0,
            };
            tasks.extend(runs.into_iter().enumerate().map(task));
        }
        let store = self.store(vault).await?;
        Ok(Fetch { store, tasks, answers })
    }
}

impl Fetch {
    async fn next(mut self) -> Result<Option<(Fetched, Fetch)>, VaultError> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Ok(Some((answer, self)));
            }
            let Some(task) = self.tasks.pop_front() else {
                return Ok(None);
            };
            self.work(task).await?;
        }
    }

    async fn work(&mut self, task: Task) -> Result<(), VaultError> {
        let key = pack_key(task.pack.id);
        if task.is_first
            && let Some(damage) = check_table(&*self.store, &key, &task.pack).await?
        {
            let id = task.run.blobs[0].id;
            self.answers.push_back(Fetched::Remark { id, damage });
        }
        for (id, answer) in ranges::read(&*self.store, &key, &task.run).await? {
            self.answers.push_back(match answer {
                Ok(bytes) => Fetched::Blob { id, bytes },
                Err(damage) => Fetched::Damaged { id, damage },
            });
        }
        Ok(())
    }
}

/// Checks the length of a pack, its footer, and its table of contents against its name.
async fn check_table(store: &dyn Store, key: &Key, pack: &PackRow) -> Result<Option<Damage>, VaultError> {
    match store.size(key).await {
        Ok(size) if size != pack.size => {
            let why = format!("it has {size} bytes instead of {}", pack.size);
            return Ok(Some(Damage::of(key, why)));
        }
        Ok(_) => {}
        Err(error) => return unreadable(key, error).map(Some),
    }
    let footer = pack.size.saturating_sub(FOOTER_LENGTH as u64)..pack.size;
    let footer = match store.get_range(key, footer).await {
        Ok(footer) => footer,
        Err(error) => return unreadable(key, error).map(Some),
    };
    let range = footer.as_ref().try_into().map_or_else(
        |_| Err("it is shorter than any pack".to_owned()),
        |footer| toc_range(pack.size, footer).map_err(|error| error.to_string()),
    );
    let range = match range {
        Ok(range) => range,
        Err(why) => return Ok(Some(Damage::of(key, why))),
    };
    match store.get_range(key, range).await {
        Ok(toc) => Ok(parse_toc(pack.id, pack.size, &toc)
            .err()
            .map(|error| Damage::of(key, error))),
        Err(error) => unreadable(key, error).map(Some),
    }
}
