//! How the facade says no: ARM's error body.

use axum::http::StatusCode;
use serde_json::{Value, json};
use strongroom_api::Code;
use strongroom_vault::VaultError;

use crate::refusal::{Refusal, sentence};
use crate::vault_refusal::refuse;

/// The answer of a call that does not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArmError {
    pub(crate) status: StatusCode,
    /// For programs; clients print it before the message.
    pub(crate) code: &'static str,
    /// For people: what is wrong, and the way out.
    pub(crate) message: String,
    /// With 401, 429 and 503: how many seconds to wait.
    pub(crate) retry_after: Option<u64>,
}

/// What handlers of the facade return.
pub(crate) type ArmResult<T> = Result<T, ArmError>;

impl ArmError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// What the request says cannot be done or understood.
    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// A resource that does not exist, in the words that clients look for.
    pub(crate) fn no_resource(kind: &str, name: &str, group: &str) -> Self {
        Self::not_found(
            "ResourceNotFound",
            format!("The Resource '{kind}/{name}' under resource group '{group}' was not found."),
        )
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// The body that all clients know.
    pub(crate) fn body(&self) -> Value {
        json!({ "error": { "code": self.code, "message": self.message } })
    }
}

impl From<Refusal> for ArmError {
    /// The sentences of the use-cases are for users already; only the codes have other names here.
    fn from(Refusal(problem): Refusal) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            code: code(problem.code),
            message: problem.detail,
            retry_after: problem.retry_after_seconds,
        }
    }
}

impl From<VaultError> for ArmError {
    /// Names that Azure Backup has for it, as far as they are known.
    fn from(error: VaultError) -> Self {
        use VaultError::*;
        let (status, code) = match &error {
            PolicyNotFound { .. } => (404, "BMSUserErrorPolicyNotFound"),
            PolicyRefused { .. } | OtherWorkload { .. } => (400, "BMSUserErrorInvalidPolicyInput"),
            PolicyInUse { .. } => (400, "BMSUserErrorPolicyInUse"),
            OtherVersion { .. } => (412, "PreconditionFailed"),
            ItemNotFound => (404, "BMSUserErrorProtectedItemNotFound"),
            ItemRefused { .. } => (400, "BMSUserErrorInvalidProtectionState"),
            Immutable { .. } => (400, "BMSUserErrorImmutableVaultOperationNotAllowed"),
            SettingsRefused { .. } => (400, "BMSUserErrorInvalidVaultSettings"),
            KeepUntil { .. } => (400, "BMSUserErrorInvalidRecoveryPointExpiryTime"),
            // The caller lacks what somebody gives on the guard, which is linked to the vault: ARM's word for that.
            ApprovalNeeded { .. } => (403, "LinkedAuthorizationFailed"),
            JobNotFound => (404, "BMSUserErrorJobNotFound"),
            JobBusy { .. } => (409, "BMSUserErrorOperationInProgress"),
            JobOver { .. } => (400, "BMSUserErrorJobNotCancellable"),
            _ => return refuse(error).into(),
        };
        let status = StatusCode::from_u16(status).expect("statuses of this file");
        Self::new(status, code, format!("{}.", sentence(&error.to_string())))
    }
}

/// ARM's name for a code of the native interface; those that it has no name for keep ours.
fn code(code: Code) -> &'static str {
    match code {
        Code::InvalidRequest => "InvalidRequestContent",
        Code::InvalidName => "InvalidResourceName",
        Code::Unauthenticated => "AuthenticationFailed",
        Code::TokenExpired => "ExpiredAuthenticationToken",
        Code::Forbidden => "AuthorizationFailed",
        Code::NotFound | Code::VaultNotFound | Code::MachineNotFound => "ResourceNotFound",
        Code::PointNotFound => "BMSUserErrorRecoveryPointNotFound",
        Code::ApprovalNeeded => "LinkedAuthorizationFailed",
        Code::GuardNotFound => "ResourceNotFound",
        Code::VaultExists | Code::VaultGuarded => "Conflict",
        Code::VaultNotEmpty => "ServiceResourceNotEmptyWithBackendMessage",
        Code::BodyTooLarge => "RequestContentTooLarge",
        Code::Internal => "InternalServerError",
        Code::Unavailable => "ServerTimeout",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_arms() {
        let error = ArmError::no_resource("Microsoft.RecoveryServices/vaults", "v1", "rg1");
        let body = error.body();
        assert_eq!(error.status, 404);
        assert_eq!(body["error"]["code"], "ResourceNotFound");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("vaults/v1") && message.contains("'rg1'"));
    }

    #[test]
    fn refusals_keep_status_and_sentence() {
        let error = ArmError::from(Refusal::new(Code::VaultNotEmpty, "The vault holds a machine"));
        assert_eq!(
            (error.status.as_u16(), error.message.as_str()),
            (409, "The vault holds a machine")
        );
        assert_eq!(error.code, "ServiceResourceNotEmptyWithBackendMessage");
    }
}
