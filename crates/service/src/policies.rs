//! Policies, for people.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{ChangePolicy, CreatePolicy, PolicyList, PolicyView};
use strongroom_model::PolicyName;
use strongroom_vault::PolicyRow;

use crate::etag::{IfMatch, Tagged, tagged};
use crate::incoming::Incoming;
use crate::location::{Located, located};
use crate::parse::parse;
use crate::principal::Account;
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/vaults/{vault}/policies`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>, Path(vault): Path<String>) -> Answer<Json<PolicyList>> {
    let vault = shared.vault(&vault).await?;
    let rows = shared.vaults.policies(vault.id).await.map_err(refuse)?;
    let policies = rows.into_iter().map(view).collect();
    Ok(Json(PolicyList { policies }))
}

/// `POST /api/v1/vaults/{vault}/policies`.
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    incoming: Incoming,
) -> Answer<(StatusCode, Located<Tagged<PolicyView>>)> {
    let create: CreatePolicy = incoming.read_json(&shared, RouteId::CreatePolicy).await?;
    let vault = shared.vault(&vault).await?;
    let CreatePolicy { name, workload, rules } = create;
    let created = shared.vaults.create_policy(vault.id, &name, workload, &rules).await;
    let row = created.map_err(refuse)?;
    tracing::info!(vault = %vault.name, policy = %name, "made a policy");
    let tagged = tagged(row.version, view(row));
    Ok((
        StatusCode::CREATED,
        located(RouteId::ShowPolicy, &[&vault.name, &name], tagged),
    ))
}

/// `GET /api/v1/vaults/{vault}/policies/{policy}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path((vault, policy)): Path<(String, String)>,
) -> Answer<Tagged<PolicyView>> {
    let policy: PolicyName = parse(&policy)?;
    let vault = shared.vault(&vault).await?;
    let row = shared.vaults.policy(vault.id, &policy).await.map_err(refuse)?;
    Ok(tagged(row.version, view(row)))
}

/// `PUT /api/v1/vaults/{vault}/policies/{policy}`.
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    Path((vault, policy)): Path<(String, String)>,
    account: Account,
    IfMatch(version): IfMatch,
    incoming: Incoming,
) -> Answer<Tagged<PolicyView>> {
    let policy: PolicyName = parse(&policy)?;
    let change: ChangePolicy = incoming.read_json(&shared, RouteId::ChangePolicy).await?;
    let vault = shared.vault(&vault).await?;
    let changed = shared
        .vaults
        .change_policy(&account.actor(), vault.id, &policy, &change.rules, version)
        .await;
    let row = changed.map_err(refuse)?;
    tracing::info!(vault = %vault.name, %policy, version = row.version, "changed a policy");
    Ok(tagged(row.version, view(row)))
}

/// `DELETE /api/v1/vaults/{vault}/policies/{policy}`.
pub(crate) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((vault, policy)): Path<(String, String)>,
    IfMatch(version): IfMatch,
) -> Answer<StatusCode> {
    let policy: PolicyName = parse(&policy)?;
    let vault = shared.vault(&vault).await?;
    let deleted = shared.vaults.delete_policy(vault.id, &policy, version).await;
    deleted.map_err(refuse)?;
    tracing::info!(vault = %vault.name, %policy, "deleted a policy");
    Ok(StatusCode::NO_CONTENT)
}

fn view(row: PolicyRow) -> PolicyView {
    PolicyView {
        name: row.name,
        workload: row.workload,
        rules: row.policy,
        items: row.items,
        version: row.version,
        created: row.created,
        changed: row.changed,
    }
}
