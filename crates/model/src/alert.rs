//! Alerts: what somebody should know (SEMANTICS.md §9). Their words are in [`crate::Notice`].

use crate::word::words;

words!(
    /// What an alert is about. Where Azure has a built-in alert of the kind, [`AlertKind::title`] is its name.
    AlertKind, "kind of alert" {
        /// A backup failed.
        BackupFailure,
        /// A restore failed.
        RestoreFailure,
        /// A backup did not run.
        BackupMissed,
        /// A backup is there, but some things could not be taken as they should have been.
        BackupWarnings,
        /// Somebody stopped the protection of an item and deleted its data.
        DeleteBackupData,
        /// Soft-deleted data will be gone soon.
        UpcomingPurge,
        /// Soft-deleted data is gone.
        PurgeComplete,
        /// What is deleted in the vault cannot be brought back any more.
        SoftDeleteDisabled,
        /// A policy keeps less, or backs up less often, than before.
        PolicyShortened,
        /// An item came under a policy that keeps less, or soft-deleted data is kept for fewer days.
        ProtectionShortened,
        /// Recovery points can go before their time again.
        ImmutabilityReduced,
        /// Somebody asks a second person to allow something.
        ApprovalRequested,
        /// A second person has allowed something.
        ApprovalGranted,
        /// Nothing needs a second person in the vault any more.
        GuardRemoved,
        /// A machine showed wrong security PINs, until its guesses or the PIN were worth nothing.
        PinGuessed,
        /// The service was off, or its clock jumped.
        ClockJumped,
    }
);

words!(
    /// How much an alert matters.
    AlertSeverity, "severity" {
        /// Data is, or may soon be, lost or unprotected.
        Critical,
        /// Something should be looked at.
        Warning,
        /// Worth knowing.
        Information,
    }
);

words!(
    /// Whether an alert still stands.
    AlertState, "state of an alert" {
        /// It stands.
        Active,
        /// Somebody has seen to it.
        Inactive,
        /// Its cause is gone.
        Resolved,
    }
);

impl AlertKind {
    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BackupFailure => "Backup Failure",
            Self::RestoreFailure => "Restore Failure",
            Self::BackupMissed => "Backup Did Not Run",
            Self::BackupWarnings => "Backup Completed with Warnings",
            Self::DeleteBackupData => "Delete Backup Data",
            Self::UpcomingPurge => "Upcoming Purge",
            Self::PurgeComplete => "Purge Complete",
            Self::SoftDeleteDisabled => "Soft Delete Disabled for Vault",
            Self::PolicyShortened => "Modify Policy with Shorter Retention",
            Self::ProtectionShortened => "Modify Protection with Shorter Retention",
            Self::ImmutabilityReduced => "Immutability Reduced for Vault",
            Self::ApprovalRequested => "Approval Requested",
            Self::ApprovalGranted => "Approval Granted",
            Self::GuardRemoved => "Multi-User Authorization Removed for Vault",
            Self::PinGuessed => "Wrong Security PINs",
            Self::ClockJumped => "Clock Jumped",
        }
    }

    /// How much it matters.
    pub const fn severity(self) -> AlertSeverity {
        match self {
            Self::BackupWarnings
            | Self::ApprovalRequested
            | Self::ApprovalGranted
            | Self::PinGuessed
            | Self::ClockJumped => AlertSeverity::Warning,
            _ => AlertSeverity::Critical,
        }
    }

    /// The same as Azure Monitor counts: 0 is the worst, 4 the least.
    pub const fn sev(self) -> u8 {
        match self {
            Self::BackupFailure | Self::RestoreFailure | Self::BackupMissed => 1,
            Self::BackupWarnings
            | Self::ApprovalRequested
            | Self::ApprovalGranted
            | Self::PinGuessed
            | Self::ClockJumped => 2,
            _ => 0,
        }
    }

    /// Whether it tells of something that takes protection away, or may. Nobody can choose not to hear of these.
    pub const fn is_security(self) -> bool {
        !self.is_of_jobs()
    }

    /// Whether it tells how jobs went.
    pub const fn is_of_jobs(self) -> bool {
        matches!(
            self,
            Self::BackupFailure | Self::RestoreFailure | Self::BackupMissed | Self::BackupWarnings
        )
    }

    /// Those that a good backup of the item resolves.
    pub const ENDED_BY_BACKUP: &[AlertKind] = &[Self::BackupFailure, Self::BackupMissed, Self::BackupWarnings];

    /// Those that make no sense any more when the item is not backed up on schedule, or is gone.
    pub const ENDED_BY_STOP: &[AlertKind] = &[
        Self::BackupFailure,
        Self::BackupMissed,
        Self::BackupWarnings,
        Self::RestoreFailure,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_is_never_of_jobs_and_jobs_are_never_the_worst() {
        for &kind in AlertKind::ALL {
            assert_ne!(kind.is_security(), kind.is_of_jobs(), "{kind}");
            assert!(kind.sev() <= 4 && (kind.sev() == 0) <= kind.is_security(), "{kind}");
            assert!(!kind.title().is_empty());
        }
        assert!(AlertKind::ENDED_BY_STOP.iter().all(|kind| kind.is_of_jobs()));
    }
}
