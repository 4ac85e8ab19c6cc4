//! Expiry: the only place where recovery points stop existing. Their objects stay until they are collected.

use jiff::Timestamp;
use strongroom_db::{AgingItem, ItemRow, Sentence};
use strongroom_model::policy::{Aging, Keep, Verdict, verdicts};
use strongroom_model::{ItemId, PointId};

use crate::{VaultError, Vaults};

/// What a pass of expiry did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Items that were looked at.
    pub items: u64,
    /// Recovery points that went.
    pub points: Vec<(ItemId, PointId)>,
}

/// How many items are looked at before others get their turn with the database.
const BATCH: u32 = 200;

impl Vaults {
    /// Lets all recovery points go whose time had come at that moment, which is believed
    /// ([`crate::ClockLook::believed`]).
    pub async fn expire(&self, now: Timestamp) -> Result<Expired, VaultError> {
        let mut expired = Expired::default();
        loop {
            let items = self.db().items_to_look_at(now, BATCH).await?;
            if items.is_empty() {
                return Ok(expired);
            }
            for item in items {
                let gone = self.db().expire_points(item, |aging| sentence(aging, now)).await?;
                expired.items += 1;
                expired.points.extend(gone.into_iter().map(|point| (item, point)));
            }
        }
    }

    /// Deletes soft-deleted items whose days were over at that moment, which is believed, with all their recovery
    /// points.
    pub async fn purge(&self, now: Timestamp) -> Result<Vec<ItemRow>, VaultError> {
        let mut purged = Vec::new();
        loop {
            let items = self.db().items_to_purge(now, BATCH).await?;
            if items.is_empty() {
                return Ok(purged);
            }
            for item in items {
                if self.db().purge_item(item.id, now).await? {
                    purged.push(item);
                }
            }
        }
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
