//! What guards a vault's data, for people.

use std::sync::Arc;

use axum::extract::{Path, State};
use strongroom_api::SettingsView;
use strongroom_api::routes::RouteId;
use strongroom_model::VaultSettings;
use strongroom_vault::VaultRow;

use crate::etag::{IfMatch, Tagged, tagged};
use crate::incoming::Incoming;
use crate::principal::Account;
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `GET /api/v1/vaults/{vault}/settings`.
pub(crate) async fn show(State(shared): State<Arc<Shared>>, Path(vault): Path<String>) -> Answer<Tagged<SettingsView>> {
    Ok(view(shared.vault(&vault).await?))
}

/// `PUT /api/v1/vaults/{vault}/settings`.
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    account: Account,
    IfMatch(version): IfMatch,
    incoming: Incoming,
) -> Answer<Tagged<SettingsView>> {
    let settings: VaultSettings = incoming.read_json(&shared, RouteId::ChangeSettings).await?;
    let vault = shared.vault(&vault).await?;
    let changed = shared
        .vaults
        .change_settings(&account.actor(), vault.id, settings, version)
        .await;
    let row = changed.map_err(refuse)?;
    let lowered = vault.settings.lowered_by(&row.settings);
    match lowered.is_empty() {
        true => tracing::info!(vault = %vault.name, "changed the vault's settings"),
        false => tracing::warn!(vault = %vault.name, "the vault protects less: {}", lowered.join(", ")),
    }
    Ok(view(row))
}

fn view(row: VaultRow) -> Tagged<SettingsView> {
    let version = row.version;
    let settings = row.settings;
    tagged(version, SettingsView { settings, version })
}
