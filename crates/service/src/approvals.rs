//! Requests for a second person's approval.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use strongroom_api::routes::RouteId;
use strongroom_api::{ApprovalList, ApprovalView, Code, RequestApproval};
use strongroom_model::{ApprovalId, ApprovalState};
use strongroom_vault::{ApprovalRow, ApprovalsOf, Subject};

use crate::guards;
use crate::incoming::Incoming;
use crate::parse::parse;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/vaults/{vault}/approvals`.
pub(crate) async fn of_vault(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
) -> Answer<Json<ApprovalList>> {
    let vault = shared.vault(&vault).await?;
    list(&shared, ApprovalsOf::Vault(vault.id)).await
}

/// `GET /api/v1/resource-groups/{group}/guards/{guard}/approvals`.
pub(crate) async fn of_guard(
    State(shared): State<Arc<Shared>>,
    Path((group, guard)): Path<(String, String)>,
) -> Answer<Json<ApprovalList>> {
    let guard = guards::find(&shared, &group, &guard).await?;
    list(&shared, ApprovalsOf::Guard(&guard)).await
}

async fn list(shared: &Shared, of: ApprovalsOf<'_>) -> Answer<Json<ApprovalList>> {
    let rows = shared.vaults.approvals(of).await.map_err(refuse)?;
    let now = shared.clock.now();
    let approvals = rows.into_iter().map(|row| view(row, now)).collect();
    Ok(Json(ApprovalList { approvals }))
}

/// `POST /api/v1/vaults/{vault}/approvals`.
pub(crate) async fn request(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    account: Account,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<ApprovalView>)> {
    let request: RequestApproval = incoming.read_json(&shared, RouteId::RequestApproval).await?;
    let vault = shared.vault(&vault).await?;
    // Nobody is asked about what the caller may not do anyway.
    if !account.access.permits_on(request.operation.permission(), &vault) {
        return Err(Refusal::forbidden());
    }
    let subject = match (request.item, request.policy) {
        (None, None) => Subject::Vault,
        (Some(item), None) => {
            let item = shared.vaults.item(vault.id, item.as_str()).await;
            Subject::Item(Box::new(item.map_err(refuse)?))
        }
        (None, Some(policy)) => {
            let policy = shared.vaults.policy(vault.id, &policy).await;
            Subject::Policy(policy.map_err(refuse)?.name)
        }
        (Some(_), Some(_)) => {
            let detail = "A request is about an item or about a policy, not about both";
            return Err(Refusal::new(Code::InvalidRequest, detail));
        }
    };
    let (by, operation) = (account.actor(), request.operation);
    let asked = shared
        .vaults
        .request_approval(vault.id, &by, operation, &subject, &request.reason)
        .await;
    let row = asked.map_err(refuse)?;
    tracing::info!(vault = %vault.name, %operation, subject = subject.name(), by = by.name(), "asked for approval");
    Ok((StatusCode::CREATED, Json(view(row, shared.clock.now()))))
}

/// `POST /api/v1/resource-groups/{group}/guards/{guard}/approvals/{approval}/approve`.
pub(crate) async fn approve(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<(String, String, String)>,
    account: Account,
) -> Answer<Json<ApprovalView>> {
    decide(&shared, path, &account, ApprovalState::Approved).await
}

/// `POST /api/v1/resource-groups/{group}/guards/{guard}/approvals/{approval}/deny`.
pub(crate) async fn deny(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<(String, String, String)>,
    account: Account,
) -> Answer<Json<ApprovalView>> {
    decide(&shared, path, &account, ApprovalState::Denied).await
}

async fn decide(
    shared: &Shared,
    (group, guard, approval): (String, String, String),
    account: &Account,
    state: ApprovalState,
) -> Answer<Json<ApprovalView>> {
    let id: ApprovalId = parse(&approval)?;
    let guard = guards::find(shared, &group, &guard).await?;
    let by = account.actor();
    let decided = shared.vaults.decide_approval(&guard, id, &by, state).await;
    let row = decided.map_err(refuse)?;
    tracing::info!(vault = %row.vault, operation = %row.operation, by = by.name(), %state, "decided about a request");
    Ok(Json(view(row, shared.clock.now())))
}

fn view(row: ApprovalRow, now: Timestamp) -> ApprovalView {
    let state = row.state_at(now);
    let (decided_by, decided) = row.decided.unzip();
    ApprovalView {
        id: row.id,
        vault: row.vault,
        operation: row.operation,
        subject: row.subject,
        reason: row.reason,
        state,
        requester: row.requester.name().to_owned(),
        requested: row.requested,
        ends: row.ends,
        decided_by,
        decided,
        used: row.used,
    }
}
