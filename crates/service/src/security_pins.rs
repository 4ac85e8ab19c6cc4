//! Security PINs: given to people, shown by machines. The database has a hash by a key of the data folder, as six digits alone
//! can be guessed from any hash.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use strongroom_api::routes::RouteId;
use strongroom_api::{ItemChange, SECURITY_PIN_HEADER, Secret, SecurityPin};
use strongroom_db::NewAuditRow;
use strongroom_model::{Permission, Place, VaultId};
use strongroom_vault::{Actor, PinHash, VaultRow};

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

/// The PIN that a request shows.
pub(crate) struct ShownPin(Option<Secret>);

impl ShownPin {
    /// As the machine's vault keeps it.
    pub(crate) fn hash(&self, shared: &Shared, machine: Machine) -> Option<PinHash> {
        self.0.as_ref().map(|pin| shared.pins.hash(machine.vault, pin))
    }
}

impl<S: Sync> FromRequestParts<S> for ShownPin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let shown = parts.headers.get(SECURITY_PIN_HEADER);
        // What is no text is no PIN either: a wrong one.
        Ok(Self(
            shown.map(|value| Secret::new(value.to_str().unwrap_or_default().trim())),
        ))
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
pub(crate) async fn delete_data(
    State(shared): State<Arc<Shared>>,
    Extension(request): Extension<RequestId>,
    Extension(peer): Extension<Peer>,
    machine: Machine,
    pin: ShownPin,
) -> Answer<Json<ItemChange>> {
    let pin = pin.hash(&shared, machine);
    let deleted = shared.vaults.delete_own_data(machine.container, pin).await;
    let deleted = deleted.map_err(refuse)?;
    let done = Done {
        route: RouteId::DeleteOwnData,
        permission: Permission::ItemsDelete,
        by: deleted.by,
    };
    done.write_down(&shared, machine, request, peer).await?;
    tracing::warn!(machine = %machine.container, "a machine had its data deleted, with a security PIN");
    Ok(Json(items::change(deleted.done)))
}

/// `DELETE /api/v1/machine`.
pub(crate) async fn unregister(
    State(shared): State<Arc<Shared>>,
    Extension(request): Extension<RequestId>,
    Extension(peer): Extension<Peer>,
    machine: Machine,
    pin: ShownPin,
) -> Answer<Json<ItemChange>> {
    let pin = pin.hash(&shared, machine);
    let gone = shared.vaults.unregister_oneself(machine.container, pin).await;
    let gone = gone.map_err(refuse)?;
    let done = Done {
        route: RouteId::UnregisterMachine,
        permission: Permission::ContainersDelete,
        by: gone.by,
    };
    done.write_down(&shared, machine, request, peer).await?;
    shared.calls.call(machine.container);
    tracing::info!(machine = %machine.container, "a machine unregistered itself, with a security PIN");
    Ok(Json(items::change(gone.done)))
}

/// What a machine did with a PIN. The gate writes down what accounts do; here an account did it through a machine.
pub(crate) struct Done {
    pub(crate) route: RouteId,
    /// What a person would have needed for it.
    pub(crate) permission: Permission,
    /// Who got the PIN.
    pub(crate) by: Actor,
}

impl Done {
    pub(crate) async fn write_down(
        self,
        shared: &Shared,
        machine: Machine,
        RequestId(request): RequestId,
        Peer(peer): Peer,
    ) -> Answer<()> {
        let route = self.route.route();
        let vault = shared.vaults.vault(machine.vault).await.map_err(refuse)?;
        let line = NewAuditRow {
            time: shared.clock.now(),
            actor: self.by,
            action: self.permission.action().unwrap_or_default().to_owned(),
            method: route.method.to_string(),
            path: audit::short(&format!("{}?machine={}", route.path, machine.container)),
            scope: Place::vault(&vault.resource_group, vault.id).scope().clone(),
            status: route.status,
            peer: peer.ip().to_string(),
            request: *request.as_bytes(),
        };
        shared.audit.write(shared, line).await;
        Ok(())
    }
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
