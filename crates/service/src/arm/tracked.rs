//! Operations that are asked for at another address: five families of addresses, one table.
//!
//! What Strongroom does on such a request is done when it answers; only a job may go on. So an operation is written down
//! when it is over, and any node can tell of it.

use axum::http::header;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use strongroom_db::OperationRow;
use strongroom_model::JobId;
use uuid::Uuid;

use super::call::Call;
use super::deleted_vaults;
use super::error::{ArmError, ArmResult};
use super::names::{VaultPath, fresh_id};
use super::reply::Reply;
use super::times;
use crate::vault_refusal::refuse;

/// How long an operation can be asked for.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What becomes of an operation that is written down.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The job that it began or was.
    pub(crate) job: Option<JobId>,
}

/// Writes down an operation that began with the call and is over, and answers its id.
pub(crate) async fn keep(call: &Call, vault: &VaultPath, begun: Timestamp, outcome: Outcome) -> ArmResult<Uuid> {
    let id = fresh_id();
    let now = call.shared.clock.now();
    let row = OperationRow {
        id: *id.as_bytes(),
        place: vault.0.to_lowercase(),
        begun,
        ended: now,
        job: outcome.job,
        error: None,
        details: String::new(),
    };
    let forget = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    let kept = call.shared.db.insert_operation(&row, forget).await;
    kept.map_err(|error| refuse(error.into()))?;
    Ok(id)
}

/// 202 with the addresses of an operation: `below` is what they stand below, `status` and `result` their words.
pub(crate) fn accepted(call: &Call, below: &str, status: Option<&str>, result: &str, id: Uuid) -> Reply {
    let url = |word: &str| call.url(&format!("{below}/{word}/{id}"));
    let reply = Reply::accepted()
        .result_at(url(result))
        // Without it the SDKs wait for half a minute before they look.
        .with(header::RETRY_AFTER, "1");
    match status {
        Some(word) => reply.status_at(url(word)),
        None => reply,
    }
}

/// The status of an operation, at whatever address.
pub(crate) async fn status(call: &Call) -> ArmResult<Reply> {
    let row = find(call).await?;
    let id = Uuid::from_bytes(row.id).to_string();
    let mut body = json!({
        "id": id,
        "name": id,
        "status": if row.error.is_some() { "Failed" } else { "Succeeded" },
        "startTime": times::moment(row.begun),
        "endTime": times::moment(row.ended),
    });
    if let Some(job) = row.job {
        body["properties"] = json!({ "objectType": "OperationStatusJobExtendedInfo", "jobId": job.to_string() });
    }
    if let Some((code, message)) = row.error {
        body["error"] = json!({ "code": code, "message": message });
    }
    Ok(Reply::ok(body))
}

/// The result of an operation that has none but that it is over.
pub(crate) async fn result(call: &Call) -> ArmResult<Reply> {
    find(call).await.map(|_| Reply::no_content())
}

/// The operation that the path names, if it belongs to the vault of the path. That vault may be gone.
pub(crate) async fn find(call: &Call) -> ArmResult<OperationRow> {
    let name = call.parameter("operationId");
    let absent = || ArmError::not_found("OperationNotFound", format!("There is no operation '{name:.80}' here."));
    let id = Uuid::try_parse(name).map_err(|_| absent())?;
    let found = call.shared.db.operation(*id.as_bytes()).await;
    let place = match call.parameter("deletedVaultName") {
        "" => call
            .tenancy
            .vault_id(call.parameter("resourceGroupName"), call.parameter("vaultName")),
        _ => deleted_vaults::path(call),
    };
    found
        .map_err(|error| refuse(error.into()))?
        .filter(|row| row.place == place.0.to_lowercase())
        .ok_or_else(absent)
}
