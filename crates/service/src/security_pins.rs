//! Security PINs: given to people, shown by machines. The database has a hash by a key of the data folder, as six digits alone
//! can be guessed from any hash.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use strongroom_api::routes::RouteId;
use strongroom_api::{ItemChange, SECURITY_PIN_HEADER, Secret, SecurityPin};
use strongroom_db::NewAuditRow;
use strongroom_model::{Permission, Place, VaultId};
use strongroom_vault::{Actor, PinHash, Pinned, VaultError, VaultRow};

use crate::audit;
use crate::gate::RequestId;
use crate::items;
use crate::listener::Peer;
use crate::password::random_bytes;
use crate::principal::{Account, Machine};
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::token::KEY_LENGTH;
use crate::vault_refusal::refuse;

const DIGITS: usize = 6;

/// Hashes PINs, each for its vault only.
pub(crate) struct PinKey([u8; KEY_LENGTH]);

impl PinKey {
    pub(crate) fn new(key: [u8; KEY_LENGTH]) -> Self {
        Self(key)
    }

    pub(crate) fn hash(&self, vault: VaultId, pin: &Secret) -> PinHash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(vault.as_bytes()).update(pin.reveal().as_bytes());
        PinHash(*hasher.finalize().as_bytes())
    }
}

/// What a machine asks for that takes a PIN. The gate writes down what accounts do; here an account does it through a machine.
pub(crate) struct AtMachine {
    pub(crate) machine: Machine,
    shown: Option<Secret>,
    request: RequestId,
    peer: Peer,
}

impl AtMachine {
    /// The PIN that it shows, as the machine's vault keeps it.
    pub(crate) fn pin(&self, shared: &Shared) -> Option<PinHash> {
        self.shown.as_ref().map(|pin| shared.pins.hash(self.machine.vault, pin))
    }

    /// Writes down what was done, for whoever got the PIN, or that it was wrong. `permission` is what a person would have
    /// needed for it.
    pub(crate) async fn write_down<T>(
        &self,
        shared: &Shared,
        route: RouteId,
        permission: Permission,
        pinned: Result<Pinned<T>, VaultError>,
    ) -> Answer<T> {
        match pinned {
            Ok(Pinned { done, by }) => {
                self.write(shared, route, permission, by, route.route().status).await?;
                Ok(done)
            }
            // Those that are not looked at any more are no guesses, and without end.
            Err(error @ VaultError::PinRefused { .. }) if self.shown.is_some() => {
                let refusal = refuse(error);
                let name = self.machine.container.to_string();
                let (by, status) = (Actor::Nobody { name }, refusal.0.code.status());
                self.write(shared, route, permission, by, status).await?;
                tracing::warn!(machine = %self.machine.container, "a machine showed a wrong security PIN");
                Err(refusal)
            }
            Err(error) => Err(refuse(error)),
        }
    }

    async fn write(
        &self,
        shared: &Shared,
        route: RouteId,
        permission: Permission,
        actor: Actor,
        status: u16,
    ) -> Answer<()> {
        let route = route.route();
        let vault = shared.vaults.vault(self.machine.vault).await.map_err(refuse)?;
        let line = NewAuditRow {
            time: shared.clock.now(),
            actor,
            action: permission.action().unwrap_or_default().to_owned(),
            method: route.method.to_string(),
            path: audit::short(&format!("{}?machine={}", route.path, self.machine.container)),
            scope: Place::vault(&vault.resource_group, vault.id).scope().clone(),
            status,
            peer: self.peer.0.ip().to_string(),
            request: *self.request.0.as_bytes(),
        };
        shared.audit.write(shared, line).await;
        Ok(())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AtMachine {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let machine = Machine::from_request_parts(parts, state).await;
        let request = Extension::from_request_parts(parts, state).await;
        let peer = Extension::from_request_parts(parts, state).await;
        // What is no text is no PIN either: a wrong one.
        let shown = parts.headers.get(SECURITY_PIN_HEADER);
        let shown = shown.map(|value| Secret::new(value.to_str().unwrap_or_default().trim()));
        let Extension(request) = request.map_err(IntoResponse::into_response)?;
        let Extension(peer) = peer.map_err(IntoResponse::into_response)?;
        Ok(Self {
            machine: machine.map_err(IntoResponse::into_response)?,
            shown,
            request,
            peer,
        })
    }
}

/// `POST /api/v1/vaults/{vault}/security-pin`.
pub(crate) async fn issue(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    account: Account,
) -> Answer<(StatusCode, Json<SecurityPin>)> {
    let vault = shared.vault(&vault).await?;
    let pin = issue_for(&shared, &vault, &account.actor()).await?;
    Ok((StatusCode::CREATED, Json(pin)))
}

/// Makes a new PIN of a vault.
pub(crate) async fn issue_for(shared: &Shared, vault: &VaultRow, by: &Actor) -> Answer<SecurityPin> {
    let pin = random_pin();
    let issued = shared
        .vaults
        .issue_pin(vault.id, by, shared.pins.hash(vault.id, &pin))
        .await;
    let expires = issued.map_err(refuse)?;
    tracing::info!(vault = %vault.name, by = by.name(), "gave out a security PIN");
    Ok(SecurityPin { pin, expires })
}

/// Each of the million with the same chance.
fn random_pin() -> Secret {
    const BELOW: u64 = 1_000_000;
    const FAIR: u64 = u64::MAX - u64::MAX % BELOW;
    loop {
        let number = u64::from_le_bytes(random_bytes());
        if number < FAIR {
            return Secret::new(format!("{:0DIGITS$}", number % BELOW));
        }
    }
}

/// `POST /api/v1/machine/delete-data`.
pub(crate) async fn delete_data(State(shared): State<Arc<Shared>>, asked: AtMachine) -> Answer<Json<ItemChange>> {
    let container = asked.machine.container;
    let deleted = shared.vaults.delete_own_data(container, asked.pin(&shared)).await;
    let (route, needed) = (RouteId::DeleteOwnData, Permission::ItemsDelete);
    let done = asked.write_down(&shared, route, needed, deleted).await?;
    tracing::warn!(machine = %container, "a machine had its data deleted, with a security PIN");
    Ok(Json(items::change(done)))
}

/// `DELETE /api/v1/machine`.
pub(crate) async fn unregister(State(shared): State<Arc<Shared>>, asked: AtMachine) -> Answer<Json<ItemChange>> {
    let container = asked.machine.container;
    let gone = shared.vaults.unregister_oneself(container, asked.pin(&shared)).await;
    let (route, needed) = (RouteId::UnregisterMachine, Permission::ContainersDelete);
    let done = asked.write_down(&shared, route, needed, gone).await?;
    shared.calls.call(container);
    tracing::info!(machine = %container, "a machine unregistered itself, with a security PIN");
    Ok(Json(items::change(done)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_has_six_digits_and_is_its_vaults_own() {
        for _ in 0..1000 {
            let pin = random_pin();
            assert!(pin.reveal().len() == DIGITS && pin.reveal().bytes().all(|byte| byte.is_ascii_digit()));
        }
        let key = PinKey::new([7; KEY_LENGTH]);
        let (one, two) = (VaultId::from_bytes([1; 16]), VaultId::from_bytes([2; 16]));
        let pin = Secret::new("012345");
        assert_eq!(key.hash(one, &pin).0, key.hash(one, &pin).0);
        assert_ne!(key.hash(one, &pin).0, key.hash(two, &pin).0);
        assert_ne!(key.hash(one, &pin).0, PinKey::new([8; KEY_LENGTH]).hash(one, &pin).0);
    }
}
