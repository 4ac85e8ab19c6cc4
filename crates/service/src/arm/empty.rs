//! Operations on what there never is: lists are empty, single things are not found, and the rest is refused with the reason.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::operations::Operation;
use super::reply::Reply;
use super::{groups, vault};

/// Answers for a thing of which there is none.
pub(crate) async fn nothing(call: &Call, why: &str) -> ArmResult<Reply> {
    whereabouts(call).await?;
    if is_list(call.operation) {
        return Ok(Reply::ok(json!({ "value": [] })));
    }
    let name = call.operation.segments.last().and_then(|last| last.strip_prefix('{'));
    let name = name.map_or("", |name| call.parameter(name.trim_end_matches('}')));
    Err(ArmError::not_found(
        "ResourceNotFound",
        format!("The resource '{name:.160}' was not found: {why}."),
    ))
}

/// Refuses what is not offered.
pub(crate) async fn refused(call: &Call, why: &str) -> ArmResult<Reply> {
    whereabouts(call).await?;
    Err(ArmError::new(
        StatusCode::NOT_IMPLEMENTED,
        "NotSupported",
        format!("{why}."),
    ))
}

/// What lies in a vault or a group is looked for only where there is one.
async fn whereabouts(call: &Call) -> ArmResult<()> {
    let has = |name: &str| call.operation.segments.contains(&name);
    if has("{vaultName}") {
        vault::find(call).await?;
    } else if has("{resourceGroupName}") {
        groups::find(call).await?;
    }
    Ok(())
}

/// Whether an operation answers with a list.
pub(crate) fn is_list(operation: &Operation) -> bool {
    let single = operation.segments.last().is_some_and(|last| last.starts_with('{'));
    operation.name.contains("List") || (operation.method == Method::GET && !single)
}
