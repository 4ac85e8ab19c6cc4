//! The words of alerts. They are made here, so that they are the same on every way.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    AlertKind, ApprovalId, GuardName, GuardedOperation, JobError, MachineName, POINTS_PER_ITEM_MAX, PointId,
    PolicyName, SoftDelete, VaultName, VaultSettings,
};

/// Something to raise an alert about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about.
    pub kind: AlertKind,
    /// For programs: the error's code, or the change that was made.
    pub code: String,
    /// The name of the item, the policy or the setting.
    pub subject: String,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    pub recommendation: String,
    /// What happened, so that it is counted once: a job, or a moment.
    pub cause: String,
    /// Whether another cause of the same kind and code joins an alert that stands, instead of raising another one.
    pub joins: bool,
}

/// The longest code, in characters: it comes from machines.
const CODE_MAX: usize = 64;
/// The longest sentence, in characters.
pub(crate) const MESSAGE_MAX: usize = 1000;

/// Errors of jobs that say that another one ran instead.
const ANOTHER_RAN: [&str; 2] = ["Interrupted", "OperationInProgress"];

impl Notice {
    /// A notice whose later causes join it.
    pub fn new(kind: AlertKind, code: &str, subject: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            kind,
            code: line(code, CODE_MAX),
            subject: subject.into(),
            message: String::new(),
            recommendation: String::new(),
            cause: cause.into(),
            joins: true,
        }
    }

    /// With a sentence, and what to do about it.
    pub fn saying(mut self, message: &str, recommendation: &str) -> Self {
        self.message = line(message, MESSAGE_MAX);
        self.recommendation = line(recommendation, MESSAGE_MAX);
        self
    }

    /// What the end of a job is to be told for: `None` if another one ran instead.
    pub fn of_job(
        kind: AlertKind,
        machine: &MachineName,
        errors: &[JobError],
        cause: String,
        joins: bool,
    ) -> Option<Self> {
        let error = errors.first();
        let code = error.map_or("Unknown", |error| error.code.as_str());
        if ANOTHER_RAN.contains(&code) {
            return None;
        }
        let what = match kind {
            AlertKind::RestoreFailure => "A restore of",
            _ => "A backup of",
        };
        let how = match kind {
            AlertKind::BackupWarnings => "was done with warnings",
            _ => "failed",
        };
        let why = error.map_or(String::new(), |error| format!(": {}", error.message));
        let advice = error.map_or(String::new(), |error| error.recommendations.join(" "));
        let notice =
            Self::new(kind, code, machine.as_str(), cause).saying(&format!("{what} {machine} {how}{why}"), &advice);
        Some(Self { joins, ..notice })
    }

    /// The same, to be counted on the one alert of its kind that stands for whatever else there is: its item has so many
    /// alerts already that another one tells nobody anything.
    pub fn among_others(self) -> Self {
        Self {
            code: "Several".to_owned(),
            joins: true,
            ..self
        }
    }

    /// A backup did not run, as its machine has not asked for work.
    pub fn machine_away(machine: &MachineName, cause: String) -> Self {
        Self::new(AlertKind::BackupMissed, "MachineAway", machine.as_str(), cause).saying(
            &format!("A scheduled backup of {machine} did not run: the machine has not asked for work"),
            "See whether the machine runs, `strongroom agent run` with it, and reaches the service. It makes up for the \
             backup when it is back",
        )
    }

    /// A backup did not run, as the one before was still under way.
    pub fn still_running(machine: &MachineName, cause: String) -> Self {
        Self::new(AlertKind::BackupMissed, "BackupUnderWay", machine.as_str(), cause).saying(
            &format!("A scheduled backup of {machine} did not run: another one was still under way"),
            "Back up less often, or see why backups take so long",
        )
    }

    /// An item has as many recovery points as it may have.
    pub fn too_many_points(machine: &MachineName, latest: PointId) -> Self {
        let (kind, name) = (AlertKind::BackupFailure, machine.as_str());
        Self::new(kind, "TooManyPoints", name, latest.to_string()).saying(
            &format!(
                "{machine} is not backed up: it has {POINTS_PER_ITEM_MAX} recovery points, and an item has no more"
            ),
            "Have its policy keep less, so that some expire; or back up less often",
        )
    }

    /// A policy keeps less than before.
    pub fn policy_shortened(policy: &PolicyName, lowered: &[String], cause: String) -> Self {
        Self::new(AlertKind::PolicyShortened, "PolicyLowered", policy.as_str(), cause).saying(
            &format!("The policy {policy} protects less: {}", lowered.join(", ")),
            "If nobody of yours wanted this, put the old rules back before recovery points expire",
        )
    }

    /// An item came under a policy that keeps less.
    pub fn protection_shortened(machine: &MachineName, lowered: &[String], cause: String) -> Self {
        Self::new(AlertKind::ProtectionShortened, "PolicyChanged", machine.as_str(), cause).saying(
            &format!(
                "{machine} came under a policy that protects less: {}",
                lowered.join(", ")
            ),
            "If nobody of yours wanted this, put it back under its old policy before recovery points expire",
        )
    }

    /// An item's data was deleted; it is gone at `purge`.
    pub fn data_deleted(machine: &MachineName, purge: Timestamp, cause: Timestamp) -> Self {
        let (what, advice) = match purge > cause {
            true => (
                format!(
                    "The backup data of {machine} was deleted, and is gone for good on {}",
                    day(purge)
                ),
                format!(
                    "If nobody of yours wanted this: until then `strongroom item undelete {machine}` brings it back"
                ),
            ),
            false => (
                format!("The backup data of {machine} was deleted for good: the vault has no soft delete"),
                "Switch soft delete of the vault on again".to_owned(),
            ),
        };
        Self::new(
            AlertKind::DeleteBackupData,
            "DataDeleted",
            machine.as_str(),
            cause.to_string(),
        )
        .saying(&what, &advice)
    }

    /// A vault was deleted with the soft-deleted data in it; it is gone at `purge`.
    pub fn vault_deleted(vault: &VaultName, purge: Timestamp, cause: Timestamp) -> Self {
        let kind = AlertKind::DeleteBackupData;
        Self::new(kind, "VaultDeleted", vault.as_str(), cause.to_string()).saying(
            &format!(
                "The vault {vault} was deleted with the soft-deleted backup data in it, and is gone for good on {}",
                day(purge)
            ),
            &format!("If nobody of yours wanted this: until then `strongroom vault undelete {vault}` brings it back"),
        )
    }

    /// A soft-deleted vault will be gone soon.
    pub fn upcoming_vault_purge(vault: &VaultName, purge: Timestamp) -> Self {
        let kind = AlertKind::UpcomingPurge;
        Self::new(kind, "VaultPurgeComes", vault.as_str(), purge.to_string()).saying(
            &format!(
                "The deleted vault {vault} and the backup data in it are gone for good on {}",
                day(purge)
            ),
            &format!("Until then `strongroom vault undelete {vault}` brings it back"),
        )
    }

    /// Soft-deleted data will be gone soon.
    pub fn upcoming_purge(machine: &MachineName, purge: Timestamp) -> Self {
        Self::new(
            AlertKind::UpcomingPurge,
            "PurgeComes",
            machine.as_str(),
            purge.to_string(),
        )
        .saying(
            &format!(
                "The soft-deleted backup data of {machine} is gone for good on {}",
                day(purge)
            ),
            &format!("Until then `strongroom item undelete {machine}` brings it back"),
        )
    }

    /// Soft-deleted data is gone.
    pub fn purged(machine: &MachineName, cause: Timestamp) -> Self {
        Self::new(AlertKind::PurgeComplete, "Purged", machine.as_str(), cause.to_string()).saying(
            &format!("The backup data of {machine} is gone for good: its days of soft delete are over"),
            "",
        )
    }

    /// The service was off, or its clock jumped ahead, for so long; then it showed `cause`.
    pub fn clock_jumped(ahead: SignedDuration, cause: Timestamp) -> Self {
        let minutes = ahead.as_mins();
        Self::new(AlertKind::ClockJumped, "ClockAhead", "clock", cause.to_string()).saying(
            &format!(
                "The service was off, or its clock jumped ahead, by {minutes} minutes, and showed {} then: that time does \
                 not count for what expires until the service has run for a day more",
                day(cause)
            ),
            "If the service was not off, set its clock right before then; if it has several nodes, compare their clocks",
        )
    }

    /// Somebody asks for approval; `subject` is empty if it is about the vault itself.
    pub fn approval_requested(operation: GuardedOperation, subject: &str, by: &str, cause: ApprovalId) -> Self {
        Self::approval(AlertKind::ApprovalRequested, operation, subject, cause).saying(
            &format!(
                "{by} asks a second person to allow {}{}",
                operation.phrase(),
                of(subject)
            ),
            "Whoever owns the resource guard decides: `strongroom approval list`. If nobody of yours asked, deny it",
        )
    }

    /// A second person allowed it.
    pub fn approval_granted(
        operation: GuardedOperation,
        subject: &str,
        (requester, by): (&str, &str),
        cause: ApprovalId,
    ) -> Self {
        Self::approval(AlertKind::ApprovalGranted, operation, subject, cause).saying(
            &format!(
                "{by} has allowed {requester} {}{}, once and within the hour",
                operation.phrase(),
                of(subject)
            ),
            "If that was not meant, take the role away from the one or the other before it is used",
        )
    }

    fn approval(kind: AlertKind, operation: GuardedOperation, subject: &str, cause: ApprovalId) -> Self {
        let subject = if subject.is_empty() {
            operation.as_str()
        } else {
            subject
        };
        Self::new(kind, operation.as_str(), subject, cause.to_string())
    }

    /// A vault has no guard any more.
    pub fn guard_removed(guard: &GuardName, cause: Timestamp) -> Self {
        Self::new(
            AlertKind::GuardRemoved,
            "GuardRemoved",
            guard.as_str(),
            cause.to_string(),
        )
        .saying(
            &format!("The vault is not under the resource guard {guard} any more: nothing in it needs a second person"),
            "If nobody of yours wanted this, put it under a guard again: `strongroom vault guard set`",
        )
    }

    /// A machine guessed at a security PIN until nothing from it is looked at any more, before `until`.
    pub fn pins_guessed(machine: &MachineName, until: Timestamp, cause: Timestamp) -> Self {
        Self::new(
            AlertKind::PinGuessed,
            "MachineShutOut",
            machine.as_str(),
            cause.to_string(),
        )
        .saying(
            &format!(
                "{machine} showed wrong security PINs: none from it is looked at before {}",
                day(until)
            ),
            &format!(
                "If nobody of yours mistyped one there, somebody else has the machine's credential: \
                 `strongroom machine unregister {machine}`, and register it again"
            ),
        )
    }

    /// Machines guessed at a security PIN until it was void; `machine` was the last.
    pub fn pin_void(machine: &MachineName, cause: Timestamp) -> Self {
        Self::new(AlertKind::PinGuessed, "PinVoid", machine.as_str(), cause.to_string()).saying(
            &format!("Machines showed wrong security PINs, {machine} the last: the vault's PIN is void"),
            "Get another one: `strongroom vault pin`. The audit log says which machines they were",
        )
    }

    /// What a change of a vault's settings is to be told for.
    pub fn of_settings(before: &VaultSettings, after: &VaultSettings, cause: &str) -> Vec<Self> {
        let advice = "If nobody of yours wanted this, set it back: `strongroom vault settings` shows and changes it";
        let told = |kind, code: &str, message: String| Self::new(kind, code, code, cause).saying(&message, advice);
        let mut notices = Vec::new();
        if after.soft_delete == SoftDelete::Disabled && before.soft_delete != SoftDelete::Disabled {
            let message =
                "Soft delete of the vault was switched off: what is deleted cannot be brought back".to_owned();
            notices.push(told(AlertKind::SoftDeleteDisabled, "SoftDelete", message));
        }
        if after.soft_delete_days < before.soft_delete_days {
            let message = format!(
                "Soft-deleted data of the vault is kept for {} days instead of {}",
                after.soft_delete_days, before.soft_delete_days
            );
            notices.push(told(AlertKind::ProtectionShortened, "SoftDeleteDays", message));
        }
        if after.immutability < before.immutability {
            let message = format!(
                "Immutability of the vault went from {} to {}: recovery points can go before their time",
                before.immutability, after.immutability
            );
            notices.push(told(AlertKind::ImmutabilityReduced, "Immutability", message));
        }
        notices
    }

    /// The kinds that a change of a vault's settings ends.
    pub fn ended_by_settings(before: &VaultSettings, after: &VaultSettings) -> Vec<AlertKind> {
        let mut ended = Vec::new();
        if after.soft_delete > before.soft_delete {
            ended.push(AlertKind::SoftDeleteDisabled);
        }
        if after.immutability > before.immutability {
            ended.push(AlertKind::ImmutabilityReduced);
        }
        ended
    }
}

/// What something is done to, in the middle of a sentence.
fn of(subject: &str) -> String {
    match subject.is_empty() {
        true => String::new(),
        false => format!(" ({subject})"),
    }
}

/// A moment as people read it.
fn day(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A text as one line of bounded length: what machines say goes into mails.
pub(crate) fn line(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(most).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> JobError {
        JobError {
            code: code.to_owned(),
            message: message.to_owned(),
            recommendations: vec![],
        }
    }

    #[test]
    fn what_machines_say_is_one_bounded_line() {
        let machine: MachineName = "web".parse().unwrap();
        let said = error(&"x".repeat(100), "no\r\nBcc: everybody");
        let notice = Notice::of_job(AlertKind::BackupFailure, &machine, &[said], "1".to_owned(), true).unwrap();
        assert_eq!(notice.code.len(), CODE_MAX);
        assert_eq!(notice.message, "A backup of web failed: no  Bcc: everybody");
    }

    #[test]
    fn a_job_that_gave_way_to_another_is_not_told_of() {
        let machine: MachineName = "web".parse().unwrap();
        for (code, told) in [
            ("Interrupted", false),
            ("OperationInProgress", false),
            ("HeartbeatLost", true),
        ] {
            let notice = Notice::of_job(
                AlertKind::BackupFailure,
                &machine,
                &[error(code, "no")],
                "1".to_owned(),
                true,
            );
            assert_eq!(notice.is_some(), told, "{code}");
        }
        assert!(Notice::of_job(AlertKind::RestoreFailure, &machine, &[], "1".to_owned(), false).is_some());
    }
}
