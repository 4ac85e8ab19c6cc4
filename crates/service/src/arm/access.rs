//! Who may: the operation's action is asked for as Azure's roles name it.

use axum::http::StatusCode;

use super::call::Call;
use super::error::{ArmError, ArmResult};
use crate::principal::Principal;

/// The full name of an action of the table.
pub(crate) fn full_action(action: &str) -> String {
    match action.starts_with("Microsoft.") {
        true => action.to_owned(),
        false => format!("Microsoft.RecoveryServices/{action}"),
    }
}

/// Refuses a caller who is not allowed the operation's action.
pub(crate) async fn check(call: &Call) -> ArmResult<()> {
    let Some(principal) = &call.principal else {
        return Ok(());
    };
    match (call.operation.action, principal) {
        (_, Principal::Administrator(_)) => Ok(()),
        (action, principal) => Err(ArmError::new(
            StatusCode::FORBIDDEN,
            "AuthorizationFailed",
            format!(
                "The client '{}' does not have authorization to perform action '{}' here.",
                principal.log_name(),
                full_action(action)
            ),
        )),
    }
}
