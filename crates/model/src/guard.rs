//! Multi-user authorisation: what needs a second person (SEMANTICS.md §2.5).

use jiff::SignedDuration;

use crate::Permission;
use crate::word::words;

words!(
    /// What a resource guard can want a second person for. This is the one table of it.
    GuardedOperation, "guarded operation" {
        /// Switch soft delete off, or keep soft-deleted data for fewer days.
        DisableSoftDelete,
        /// Take the guard off a vault.
        RemoveGuard,
        /// Change a policy so that it protects less.
        LowerPolicy,
        /// Put an item under a policy that protects less.
        LowerProtection,
        /// Stop protection and delete the data; unregistering a machine does so too.
        DeleteData,
        /// Stop protection and keep the data.
        StopProtection,
        /// Make a vault's data less immutable.
        ReduceImmutability,
        /// Get a security PIN.
        GetSecurityPin,
    }
);

words!(
    /// What has become of a request for approval.
    ApprovalState, "state of an approval" {
        /// Nobody has decided.
        Pending,
        /// A second person allows it.
        Approved,
        /// A second person does not.
        Denied,
        /// It was allowed, and has been done.
        Used,
        /// Nobody decided, or nobody did it, in time.
        Expired,
    }
);

/// What an operation is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardedKind {
    /// The vault as a whole.
    Vault,
    /// One of its policies.
    Policy,
    /// One of its items.
    Item,
}

/// How long a request waits for somebody's decision.
pub const APPROVAL_PENDING: SignedDuration = SignedDuration::from_hours(24);

/// How long an approval is good.
pub const APPROVAL_GOOD: SignedDuration = SignedDuration::from_hours(1);

impl GuardedOperation {
    /// Whether every guard guards it. The others a guard may leave alone.
    pub const fn is_mandatory(self) -> bool {
        matches!(self, Self::DisableSoftDelete | Self::RemoveGuard)
    }

    /// What it is done to.
    pub const fn kind(self) -> GuardedKind {
        match self {
            Self::DisableSoftDelete | Self::RemoveGuard | Self::ReduceImmutability | Self::GetSecurityPin => {
                GuardedKind::Vault
            }
            Self::LowerPolicy => GuardedKind::Policy,
            Self::LowerProtection | Self::DeleteData | Self::StopProtection => GuardedKind::Item,
        }
    }

    /// What somebody must be permitted anyway, before a second person is asked.
    pub const fn permission(self) -> Permission {
        match self {
            Self::DisableSoftDelete | Self::ReduceImmutability => Permission::VaultConfigWrite,
            Self::RemoveGuard => Permission::VaultGuardDelete,
            Self::LowerPolicy => Permission::PoliciesWrite,
            Self::LowerProtection => Permission::ItemsWrite,
            Self::DeleteData | Self::StopProtection => Permission::ItemsDelete,
            Self::GetSecurityPin => Permission::SecurityPin,
        }
    }

    /// What it is, in the middle of a sentence.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::DisableSoftDelete => "weakening soft delete",
            Self::RemoveGuard => "taking the resource guard off the vault",
            Self::LowerPolicy => "making a policy protect less",
            Self::LowerProtection => "putting an item under a policy that protects less",
            Self::DeleteData => "deleting backup data",
            Self::StopProtection => "stopping protection",
            Self::ReduceImmutability => "reducing immutability",
            Self::GetSecurityPin => "getting a security PIN",
        }
    }
}

impl ApprovalState {
    /// Whether something can still come of it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_mandatory_and_all_are_for_people() {
        let mandatory: Vec<_> = GuardedOperation::ALL.iter().filter(|one| one.is_mandatory()).collect();
        assert_eq!(
            mandatory,
            [&GuardedOperation::DisableSoftDelete, &GuardedOperation::RemoveGuard]
        );
        // What no role gives is done by machines, and machines have no second person.
        assert!(
            GuardedOperation::ALL
                .iter()
                .all(|one| one.permission().action().is_some())
        );
    }
}
