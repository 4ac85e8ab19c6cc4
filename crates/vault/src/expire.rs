//! Expiry: the only place where recovery points stop existing. Their objects stay until they are collected.

use jiff::Timestamp;
use strongroom_db::{AgingItem, ItemRow, Sentence};
use strongroom_model::policy::{Aging, Keep, Verdict, verdicts};
use strongroom_model::{ItemId, PointId};

use crate::{VaultError, Vaults};

/// What a pass over everything whose time has come did.
#[derive(Debug)]
pub struct Pass<I, T> {
    /// What went.
    pub gone: Vec<T>,
    /// What could not go, and why: it does not keep the rest from going, and is tried again by the next pass.
    pub failed: Vec<(I, VaultError)>,
}

impl<I, T> Pass<I, T> {
    pub(crate) fn new() -> Self {
        Self {
            gone: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Notes what became of one; returns what came of it, if it did not fail.
    pub(crate) fn note<U>(&mut self, id: I, done: Result<U, VaultError>) -> Option<U> {
        done.map_err(|error| self.failed.push((id, error))).ok()
    }

    /// How many to skip, as they failed and are still the first: their time came first. `None`: so much fails that the
    /// cause is none of theirs, and the rest waits for the next pass.
    pub(crate) fn skip(&self) -> Option<u32> {
        let failed = u32::try_from(self.failed.len()).unwrap_or(u32::MAX);
        (failed < FAILURES_MAX).then_some(failed)
    }
}

/// How many items are looked at before others get their turn with the database.
const BATCH: u32 = 200;

/// So many failures end a pass, when those that were being looked at are done.
const FAILURES_MAX: u32 = 1000;

impl Vaults {
    /// Lets all recovery points go whose time had come at that moment, which is believed
    /// ([`crate::ClockLook::believed`]).
    pub async fn expire(&self, now: Timestamp) -> Result<Pass<ItemId, (ItemId, PointId)>, VaultError> {
        let mut pass = Pass::new();
        while let Some(skip) = pass.skip() {
            let items = self.db().items_to_look_at(now, skip, BATCH).await?;
            if items.is_empty() {
                break;
            }
            for item in items {
                let gone = self.db().expire_points(item, |aging| sentence(aging, now)).await;
                let gone = pass.note(item, gone.map_err(VaultError::from)).unwrap_or_default();
                pass.gone.extend(gone.into_iter().map(|point| (item, point)));
            }
        }
        Ok(pass)
    }

    /// Deletes soft-deleted items whose days were over at that moment, which is believed, with all their recovery
    /// points.
    pub async fn purge(&self, now: Timestamp) -> Result<Pass<ItemId, ItemRow>, VaultError> {
        let mut pass = Pass::new();
        while let Some(skip) = pass.skip() {
            let items = self.db().items_to_purge(now, skip, BATCH).await?;
            if items.is_empty() {
                break;
            }
            for item in items {
                let purged = self.db().purge_item(item.id, now).await;
                if let Some(true) = pass.note(item.id, purged.map_err(VaultError::from)) {
                    pass.gone.push(item);
                }
            }
        }
        Ok(pass)
    }
}

/// What becomes of an item's points at a moment.
pub(crate) fn judge(aging: &AgingItem, now: Timestamp) -> Vec<Verdict> {
    let how = aging.state.aging(aging.is_soft_deleted);
    match &aging.policy {
        Some(policy) => verdicts(&aging.points, policy, how, now),
        // Nobody said how long.
        None => {
            let why = match how {
                Aging::SoftDeleted => Keep::SoftDeleted,
                Aging::ByPolicy | Aging::Stopped => Keep::Stopped,
            };
            vec![Verdict::Keep(why); aging.points.len()]
        }
    }
}

fn sentence(aging: &AgingItem, now: Timestamp) -> Sentence {
    let verdicts = judge(aging, now);
    let expire = (aging.points.iter().zip(&verdicts))
        .filter(|(_, verdict)| matches!(verdict, Verdict::Expire(_)))
        .map(|(point, _)| point.point);
    Sentence {
        expire: expire.collect(),
        look_again: verdicts.iter().filter_map(Verdict::changes_at).min(),
    }
}
