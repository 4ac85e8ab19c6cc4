//! What a vault's refusals become on the wire.

use strongroom_api::{Code, Problem};
use strongroom_model::VaultName;
use strongroom_vault::VaultError;

use crate::refusal::{Refusal, sentence};

/// The vault's sentences are for users already; only the insides of our own failures stay in the log.
pub(crate) fn refuse(error: VaultError) -> Refusal {
    let code = match &error {
        VaultError::VaultNotFound => Code::VaultNotFound,
        VaultError::ResourceGroupNotFound => Code::ResourceGroupNotFound,
        VaultError::VaultNameTaken { .. } => Code::VaultExists,
        VaultError::DeletedVaultNotFound => Code::VaultNotFound,
        VaultError::VaultNameReused { .. } => Code::VaultExists,
        VaultError::VaultNotEmpty { .. } => Code::VaultNotEmpty,
        VaultError::PolicyNotFound { .. } => Code::PolicyNotFound,
        VaultError::PolicyNameTaken { .. } => Code::PolicyExists,
        VaultError::PolicyRefused { .. } | VaultError::OtherWorkload { .. } => Code::InvalidPolicy,
        VaultError::PolicyInUse { .. } => Code::PolicyInUse,
        VaultError::OtherVersion { .. } => Code::VersionMismatch,
        VaultError::ItemNotFound => Code::ItemNotFound,
        VaultError::ItemAmbiguous { .. } => Code::ItemAmbiguous,
        VaultError::ItemRefused { .. } => Code::ItemState,
        VaultError::Immutable { .. } => Code::Immutable,
        VaultError::PinRefused { .. } => Code::SecurityPinRefused,
        VaultError::TooManyPins { .. } => Code::TooManyAttempts,
        VaultError::ApprovalNeeded { .. } => Code::ApprovalNeeded,
        VaultError::SecondPerson { .. } => Code::SecondPersonNeeded,
        VaultError::GuardNotFound { .. } | VaultError::NotGuarded => Code::GuardNotFound,
        VaultError::GuardNameTaken { .. } => Code::GuardExists,
        VaultError::GuardInUse { .. } => Code::GuardInUse,
        VaultError::GuardedAlready { .. } => Code::VaultGuarded,
        VaultError::GuardRefused { .. } | VaultError::ApprovalRefused { .. } => Code::InvalidRequest,
        VaultError::ApprovalNotFound => Code::ApprovalNotFound,
        VaultError::ApprovalOver { .. } => Code::ApprovalOver,
        VaultError::SettingsRefused { .. } => Code::InvalidSettings,
        VaultError::KeepUntil { .. } => Code::InvalidRequest,
        VaultError::JobNotFound => Code::JobNotFound,
        VaultError::JobBusy { .. } | VaultError::DiscoveryUnderway => Code::OperationInProgress,
        VaultError::JobOver { .. } => Code::JobOver,
        VaultError::AlertNotFound => Code::AlertNotFound,
        VaultError::AlertOver { .. } => Code::AlertOver,
        VaultError::ContainerNotFound | VaultError::NoSuchContainer => Code::MachineNotFound,
        VaultError::PointNotFound => Code::PointNotFound,
        VaultError::KeySetNotFound => Code::KeySetNotFound,
        VaultError::KeySetExists => Code::KeySetExists,
        VaultError::SessionNotFound => Code::SessionNotFound,
        VaultError::SessionExpired => Code::SessionExpired,
        VaultError::BlobsMissing { .. } => Code::BlobsMissing,
        VaultError::PredecessorMismatch { .. } => Code::PredecessorMismatch,
        VaultError::TooManyPoints { .. } => Code::TooManyPoints,
        VaultError::PackRejected { .. } => Code::InvalidPack,
        VaultError::PointRejected { .. } => Code::InvalidPoint,
        VaultError::KeySetRejected { .. } => Code::InvalidKeySet,
        VaultError::MembershipRefused => Code::MembershipRefused,
        VaultError::TooManyIds => Code::InvalidRequest,
        VaultError::Unavailable { .. } => Code::Unavailable,
        VaultError::NoSpace => Code::NoSpace,
        VaultError::Damaged(_) => Code::ObjectDamaged,
        VaultError::Internal { action, cause } => return Refusal::internal(action, cause),
    };
    log(&error);
    let mut problem = Problem::new(code, sentence(&error.to_string()));
    match error {
        VaultError::BlobsMissing { missing, .. } => problem.missing = missing,
        VaultError::PredecessorMismatch { expected } => problem.expected = expected,
        VaultError::TooManyPins { seconds } => problem.retry_after_seconds = Some(seconds),
        _ => {}
    }
    problem.into()
}

/// As [`refuse`], for a caller who named the vault.
pub(crate) fn refuse_vault(name: &VaultName) -> impl FnOnce(VaultError) -> Refusal {
    move |error| match error {
        VaultError::VaultNotFound => no_such_vault(name),
        error => refuse(error),
    }
}

/// There is no such vault, as far as the caller may know.
pub(crate) fn no_such_vault(name: &VaultName) -> Refusal {
    let detail = format!("There is no vault called {name}: `strongroom vault list` shows the vaults");
    Refusal::new(Code::VaultNotFound, detail)
}

/// What the administrator has to know although a client is told it.
fn log(error: &VaultError) {
    match error {
        VaultError::NoSpace | VaultError::Damaged(_) => tracing::error!("{error}"),
        VaultError::PackRejected { .. } | VaultError::PointRejected { .. } => tracing::warn!("{error}"),
        VaultError::Unavailable { why } => tracing::warn!("the database is not available: {why}"),
        _ => {}
    }
}
