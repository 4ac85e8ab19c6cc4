//! Who is told of alerts, for people.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use strongroom_api::routes::RouteId;
use strongroom_api::{ChangeNotifications, Code, NotificationTest, NotificationsView, Secret};
use strongroom_vault::NotificationsRow;

use crate::etag::{IfMatch, Tagged, tagged};
use crate::incoming::Incoming;
use crate::notifier;
use crate::password::random_bytes;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// How long a secret is that signs webhooks, in bytes.
const SECRET_MIN: usize = 16;
const SECRET_MAX: usize = 200;

/// `GET /api/v1/vaults/{vault}/notifications`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
) -> Answer<Tagged<NotificationsView>> {
    let vault = shared.vault(&vault).await?;
    let row = shared.vaults.notifications(vault.id).await.map_err(refuse)?;
    Ok(view(row, None))
}

/// `PUT /api/v1/vaults/{vault}/notifications`.
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    IfMatch(version): IfMatch,
    incoming: Incoming,
) -> Answer<Tagged<NotificationsView>> {
    let change: ChangeNotifications = incoming.read_json(&shared, RouteId::ChangeNotifications).await?;
    let vault = shared.vault(&vault).await?;
    let present = shared.vaults.notifications(vault.id).await.map_err(refuse)?;
    let (secret, made) = match (&change.webhook_secret, &change.settings.webhook) {
        (Some(secret), _) => (shared.seals.seal(vault.id, checked(secret)?), None),
        // A secret belongs to one receiver: without one it goes.
        (None, None) => (Vec::new(), None),
        (None, webhook) if !present.secret.is_empty() && *webhook == present.settings.webhook => (present.secret, None),
        (None, Some(_)) => {
            let made = Secret::new(format!("{:032x}", u128::from_be_bytes(random_bytes())));
            (shared.seals.seal(vault.id, &made), Some(made))
        }
    };
    let version = version.unwrap_or(present.version);
    let changed = shared
        .vaults
        .change_notifications(vault.id, &change.settings, &secret, version);
    let row = changed.await.map_err(refuse)?;
    tracing::info!(vault = %vault.name, version = row.version, "changed who is told of alerts");
    Ok(view(row, made))
}

/// `POST /api/v1/vaults/{vault}/notifications/test`.
pub(crate) async fn test(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
) -> Answer<Json<NotificationTest>> {
    let vault = shared.vault(&vault).await?;
    let row = shared.vaults.notifications(vault.id).await.map_err(refuse)?;
    let results = notifier::test(&shared, &vault, &row.settings).await;
    if results.is_empty() {
        let detail = "Nobody is told of this vault's alerts: name an address or a webhook first";
        return Err(Refusal::new(Code::InvalidSettings, detail));
    }
    Ok(Json(NotificationTest { results }))
}

fn checked(secret: &Secret) -> Answer<&Secret> {
    match (SECRET_MIN..=SECRET_MAX).contains(&secret.reveal().len()) {
        true => Ok(secret),
        false => {
            let detail = format!("The secret of a webhook has {SECRET_MIN} to {SECRET_MAX} characters");
            Err(Refusal::new(Code::InvalidSettings, detail))
        }
    }
}

fn view(row: NotificationsRow, made: Option<Secret>) -> Tagged<NotificationsView> {
    let version = row.version;
    let view = NotificationsView {
        settings: row.settings,
        has_webhook_secret: !row.secret.is_empty(),
        webhook_secret: made,
        version,
    };
    tagged(version, view)
}
