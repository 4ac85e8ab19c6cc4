//! The life of a protected item (SEMANTICS.md §12).

use crate::policy::Aging;
use crate::word::words;

/// The most recovery points that an item has (SEMANTICS.md §2.10).
pub const POINTS_PER_ITEM_MAX: u64 = 9_999;

words!(
    /// Azure's `protectionState`.
    ItemState, "protection state" {
        /// Known, but under no policy. What it has is kept.
        NotProtected,
        /// Under a policy, with its first backup to come.
        IRPending,
        /// Under a policy, and its last backup succeeded.
        Protected,
        /// Under a policy, and its last backup failed.
        ProtectionError,
        /// Protection was stopped: no more backups, and what it has is kept for ever.
        ProtectionStopped,
        /// Backups were stopped: what it has ages as its policy says, but for the last.
        BackupsSuspended,
    }
);

words!(
    /// What a wish is that would change an item's state.
    ItemChange, "change of an item" {
        /// Put it under a policy: the first one, another one, or again after a stop.
        Protect,
        /// Stop with the data retained for ever.
        Stop,
        /// Stop with the data retained as its policy says.
        Suspend,
        /// Stop and delete the data: soft-deletes it while the vault's soft delete is on.
        Delete,
        /// Take that back.
        Undelete,
        /// Back it up now.
        BackUp,
        /// Restore one of its points.
        Restore,
    }
);

impl ItemChange {
    /// Whether the item's machine has to do something for it, then or later.
    pub fn needs_machine(self) -> bool {
        matches!(self, Self::Protect | Self::BackUp | Self::Restore)
    }
}

impl ItemState {
    /// Whether its policy's schedule is followed.
    pub fn is_scheduled(self) -> bool {
        matches!(self, Self::IRPending | Self::Protected | Self::ProtectionError)
    }

    /// How its recovery points age.
    pub fn aging(self, is_soft_deleted: bool) -> Aging {
        match self {
            _ if is_soft_deleted => Aging::SoftDeleted,
            Self::NotProtected | Self::ProtectionStopped => Aging::Stopped,
            _ => Aging::ByPolicy,
        }
    }

    /// After a backup: whether it is protected now.
    pub fn after_backup(self, succeeded: bool) -> ItemState {
        match (self, succeeded) {
            (Self::IRPending | Self::ProtectionError | Self::Protected, true) => Self::Protected,
            (Self::Protected, false) => Self::ProtectionError,
            (state, _) => state,
        }
    }

    /// Why `change` cannot be made, as a sentence with the way out; `None`: it can.
    pub fn refuses(self, change: ItemChange, is_soft_deleted: bool) -> Option<&'static str> {
        use ItemChange::*;
        match change {
            Undelete if is_soft_deleted => None,
            Undelete => Some("the item is not deleted: there is nothing to take back"),
            _ if is_soft_deleted => Some("the item is soft-deleted: undelete it first"),
            Stop | Suspend if self == Self::NotProtected => Some("the item is not protected: there is nothing to stop"),
            Suspend if self == Self::ProtectionStopped => {
                Some("protection is stopped already: resume it before its points can age again")
            }
            BackUp if matches!(self, Self::ProtectionStopped | Self::BackupsSuspended) => {
                Some("protection is stopped: resume it first")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_deleted_item_can_only_be_brought_back() {
        for &state in ItemState::ALL {
            for &change in ItemChange::ALL {
                assert_eq!(
                    state.refuses(change, true).is_none(),
                    change == ItemChange::Undelete,
                    "{state} {change}"
                );
            }
            assert_eq!(state.aging(true), Aging::SoftDeleted);
            assert!(
                state.refuses(ItemChange::Protect, false).is_none(),
                "resume is always possible"
            );
        }
    }

    #[test]
    fn backups_move_only_what_is_scheduled() {
        for &state in ItemState::ALL {
            let (good, bad) = (state.after_backup(true), state.after_backup(false));
            assert_eq!(good == ItemState::Protected, state.is_scheduled(), "{state}");
            assert_eq!(bad.is_scheduled(), state.is_scheduled(), "{state}");
        }
        assert_eq!(ItemState::IRPending.after_backup(false), ItemState::IRPending);
        assert_eq!(ItemState::Protected.after_backup(false), ItemState::ProtectionError);
    }
}
