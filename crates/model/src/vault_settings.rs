//! What protects a vault from its own administrators (SEMANTICS.md §2.3 to §2.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::GuardedOperation;
use crate::word::words;

words!(
    /// Whether what is deleted can be brought back for a while.
    SoftDelete, "soft-delete state" {
        /// What is deleted is gone.
        Disabled,
        /// What is deleted can be brought back for some days.
        Enabled,
        /// The same, and it cannot be switched off any more.
        AlwaysOn,
    }
);

words!(
    /// Whether recovery points can go before their time.
    Immutability, "immutability state" {
        /// Whoever may, may.
        Disabled,
        /// They cannot; but this can be switched off.
        Unlocked,
        /// They cannot, for ever.
        Locked,
    }
);

/// The settings of a vault that guard its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VaultSettings {
    /// Whether what is deleted can be brought back.
    pub soft_delete: SoftDelete,
    /// For so many days, 14 to 180. The figure at the moment of the deletion counts.
    pub soft_delete_days: u32,
    /// Whether recovery points can go before their time.
    pub immutability: Immutability,
}

/// The days that a vault has from the beginning, and the fewest.
const SOFT_DELETE_DAYS_MIN: u32 = 14;
const SOFT_DELETE_DAYS_MAX: u32 = 180;

impl Default for VaultSettings {
    fn default() -> Self {
        Self {
            soft_delete: SoftDelete::Enabled,
            soft_delete_days: SOFT_DELETE_DAYS_MIN,
            immutability: Immutability::Disabled,
        }
    }
}

impl VaultSettings {
    /// Whether recovery points can go before their time, by anybody's wish.
    pub fn is_immutable(&self) -> bool {
        self.immutability != Immutability::Disabled
    }

    /// Why these cannot become `next`, as a sentence with the way out; `None`: they can.
    pub fn refuses(&self, next: &VaultSettings) -> Option<String> {
        let days = next.soft_delete_days;
        if !(SOFT_DELETE_DAYS_MIN..=SOFT_DELETE_DAYS_MAX).contains(&days) {
            return Some(format!(
                "soft-deleted data is kept for {SOFT_DELETE_DAYS_MIN} to {SOFT_DELETE_DAYS_MAX} days, not {days}"
            ));
        }
        let is_always_on = self.soft_delete == SoftDelete::AlwaysOn;
        if is_always_on && next.soft_delete != SoftDelete::AlwaysOn {
            return Some("soft delete of this vault is always on: it cannot be switched off any more".to_owned());
        }
        if is_always_on && days < self.soft_delete_days {
            return Some(format!(
                "soft delete of this vault is always on: its {} days can grow, and not shrink",
                self.soft_delete_days
            ));
        }
        use Immutability::*;
        match (self.immutability, next.immutability) {
            (Locked, Unlocked | Disabled) => {
                Some("immutability of this vault is locked: it cannot be switched off any more".to_owned())
            }
            (Disabled, Locked) => Some(
                "immutability is locked for ever: switch it to Unlocked first, live with it, then lock it".to_owned(),
            ),
            _ => None,
        }
    }

    /// What of `next` needs a second person, where a guard says so.
    pub fn guarded(&self, next: &VaultSettings) -> Vec<GuardedOperation> {
        let soft_delete = next.soft_delete < self.soft_delete || next.soft_delete_days < self.soft_delete_days;
        let immutability = next.immutability < self.immutability;
        [
            (soft_delete, GuardedOperation::DisableSoftDelete),
            (immutability, GuardedOperation::ReduceImmutability),
        ]
        .into_iter()
        .filter_map(|(is_less, operation)| is_less.then_some(operation))
        .collect()
    }

    /// What `next` protects less than these, as words for a sentence. Empty if nothing does.
    pub fn lowered_by(&self, next: &VaultSettings) -> Vec<String> {
        let mut lowered = Vec::new();
        if next.soft_delete < self.soft_delete {
            lowered.push(format!(
                "soft delete goes from {} to {}",
                self.soft_delete, next.soft_delete
            ));
        }
        if next.soft_delete_days < self.soft_delete_days {
            lowered.push(format!(
                "soft-deleted data is kept for {} days instead of {}",
                next.soft_delete_days, self.soft_delete_days
            ));
        }
        if next.immutability < self.immutability {
            lowered.push(format!(
                "immutability goes from {} to {}",
                self.immutability, next.immutability
            ));
        }
        lowered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(soft_delete: SoftDelete, soft_delete_days: u32, immutability: Immutability) -> VaultSettings {
        VaultSettings {
            soft_delete,
            soft_delete_days,
            immutability,
        }
    }

    #[test]
    fn what_is_one_way_stays() {
        use {Immutability::*, SoftDelete::*};
        let plain = VaultSettings::default();
        for (from, to, allowed) in [
            (
                plain.clone(),
                settings(SoftDelete::Disabled, 14, Immutability::Disabled),
                true,
            ),
            (plain.clone(), settings(Enabled, 13, Immutability::Disabled), false),
            (plain.clone(), settings(Enabled, 181, Immutability::Disabled), false),
            (plain.clone(), settings(AlwaysOn, 180, Unlocked), true),
            (plain, settings(Enabled, 14, Locked), false),
            (settings(AlwaysOn, 30, Unlocked), settings(Enabled, 30, Unlocked), false),
            (
                settings(AlwaysOn, 30, Unlocked),
                settings(AlwaysOn, 29, Unlocked),
                false,
            ),
            (settings(AlwaysOn, 30, Unlocked), settings(AlwaysOn, 31, Locked), true),
            (settings(Enabled, 14, Locked), settings(Enabled, 14, Unlocked), false),
            (settings(Enabled, 14, Locked), settings(Enabled, 20, Locked), true),
            (
                settings(Enabled, 14, Unlocked),
                settings(Enabled, 14, Immutability::Disabled),
                true,
            ),
        ] {
            assert_eq!(from.refuses(&to).is_none(), allowed, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn lowering_is_named() {
        use Immutability::*;
        let before = settings(SoftDelete::Enabled, 30, Unlocked);
        let lowered = before.lowered_by(&settings(SoftDelete::Disabled, 14, Disabled));
        assert_eq!(lowered.len(), 3, "{lowered:?}");
        use GuardedOperation::*;
        for (next, expected) in [
            (settings(SoftDelete::Disabled, 30, Unlocked), &[DisableSoftDelete][..]),
            (settings(SoftDelete::Enabled, 29, Unlocked), &[DisableSoftDelete]),
            (settings(SoftDelete::Enabled, 30, Disabled), &[ReduceImmutability]),
            (
                settings(SoftDelete::Disabled, 30, Disabled),
                &[DisableSoftDelete, ReduceImmutability],
            ),
            (settings(SoftDelete::AlwaysOn, 31, Locked), &[]),
        ] {
            assert_eq!(before.guarded(&next), expected, "{next:?}");
        }
        assert!(
            before
                .lowered_by(&settings(SoftDelete::AlwaysOn, 31, Locked))
                .is_empty()
        );
    }
}
