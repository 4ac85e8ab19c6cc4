//! The life of protected items: put under a policy, stopped, resumed, deleted and brought back.

use jiff::{SignedDuration, Timestamp};
use strongroom_db::{
    Actor, AgingItem, ItemNext, ItemQuery, ItemRow, ItemSeen, JobReport, JobRow, NextPolicy, PointRow, PointsOf,
};
use strongroom_model::policy::{Aging, Kept, Policy, Verdict, verdicts};
use strongroom_model::{
    GuardedOperation, ItemChange, ItemId, ItemState, JobError, JobState, MachineName, Operation, PolicyName,
    SoftDelete, VaultId, VaultSettings,
};

use crate::guards::{Subject, Wish};
use crate::{VaultError, Vaults};

/// Why an item without a policy gets none in an immutable vault once it has points, and what to do instead.
const FOR_EVER: &str = "it has recovery points that no policy lets go, so that they are kept for ever, and no policy \
    would keep them as long; register the machine under another name, which makes a new item, and put that under the \
    policy; or, while the vault is not locked, switch its immutability off first";

/// How backups of an item are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All of its points stay for ever.
    Retain,
    /// Its points age as its policy says, but for the last.
    RetainByPolicy,
    /// Its points go: into soft delete while the vault has that on.
    Delete,
}

/// A change of an item that was made, and the job that tells of it.
#[derive(Clone, Debug)]
pub struct ItemChanged {
    /// The item as it is now; `None`: it is gone.
    pub item: Option<ItemRow>,
    /// The job.
    pub job: JobRow,
}

impl Vaults {
    /// Items of a vault by name.
    ///
    /// Returns also what to say as [`ItemQuery::after`] for the next page, if there is one.
    pub async fn items(&self, vault: VaultId, query: &ItemQuery) -> Result<(Vec<ItemRow>, Option<String>), VaultError> {
        Ok(self.db().items(vault, query).await?)
    }

    /// An item of a vault: by its id, or by the name of its machine. A registered machine comes before a virtual one, and both
    /// before those that had the name once; of several of these none is meant.
    pub async fn item(&self, vault: VaultId, text: &str) -> Result<ItemRow, VaultError> {
        if let Ok(id) = text.parse::<ItemId>() {
            let found = self.db().item(id).await?.filter(|item| item.vault == vault);
            return found.ok_or(VaultError::ItemNotFound);
        }
        let Ok(name) = text.parse::<MachineName>() else {
            return Err(VaultError::ItemNotFound);
        };
        if let Some(item) = self.db().item_by_name(vault, &name).await? {
            return Ok(item);
        }
        if let Some(machine) = self.db().virtual_machine(vault, &name).await? {
            return self.item_of(machine.item).await;
        }
        let mut left = self.db().items_left_by(vault, &name, 2).await?;
        match (left.pop(), left.is_empty()) {
            (Some(item), true) => Ok(item),
            (Some(_), false) => Err(VaultError::ItemAmbiguous { name }),
            (None, _) => Err(VaultError::ItemNotFound),
        }
    }

    /// The item with this id.
    pub async fn item_of(&self, id: ItemId) -> Result<ItemRow, VaultError> {
        self.db().item(id).await?.ok_or(VaultError::ItemNotFound)
    }

    /// An item's recovery points, oldest first.
    pub async fn item_points(&self, item: &ItemRow) -> Result<Vec<PointRow>, VaultError> {
        Ok(self.db().points(item.vault, PointsOf::Item(item.id)).await?)
    }

    /// What becomes of each of an item's points, oldest first.
    pub async fn verdicts(&self, item: ItemId) -> Result<Vec<(Kept, Verdict)>, VaultError> {
        let aging = self.db().aging_item(item).await?.ok_or(VaultError::ItemNotFound)?;
        let verdicts = crate::expire::judge(&aging, self.now());
        Ok(aging.points.into_iter().zip(verdicts).collect())
    }

    /// Puts an item under a policy: the first one, another one, or again after a stop.
    pub async fn protect(
        &self,
        by: &Actor,
        item: &ItemRow,
        policy: &PolicyName,
        version: Option<u64>,
    ) -> Result<ItemChanged, VaultError> {
        let row = self.policy(item.vault, policy).await?;
        if row.workload != item.workload {
            return Err(VaultError::OtherWorkload {
                policy: row.name,
                of: row.workload,
                item: item.workload,
            });
        }
        let present = self.db().aging_item(item.id).await?.and_then(|aging| aging.policy);
        let lowered = is_lowered(item, present.as_ref(), &row.policy);
        let operations: &[_] = match lowered {
            true => &[GuardedOperation::LowerProtection],
            false => &[],
        };
        let wish = Wish {
            vault: item.vault,
            by,
            operations,
            subject: &Subject::Item(Box::new(item.clone())),
        };
        let decide = move |seen: &ItemSeen<'_>| {
            let item = seen.item;
            allows(item, ItemChange::Protect, version)?;
            if let Some(given) = seen.given {
                refuse_lowering(seen, given)?;
                // One of the policies, or the item, is not any more what it was when it was seen whether somebody has to be
                // asked.
                if !lowered && is_lowered(item, seen.aging.policy.as_ref(), given) {
                    return Err(VaultError::OtherVersion { version: item.version });
                }
            }
            let has_points = item.latest_point.is_some();
            let state = match item.state {
                ItemState::IRPending | ItemState::ProtectionError | ItemState::Protected => item.state,
                _ if has_points => ItemState::Protected,
                _ => ItemState::IRPending,
            };
            Ok::<_, VaultError>(ItemNext {
                state,
                policy: NextPolicy::Given,
                deleted: None,
            })
        };
        let changed = async {
            let changed = self.db().change_item(item.id, Some(policy), self.now(), decide).await?;
            // The policy may have gone between.
            changed.ok_or_else(|| VaultError::PolicyNotFound { name: policy.clone() })?
        };
        let item = self.guarded(wish, changed).await?;
        let job = self.note_done(item.id, Operation::ConfigureBackup).await?;
        Ok(ItemChanged { item: Some(item), job })
    }

    /// Stops the backups of an item. What it is doing just now is cancelled.
    pub async fn stop(
        &self,
        by: &Actor,
        item: &ItemRow,
        how: Stop,
        version: Option<u64>,
    ) -> Result<ItemChanged, VaultError> {
        let operation = match how {
            Stop::Delete => GuardedOperation::DeleteData,
            Stop::Retain | Stop::RetainByPolicy => GuardedOperation::StopProtection,
        };
        let wish = Wish {
            vault: item.vault,
            by,
            operations: &[operation],
            subject: &Subject::Item(Box::new(item.clone())),
        };
        let now = self.now();
        if how == Stop::Delete {
            self.check_immutable(item, now).await?;
        }
        let decide = move |seen: &ItemSeen<'_>| {
            if how == Stop::Delete {
                refuse_deletion(seen.aging, seen.settings, now)?;
            }
            stopped(seen.item, how, version, seen.settings, now)
        };
        let changed = async {
            let changed = self.db().change_item(item.id, None, now, decide).await?;
            changed.ok_or(VaultError::ItemNotFound)?
        };
        let changed = self.guarded(wish, changed).await?;
        self.end_jobs_of(&changed).await?;
        let operation = match how {
            Stop::Delete => Operation::DeleteBackupData,
            Stop::Retain | Stop::RetainByPolicy => Operation::DisableBackup,
        };
        let job = self.note_done(item.id, operation).await?;
        let item = self.unless_gone(changed, now).await?;
        Ok(ItemChanged { item, job })
    }

    /// Purges an item that was deleted at this very moment for no days. One that was deleted before waits for a time
    /// that is believed, whatever the clock says now. Returns the item, if it stays.
    pub(crate) async fn unless_gone(&self, item: ItemRow, now: Timestamp) -> Result<Option<ItemRow>, VaultError> {
        let is_now = item.deleted == Some(now) && item.purge_at == Some(now);
        match is_now && self.db().purge_item(item.id, now).await? {
            true => Ok(None),
            false => Ok(Some(item)),
        }
    }

    /// Brings a soft-deleted item back, stopped with its data retained.
    pub async fn undelete(&self, item: &ItemRow, version: Option<u64>) -> Result<ItemChanged, VaultError> {
        let decide = move |seen: &ItemSeen<'_>| {
            allows(seen.item, ItemChange::Undelete, version)?;
            Ok::<_, VaultError>(ItemNext {
                state: ItemState::ProtectionStopped,
                policy: NextPolicy::Same,
                deleted: None,
            })
        };
        let changed = self.db().change_item(item.id, None, self.now(), decide).await?;
        let item = changed.ok_or(VaultError::ItemNotFound)??;
        let job = self.note_done(item.id, Operation::Undelete).await?;
        Ok(ItemChanged { item: Some(item), job })
    }

    /// Refuses what will be refused in the end, before a second person is asked for it in vain: the vault is immutable and
    /// the item has points whose time has not come.
    async fn check_immutable(&self, item: &ItemRow, now: Timestamp) -> Result<(), VaultError> {
        let settings = self.vault(item.vault).await?.settings;
        if !settings.is_immutable() {
            return Ok(());
        }
        let aging = self.db().aging_item(item.id).await?.ok_or(VaultError::ItemNotFound)?;
        refuse_deletion(&aging, &settings, now)
    }

    /// Ends what is queued for a stopped item, and tells its machine to stop what it does.
    async fn end_jobs_of(&self, item: &ItemRow) -> Result<(), VaultError> {
        for job in self.db().open_jobs(item.container).await? {
            if job.item != item.id || job.operation != Operation::Backup {
                continue;
            }
            if self.db().cancel_job(job.id, self.now()).await? == Some(JobState::Cancelling) {
                let mut report = JobReport::default();
                report.errors.push(JobError {
                    code: "ProtectionStopped".to_owned(),
                    message: "Protection of the item was stopped while it was backed up".to_owned(),
                    recommendations: Vec::new(),
                });
                let ended = self
                    .db()
                    .finish_job(job.id, None, JobState::Cancelled, &report, self.now());
                ended.await?;
            }
        }
        Ok(())
    }
}

/// Refuses to delete an item whose points' time has not come, if the vault is immutable.
pub(crate) fn refuse_deletion(aging: &AgingItem, settings: &VaultSettings, now: Timestamp) -> Result<(), VaultError> {
    if !settings.is_immutable() {
        return Ok(());
    }
    let Some(policy) = &aging.policy else {
        let why = "it has recovery points that were to be kept for ever".to_owned();
        return match aging.points.is_empty() {
            true => Ok(()),
            false => Err(VaultError::Immutable { why }),
        };
    };
    let verdicts = verdicts(&aging.points, policy, Aging::ByPolicy, now);
    match verdicts.iter().filter_map(Verdict::changes_at).max() {
        None => Ok(()),
        Some(until) => {
            let why = format!("it has recovery points that are to be kept until {until:.0}");
            Err(VaultError::Immutable { why })
        }
    }
}

/// What a stopped item is.
pub(crate) fn stopped(
    item: &ItemRow,
    how: Stop,
    version: Option<u64>,
    settings: &VaultSettings,
    now: Timestamp,
) -> Result<ItemNext, VaultError> {
    let (change, state) = match how {
        Stop::Retain => (ItemChange::Stop, ItemState::ProtectionStopped),
        Stop::RetainByPolicy => (ItemChange::Suspend, ItemState::BackupsSuspended),
        Stop::Delete => (ItemChange::Delete, ItemState::ProtectionStopped),
    };
    allows(item, change, version)?;
    let days = match (how, settings.soft_delete) {
        (Stop::Delete, SoftDelete::Disabled) => Some(0),
        (Stop::Delete, _) => Some(settings.soft_delete_days),
        _ => None,
    };
    // The figure of now counts, whatever the vault is set to later.
    let deleted = days.map(|days| (now, days_from(now, days)));
    Ok(ItemNext {
        state,
        policy: NextPolicy::Same,
        deleted,
    })
}

/// The moment so many days later.
pub(crate) fn days_from(now: Timestamp, days: u32) -> Timestamp {
    let later = now.saturating_add(SignedDuration::from_hours(24 * i64::from(days)));
    later.unwrap_or(Timestamp::MAX)
}

fn allows(item: &ItemRow, change: ItemChange, version: Option<u64>) -> Result<(), VaultError> {
    if version.is_some_and(|version| version != item.version) {
        return Err(VaultError::OtherVersion { version: item.version });
    }
    match refusal(item, change) {
        None => Ok(()),
        Some(why) => Err(VaultError::ItemRefused {
            name: item.name.clone(),
            why,
        }),
    }
}

/// Why a change of an item cannot be made; `None`: it can.
pub(crate) fn refusal(item: &ItemRow, change: ItemChange) -> Option<&'static str> {
    let is_deleted = item.deleted.is_some();
    match item.unregistered {
        Some(_) if change.needs_machine() && !is_deleted => Some(
            "its machine was unregistered: register it again, which makes a new item; the machine can restore these \
             recovery points with `strongroom restore --machine`",
        ),
        _ => item.state.refuses(change, is_deleted),
    }
}

/// Whether the item's points are kept less long, or come less often, under the policy that is given. Of one whose policy is
/// gone they are kept for ever.
fn is_lowered(item: &ItemRow, present: Option<&Policy>, given: &Policy) -> bool {
    match present {
        Some(present) => !present.lowered_by(given).is_empty(),
        None => item.state == ItemState::ProtectionStopped && item.latest_point.is_some(),
    }
}

/// Refuses a policy under which points would be kept less long, if the vault is immutable. Those of an item that has no
/// policy are kept for ever, and no policy keeps them as long.
fn refuse_lowering(seen: &ItemSeen<'_>, given: &Policy) -> Result<(), VaultError> {
    if !seen.settings.is_immutable() {
        return Ok(());
    }
    let why = match &seen.aging.policy {
        Some(present) => present.lowered_by(given).join(", "),
        None if seen.aging.points.is_empty() => String::new(),
        None => FOR_EVER.to_owned(),
    };
    match why.is_empty() {
        true => Ok(()),
        false => Err(VaultError::Immutable { why }),
    }
}
