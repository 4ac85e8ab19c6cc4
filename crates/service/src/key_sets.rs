//! Key sets: kept for machines, never opened.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{JoinRequest, KeySetList, KeySetView};
use strongroom_model::{KeySetId, Permission};
use strongroom_vault::StoredKeySet;

use crate::incoming::Incoming;
use crate::parse::parse;
use crate::principal::Machine;
use crate::refusal::Answer;
use crate::security_pins::AtMachine;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/key-sets`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>, machine: Machine) -> Answer<Json<KeySetList>> {
    let found = shared.vaults.key_sets(machine.container).await.map_err(refuse)?;
    let key_sets = found.into_iter().map(view).collect();
    Ok(Json(KeySetList { key_sets }))
}

fn view(set: StoredKeySet) -> KeySetView {
    let (object, damage) = match set.object {
        Ok(object) => (object.to_vec(), None),
        Err(damage) => (Vec::new(), Some(damage.to_string())),
    };
    let added_by = set.members.iter().find(|member| member.added);
    KeySetView {
        id: set.id,
        object,
        damage,
        joined: set.joined,
        added: set.added,
        added_by: added_by.map(|member| member.machine.clone()),
        machines: set.members.into_iter().map(|member| member.machine).collect(),
    }
}

/// `PUT /api/v1/key-sets/{key_set}`.
pub(crate) async fn add(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    asked: AtMachine,
    incoming: Incoming,
) -> Answer<StatusCode> {
    let id: KeySetId = parse(&id)?;
    let object = incoming.read(&shared, RouteId::AddKeySet).await?;
    let container = asked.machine.container;
    let added = shared
        .vaults
        .add_key_set(container, id, object, asked.pin(&shared))
        .await;
    // A vault credentials file, too, lets a machine take another passphrase.
    let needed = Permission::CredentialsIssue;
    // The first needs no PIN, and nobody did it but the machine.
    if let Some(added) = added.transpose() {
        asked.write_down(&shared, RouteId::AddKeySet, needed, added).await?;
        tracing::warn!(machine = %container, "a machine took another passphrase, with a security PIN");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/key-sets/{key_set}/join`.
pub(crate) async fn join(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path(id): Path<String>,
    incoming: Incoming,
) -> Answer<StatusCode> {
    let id: KeySetId = parse(&id)?;
    let request: JoinRequest = incoming.read_json(&shared, RouteId::JoinKeySet).await?;
    shared
        .vaults
        .join_key_set(machine.container, id, &request.membership)
        .await
        .map_err(refuse)?;
    Ok(StatusCode::NO_CONTENT)
}
