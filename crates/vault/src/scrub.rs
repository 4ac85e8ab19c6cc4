//! Scrub: reading everything again, without a key, and naming what is damaged.
//!
//! One pack (40 MiB at most) is in memory at a time. A damaged object is named once, and does not end the scrub.

use std::collections::BTreeMap;

use bytes::Bytes;
use strongroom_db::{BlobPlace, IDS_MAX, PackKey, PackRow, PointRow, PointsOf, Viewer};
use strongroom_format::pack::{BlobKind, Toc, TocEntry, verify_pack};
use strongroom_format::page::parse_visible;
use strongroom_model::{BlobId, PointId, VaultId};

use crate::blocking::hashing;
use crate::damage::{read_sized, read_whole};
use crate::walk::{Extent, walk};
use crate::{Damage, VaultError, Vaults, key_set_key, pack_key};

/// Packs that are listed at once.
const PACKS_LISTED: u32 = 256;

/// What was found, each object once.
#[derive(Default)]
struct Findings(BTreeMap<String, String>);

impl Findings {
    fn add(&mut self, damages: impl IntoIterator<Item = Damage>) {
        for Damage { object, why } in damages {
            self.0.entry(object).or_insert(why);
        }
    }

    fn finish(self) -> Vec<Damage> {
        (self.0.into_iter())
            .map(|(object, why)| Damage { object, why })
            .collect()
    }
}

impl Vaults {
    /// Checks every object that a recovery point needs, completely; `vault.json` too.
    pub async fn scrub_point(&self, viewer: impl Into<Viewer>, id: PointId) -> Result<Vec<Damage>, VaultError> {
        let viewer = viewer.into();
        let point = self.point(viewer, id).await?;
        let mut findings = Findings::default();
        findings.add(self.check_point(viewer, id).await?);
        let found = walk(self, point.vault, point.root, Extent::Whole).await?;
        findings.add(lacking(&found.missing.into_iter().collect::<Vec<_>>()));
        findings.add(found.misplaced.map(Damage::of_index));
        for pack in found.packs {
            let row = self.db().pack_by_key(pack).await?.ok_or(VaultError::VaultNotFound)?;
            findings.add(self.verified(point.vault, row).await?.err());
        }
        // After the packs, which say more of what is wrong with them.
        findings.add(found.damages);
        Ok(findings.finish())
    }

    /// Checks every object of a vault, and that the index has all that the packs hold and the pages refer to.
    pub async fn scrub(&self, vault: VaultId) -> Result<Vec<Damage>, VaultError> {
        let mut findings = Findings::default();
        findings.add(self.check_vault_file(vault).await?);
        findings.add(self.check_key_sets(vault).await?);
        for point in self.db().points(vault, PointsOf::Vault).await? {
            findings.add(self.read_point(&point).await?.err());
            findings.add(self.check_root(&point).await?);
        }
        let mut after = PackKey::START;
        loop {
            let packs = self.db().packs_after(vault, after, PACKS_LISTED).await?;
            let Some(last) = packs.last() else { break };
            after = last.key;
            for row in packs {
                findings.add(self.check_pack(vault, row).await?);
            }
        }
        Ok(findings.finish())
    }

    async fn check_key_sets(&self, vault: VaultId) -> Result<Vec<Damage>, VaultError> {
        let store = self.store(vault).await?;
        let mut damages = Vec::new();
        for row in self.db().key_sets(vault).await? {
            let read = read_whole(&*store, &key_set_key(row.id), row.size, row.digest).await?;
            damages.extend(read.err());
        }
        Ok(damages)
    }

    async fn check_root(&self, point: &PointRow) -> Result<Option<Damage>, VaultError> {
        let places = self.db().locate_blobs(point.vault, &[point.root]).await?;
        let is_complete = places.get(&point.root).is_some_and(|place| place.verified);
        let why = || format!("the root of recovery point {} is not known to be complete", point.id);
        Ok((!is_complete).then(|| Damage::of_index(why())))
    }

    async fn check_pack(&self, vault: VaultId, row: PackRow) -> Result<Vec<Damage>, VaultError> {
        let (toc, bytes) = match self.verified(vault, row).await? {
            Ok(checked) => checked,
            Err(damage) => return Ok(vec![damage]),
        };
        let mut damages = Vec::new();
        for entries in toc.entries().chunks(IDS_MAX) {
            let ids: Vec<BlobId> = entries.iter().map(|entry| entry.id).collect();
            let places = self.db().locate_blobs(vault, &ids).await?;
            let absent: Vec<BlobId> = ids.into_iter().filter(|id| !places.contains_key(id)).collect();
            damages.extend(lacking(&absent));
            let verified = |entry: &&TocEntry| places.get(&entry.id).is_some_and(|place: &BlobPlace| place.verified);
            for page in entries.iter().filter(verified) {
                damages.extend(self.check_references(vault, page, &bytes).await?);
            }
        }
        Ok(damages)
    }

    /// All that a verified page refers to is known.
    async fn check_references(
        &self,
        vault: VaultId,
        entry: &TocEntry,
        pack: &Bytes,
    ) -> Result<Option<Damage>, VaultError> {
        let range = entry.range();
        let bytes = &pack[range.start as usize..range.end as usize];
        let refs: Vec<BlobId> = match parse_visible(bytes) {
            Ok(page) if entry.kind == BlobKind::Page => page.refs.iter().collect(),
            _ => return Ok(Some(Damage::of_index(format!("blob {} is marked as a page", entry.id)))),
        };
        let mut absent = Vec::new();
        for batch in refs.chunks(IDS_MAX) {
            let missing = self.db().missing_blobs(vault, batch).await?;
            absent.extend(
                batch
                    .iter()
                    .zip(missing)
                    .filter(|(_, missing)| *missing)
                    .map(|(id, _)| *id),
            );
        }
        Ok(lacking(&absent))
    }

    /// Reads a whole pack and checks every byte.
    async fn verified(&self, vault: VaultId, row: PackRow) -> Result<Result<(Toc, Bytes), Damage>, VaultError> {
        let (store, key) = (self.store(vault).await?, pack_key(row.id));
        let bytes = match read_sized(&*store, &key, row.size).await? {
            Ok(bytes) => bytes,
            Err(damage) => return Ok(Err(damage)),
        };
        let checked = bytes.clone();
        let toc = hashing(bytes.len(), move || verify_pack(row.id, &checked)).await?;
        Ok(match toc {
            Ok(toc) => Ok((toc, bytes)),
            Err(error) => Err(Damage::of(&key, error)),
        })
    }
}

fn lacking(ids: &[BlobId]) -> Option<Damage> {
    let first = ids.first()?;
    let why = format!("{} blobs that are needed are not in it, such as {first}", ids.len());
    Some(Damage::of_index(why))
}
