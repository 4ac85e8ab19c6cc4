//! Reading blobs out of packs: neighbours in one read, each checked against its identity.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use strongroom_db::{BlobPlace, PackKey};
use strongroom_format::blob_id;
use strongroom_format::pack::BLOB_BYTES_MAX;
use strongroom_model::BlobId;
use strongroom_store::{Key, Store, StoreError};

use crate::damage::unreadable;
use crate::{Damage, VaultError};

/// Blobs that are no farther apart are read together: reading so many bytes costs less than another read.
const GAP_BYTES_MAX: u64 = 64 << 10;
/// One read is no longer, so that memory is bounded: one run is being handed out while at most one more is read.
const RUN_BYTES_MAX: u64 = BLOB_BYTES_MAX as u64;

/// A blob of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) id: BlobId,
    place: u64,
    size: u32,
}

impl Wanted {
    fn range(&self) -> Range<u64> {
        self.place..self.place + u64::from(self.size)
    }
}

/// Blobs of one pack that are read together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    range: Range<u64>,
    pub(crate) blobs: Vec<Wanted>,
}

/// Reads to do, pack by pack, oldest pack first, and in each from front to back.
pub(crate) fn runs(places: impl IntoIterator<Item = (BlobId, BlobPlace)>) -> BTreeMap<PackKey, Vec<Run>> {
    let mut packs: BTreeMap<PackKey, Vec<Wanted>> = BTreeMap::new();
    for (id, BlobPlace { pack, place, size, .. }) in places {
        packs.entry(pack).or_default().push(Wanted { id, place, size });
    }
    (packs.into_iter()).map(|(pack, blobs)| (pack, joined(blobs))).collect()
}

fn joined(mut blobs: Vec<Wanted>) -> Vec<Run> {
    blobs.sort_unstable_by_key(|blob| (blob.place, blob.size));
    let mut runs: Vec<Run> = Vec::new();
    for blob in blobs {
        let range = blob.range();
        match runs.last_mut() {
            Some(run) if fits(&run.range, &range) => {
                run.range.end = run.range.end.max(range.end);
                run.blobs.push(blob);
            }
            _ => runs.push(Run {
                range,
                blobs: vec![blob],
            }),
        }
    }
    runs
}

fn fits(run: &Range<u64>, blob: &Range<u64>) -> bool {
    blob.start <= run.end + GAP_BYTES_MAX && blob.end - run.start <= RUN_BYTES_MAX
}

/// The blobs of a run, each checked, or what is wrong. One that cannot be read does not hide its neighbours.
pub(crate) async fn read(
    store: &dyn Store,
    key: &Key,
    run: &Run,
) -> Result<Vec<(BlobId, Result<Bytes, Damage>)>, VaultError> {
    match store.get_range(key, run.range.clone()).await {
        Ok(bytes) => {
            let cut = |blob: &Wanted| {
                let start = (blob.place - run.range.start) as usize;
                bytes.slice(start..start + blob.size as usize)
            };
            Ok((run.blobs.iter())
                .map(|blob| (blob.id, checked(key, blob, cut(blob))))
                .collect())
        }
        Err(StoreError::Crashed) => Err(StoreError::Crashed.into()),
        Err(_) => singly(store, key, run).await,
    }
}

async fn singly(store: &dyn Store, key: &Key, run: &Run) -> Result<Vec<(BlobId, Result<Bytes, Damage>)>, VaultError> {
    let mut answers = Vec::with_capacity(run.blobs.len());
    for blob in &run.blobs {
        let answer = match store.get_range(key, blob.range()).await {
            Ok(bytes) => checked(key, blob, bytes),
            Err(error) => Err(unreadable(key, error)?),
        };
        answers.push((blob.id, answer));
    }
    Ok(answers)
}

fn checked(key: &Key, blob: &Wanted, bytes: Bytes) -> Result<Bytes, Damage> {
    match blob_id(&bytes) == blob.id {
        true => Ok(bytes),
        false => {
            let why = format!("blob {} at offset {} is damaged", blob.id, blob.place);
            Err(Damage::of(key, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(blobs: &[(u64, u32)], expected: &[(u64, u64)]) {
        let wanted = blobs.iter().map(|&(place, size)| Wanted {
            id: BlobId::from_bytes([0; 32]),
            place,
            size,
        });
        let runs = joined(wanted.collect());
        let ranges: Vec<(u64, u64)> = runs.iter().map(|run| (run.range.start, run.range.end)).collect();
        assert_eq!(ranges, expected, "{blobs:?}");
        assert_eq!(runs.iter().map(|run| run.blobs.len()).sum::<usize>(), blobs.len());
    }

    #[test]
    fn neighbours_are_read_together() {
        const GAP: u64 = GAP_BYTES_MAX;
        check(&[], &[]);
        check(&[(5, 0)], &[(5, 5)]);
        check(&[(10, 10), (0, 10)], &[(0, 20)]);
        check(&[(0, 10), (10 + GAP, 10)], &[(0, 20 + GAP)]);
        check(&[(0, 10), (11 + GAP, 10)], &[(0, 10), (11 + GAP, 21 + GAP)]);
        let half = RUN_BYTES_MAX as u32 / 2;
        let end = u64::from(half) * 2;
        check(
            &[(0, half), (u64::from(half), half), (end, 1)],
            &[(0, end), (end, end + 1)],
        );
    }
}
