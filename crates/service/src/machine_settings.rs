//! What machines back up, for them and for people: sealed.

use std::sync::Arc;

use axum::extract::{Path, State};
use strongroom_api::routes::RouteId;
use strongroom_api::{KeptSettings, SealedSettings};
use strongroom_db::MachineSettingsRow;
use strongroom_model::ItemId;
use strongroom_vault::NewMachineSettings;

use crate::etag::{IfMatch, Tagged, tagged};
use crate::incoming::Incoming;
use crate::items::find;
use crate::principal::Machine;
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/machine/settings`.
pub(crate) async fn show_own(State(shared): State<Arc<Shared>>, machine: Machine) -> Answer<Tagged<KeptSettings>> {
    let row = shared.vaults.machine_settings(machine.item).await.map_err(refuse)?;
    Ok(view(machine.item, row, Vec::new()))
}

/// `PUT /api/v1/machine/settings`.
pub(crate) async fn change_own(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    IfMatch(seen): IfMatch,
    incoming: Incoming,
) -> Answer<Tagged<KeptSettings>> {
    let new: SealedSettings = incoming.read_json(&shared, RouteId::ChangeOwnSettings).await?;
    let changed = shared.vaults.change_own_settings(machine.container, given(new), seen);
    let row = changed.await.map_err(refuse)?;
    // A client that runs there hears of what somebody set beside it.
    shared.calls.call(machine.container);
    tracing::info!(machine = %machine.container, generation = row.generation, "a machine changed its settings");
    Ok(view(machine.item, Some(row), Vec::new()))
}

/// `GET /api/v1/vaults/{vault}/items/{item}/settings`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path((vault, item)): Path<(String, String)>,
) -> Answer<Tagged<KeptSettings>> {
    let item = find(&shared, &vault, &item).await?;
    let row = shared.vaults.machine_settings(item.id).await.map_err(refuse)?;
    let object = match &row {
        Some(row) => shared.vaults.key_set_object(item.vault, row.key_set).await,
        None => Ok(None),
    };
    let object = object.map_err(refuse)?.unwrap_or_default();
    Ok(view(item.id, row, object.to_vec()))
}

/// `PUT /api/v1/vaults/{vault}/items/{item}/settings`.
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    Path((vault, item)): Path<(String, String)>,
    IfMatch(seen): IfMatch,
    incoming: Incoming,
) -> Answer<Tagged<KeptSettings>> {
    let new: SealedSettings = incoming.read_json(&shared, RouteId::ChangeItemSettings).await?;
    let item = find(&shared, &vault, &item).await?;
    let changed = shared
        .vaults
        .change_machine_settings(item.vault, item.id, given(new), seen);
    let row = changed.await.map_err(refuse)?;
    // Its machine takes them over at once, if it is there.
    shared.calls.call(item.container);
    tracing::info!(vault, item = %item.name, generation = row.generation, "changed what a machine backs up");
    Ok(view(item.id, Some(row), Vec::new()))
}

fn given(new: SealedSettings) -> NewMachineSettings {
    NewMachineSettings {
        key_set: new.key_set,
        generation: new.generation,
        sealed: new.sealed,
    }
}

fn view(item: ItemId, row: Option<MachineSettingsRow>, key_set_object: Vec<u8>) -> Tagged<KeptSettings> {
    let changed = row.as_ref().map(|row| row.changed);
    let settings = row.map(|row| SealedSettings {
        key_set: row.key_set,
        generation: row.generation,
        sealed: row.sealed,
    });
    let kept = KeptSettings {
        item,
        settings,
        changed,
        key_set_object,
    };
    tagged(kept.generation(), kept)
}
