//! Key sets: kept for machines, never opened.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{JoinRequest, KeySetList, KeySetView};
use strongroom_model::KeySetId;
use strongroom_vault::StoredKeySet;

use crate::incoming::Incoming;
use crate::parse::parse;
use crate::principal::Machine;
use crate::refusal::Answer;
use crate::security_pins::ShownPin;
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
    KeySetView {
        id: set.id,
        object,
        damage,
        joined: set.joined,
    }
}

/// `PUT /api/v1/key-sets/{key_set}`.
pub(crate) async fn add(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path(id): Path<String>,
    pin: ShownPin,
    incoming: Incoming,
) -> Answer<StatusCode> {
    let id: KeySetId = parse(&id)?;
    let pin = pin.hash(&shared, machine);
    let object = incoming.read(&shared, RouteId::AddKeySet).await?;
    shared
        .vaults
        .add_key_set(machine.container, id, object, pin)
        .await
        .map_err(refuse)?;
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
