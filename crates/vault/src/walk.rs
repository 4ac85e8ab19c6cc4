//! Following a recovery point's tree by the visible parts of its pages: no key is needed.
//!
//! The walk goes down level by level, so that it needs no more memory than the identities of one level's pages. What a
//! page of level n refers to has level n − 1 (a chunk: −1): the tree is as deep as its root says, 16 at most, and no page
//! can refer to itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use strongroom_db::{BlobPlace, CHUNK_LEVEL, IDS_MAX, PackKey};
use strongroom_format::page::parse_visible;
use strongroom_model::{BlobId, VaultId};
use strongroom_store::{Key, Store};

use crate::ranges::{self, Run};
use crate::{Damage, VaultError, Vaults, pack_key};

/// Which pages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Those that are not marked verified: what a commit must see.
    Unverified,
    /// All of them: what a scrub must see.
    Whole,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The pages that were read and are right, level by level, the root first.
    pub(crate) pages: Vec<Vec<BlobId>>,
    /// What is referred to and not there; at most [`IDS_MAX`].
    pub(crate) missing: BTreeSet<BlobId>,
    /// Whether the walk ended early, because it had found so many missing.
    pub(crate) is_truncated: bool,
    /// A reference to a blob of the wrong level.
    pub(crate) misplaced: Option<String>,
    /// Pages that cannot be read. What is below them was not seen.
    pub(crate) damages: Vec<Damage>,
    /// The packs of all that is referred to.
    pub(crate) packs: BTreeSet<PackKey>,
}

struct Walk<'a> {
    vaults: &'a Vaults,
    vault: VaultId,
    store: Arc<dyn Store>,
    extent: Extent,
    /// The names of packs that were read from.
    keys: BTreeMap<PackKey, Key>,
    /// The pages of the next level.
    next: HashMap<BlobId, BlobPlace>,
    found: Found,
}

/// Follows the tree below `root`.
pub(crate) async fn walk(vaults: &Vaults, vault: VaultId, root: BlobId, extent: Extent) -> Result<Found, VaultError> {
    let mut walk = Walk {
        vaults,
        vault,
        store: vaults.store(vault).await?,
        extent,
        keys: BTreeMap::new(),
        next: HashMap::new(),
        found: Found::default(),
    };
    walk.start(root).await?;
    while !walk.next.is_empty() && walk.found.misplaced.is_none() && !walk.found.is_truncated {
        walk.level().await?;
    }
    Ok(walk.found)
}

impl Walk<'_> {
    async fn start(&mut self, root: BlobId) -> Result<(), VaultError> {
        let places = self.vaults.db().locate_blobs(self.vault, &[root]).await?;
        match places.get(&root) {
            None => drop(self.found.missing.insert(root)),
            Some(place) if place.level == CHUNK_LEVEL => {
                self.found.misplaced = Some(format!("its root {root} is a chunk"));
            }
            Some(place) => self.turn_to(root, *place),
        }
        Ok(())
    }

    /// Notes a blob that is there; a page that must be read is read with the next level.
    fn turn_to(&mut self, id: BlobId, place: BlobPlace) {
        self.found.packs.insert(place.pack);
        let is_done = self.extent == Extent::Unverified && place.verified;
        if place.level > CHUNK_LEVEL && !is_done {
            self.next.insert(id, place);
        }
    }

    /// Reads the pages of a level.
    async fn level(&mut self) -> Result<(), VaultError> {
        self.found.pages.push(Vec::new());
        let places = std::mem::take(&mut self.next);
        let level = places.values().next().map_or(0, |place| place.level);
        for (pack, runs) in ranges::runs(places) {
            let key = self.key(pack).await?;
            for run in runs {
                self.run(&key, &run, level).await?;
            }
        }
        Ok(())
    }

    async fn run(&mut self, key: &Key, run: &Run, level: i8) -> Result<(), VaultError> {
        let mut references = Vec::new();
        for (id, page) in ranges::read(&*self.store, key, run).await? {
            match page.and_then(|bytes| read_page(key, id, &bytes)) {
                Err(damage) => self.found.damages.push(damage),
                Ok(refs) => {
                    references.extend(refs);
                    self.found.pages.last_mut().expect("pushed with the level").push(id);
                }
            }
        }
        references.sort_unstable();
        references.dedup();
        for batch in references.chunks(IDS_MAX) {
            self.follow(batch, level - 1).await?;
        }
        Ok(())
    }

    /// Follows references to blobs that must have this level.
    async fn follow(&mut self, references: &[BlobId], level: i8) -> Result<(), VaultError> {
        let places = self.vaults.db().locate_blobs(self.vault, references).await?;
        for id in references {
            match places.get(id) {
                None if self.found.missing.len() < IDS_MAX => drop(self.found.missing.insert(*id)),
                None => self.found.is_truncated = true,
                Some(place) if place.level != level => {
                    let why = format!(
                        "it refers to blob {id} as of level {level}, which has level {}",
                        place.level
                    );
                    self.found.misplaced = Some(why);
                }
                Some(place) => self.turn_to(*id, *place),
            }
        }
        Ok(())
    }

    async fn key(&mut self, pack: PackKey) -> Result<Key, VaultError> {
        if let Some(key) = self.keys.get(&pack) {
            return Ok(key.clone());
        }
        let row = self.vaults.db().pack_by_key(pack).await?;
        // The row of a blob refers to that of its pack.
        let key = pack_key(row.ok_or(VaultError::VaultNotFound)?.id);
        self.keys.insert(pack, key.clone());
        Ok(key)
    }
}

fn read_page(key: &Key, id: BlobId, bytes: &Bytes) -> Result<Vec<BlobId>, Damage> {
    let page = parse_visible(bytes).map_err(|error| Damage::of(key, format!("page {id}: {error}")))?;
    Ok(page.refs.iter().collect())
}
