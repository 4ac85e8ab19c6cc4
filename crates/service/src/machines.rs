//! Machines: the credentials files with which they register, and their registration.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use strongroom_api::routes::RouteId;
use strongroom_api::{Code, MachineView, RegisterRequest, Registered, Secret, VaultCredentials};
use strongroom_db::{Credential, CredentialId, CredentialUse};
use strongroom_model::{VaultId, VaultName};
use uuid::Uuid;

use crate::incoming::Incoming;
use crate::location::{Located, located};
use crate::parse::parse;
use crate::password::{random_bytes, random_text};
use crate::principal::{Machine, Registration};
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::{refuse, refuse_vault};

/// How long a credentials file is good.
const CREDENTIALS_DAYS: i64 = 10;

/// `POST /api/v1/vaults/{vault}/credentials`.
pub(crate) async fn issue_credentials(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Answer<(StatusCode, Json<VaultCredentials>)> {
    let name: VaultName = parse(&name)?;
    let shown = shared.vaults.show(&name).await;
    let vault = shown.map_err(refuse_vault(&name))?.vault;
    let secret = Secret::new(random_text());
    let credential = new_credential(vault.id, &secret, shared.clock.now());
    let inserted = shared.db.insert_credential(&credential).await;
    inserted.map_err(|error| refuse(error.into()))?;
    tracing::info!(vault = %vault.name, expires = %credential.expires, "issued vault credentials");
    let file = VaultCredentials {
        version: VaultCredentials::VERSION,
        vault: vault.name,
        vault_id: vault.id,
        url: shared.url.clone(),
        ca_certificate: shared.trust.as_pem().to_owned(),
        ca_sha256: shared.trust.fingerprint(),
        credential_id: Uuid::from_bytes(*credential.id.as_bytes()).to_string(),
        secret,
        issued: credential.issued,
        expires: credential.expires,
    };
    Ok((StatusCode::CREATED, Json(file)))
}

fn new_credential(vault: VaultId, secret: &Secret, issued: Timestamp) -> Credential {
    let expires = issued.saturating_add(SignedDuration::from_hours(24 * CREDENTIALS_DAYS));
    Credential {
        id: CredentialId::from_bytes(random_bytes()),
        vault,
        secret_hash: *blake3::hash(secret.reveal().as_bytes()).as_bytes(),
        issued,
        expires: expires.expect("a signed duration carries no calendar units"),
        used: 0,
    }
}

/// `POST /api/v1/register`.
pub(crate) async fn register(
    State(shared): State<Arc<Shared>>,
    registration: Registration,
    incoming: Incoming,
) -> Answer<(StatusCode, Located<Json<Registered>>)> {
    let request: RegisterRequest = incoming.read_json(&shared, RouteId::Register).await?;
    let now = shared.clock.now();
    let used = shared.db.use_credential(registration.credential, now).await;
    if used.map_err(|error| refuse(error.into()))? == CredentialUse::Refused {
        return Err(unknown_credentials());
    }
    let registered = shared
        .vaults
        .register_container(registration.vault, &request.machine, &request.public_key)
        .await;
    let container = registered.map_err(refuse)?;
    let vault = shared.vaults.vault(container.vault).await.map_err(refuse)?;
    tracing::info!(vault = %vault.name, machine = %container.name, id = %container.id, "registered a machine");
    let registered = Registered {
        container: container.id,
        item: container.item,
        vault: vault.id,
        vault_name: vault.name,
        salt: vault.salt,
        server_time: now,
    };
    Ok((
        StatusCode::CREATED,
        located(RouteId::ShowMachine, &[], Json(registered)),
    ))
}

/// `GET /api/v1/machine`.
pub(crate) async fn show(State(shared): State<Arc<Shared>>, machine: Machine) -> Answer<Json<MachineView>> {
    let container = shared.vaults.container(machine.container).await.map_err(refuse)?;
    let vault = shared.vaults.vault(container.vault).await.map_err(refuse)?;
    Ok(Json(MachineView {
        container: container.id,
        name: container.name,
        item: container.item,
        vault: vault.id,
        vault_name: vault.name,
        salt: vault.salt,
        server_time: shared.clock.now(),
    }))
}

/// The machine that a token speaks for: looked up for each request, so that one that was unregistered is a stranger at once,
/// on every node.
pub(crate) async fn find(shared: &Shared, machine: Machine) -> Answer<Machine> {
    let found = shared.machine_key(machine.container).await?;
    found.map(|(machine, _)| machine).ok_or_else(|| {
        Refusal::new(
            Code::Unauthenticated,
            "The machine is not registered any more: register it with a new vault credentials file",
        )
    })
}

/// Whose registration the credentials `id` and `secret` permit.
pub(crate) async fn check_credentials(shared: &Shared, id: &str, secret: &str) -> Answer<Registration> {
    let id = Uuid::try_parse(id).map_err(|_| unknown_credentials())?;
    let found = shared.db.credential(CredentialId::from_bytes(*id.as_bytes())).await;
    let found = found.map_err(|error| refuse(error.into()))?;
    let credential = found.ok_or_else(unknown_credentials)?;
    // The secret has 256 random bits, so one fast hash is enough; hashes of this type compare in constant time.
    if blake3::hash(secret.as_bytes()) != blake3::Hash::from_bytes(credential.secret_hash) {
        return Err(unknown_credentials());
    }
    if shared.clock.now() >= credential.expires {
        let vault = shared.vaults.vault(credential.vault).await.map_err(refuse)?;
        let sentence = VaultCredentials::expired_sentence(&vault.name, credential.expires);
        return Err(Refusal::new(Code::CredentialsExpired, sentence));
    }
    let (vault, credential) = (credential.vault, credential.id);
    Ok(Registration { vault, credential })
}

fn unknown_credentials() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "The vault credentials are not known here: download new ones with `strongroom vault credentials NAME --output FILE`",
    )
}
