//! Service principals, for whoever manages them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::SignedDuration;
use strongroom_api::routes::RouteId;
use strongroom_api::{
    AddCertificate, AddSecret, AddedSecret, ChangeServicePrincipal, Code, CreateServicePrincipal, KeyKind, KeyView,
    Secret, ServicePrincipalList, ServicePrincipalView,
};
use strongroom_db::{ApplicationKeyKind, ApplicationKeyRow, ApplicationRow};
use strongroom_model::{ApplicationId, KeyId, PrincipalName};

use crate::accounts::new_id;
use crate::certificate::Certificate;
use crate::incoming::Incoming;
use crate::location::{Located, located};
use crate::oauth::is_registrable;
use crate::parse::parse;
use crate::password::random_text;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal, sentence};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// How many secrets and certificates a service principal may have: enough to replace one before it expires.
const KEYS_MAX: u32 = 20;

/// The longest that a secret may be good for, in days.
const DAYS_MAX: u32 = 730;

/// The longest label, in characters.
const LABEL_MAX: usize = 100;

/// The most addresses that people may be sent back to.
const REDIRECTS_MAX: usize = 20;

/// `GET /api/v1/service-principals`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Answer<Json<ServicePrincipalList>> {
    let rows = shared.db.applications().await.map_err(|error| refuse(error.into()))?;
    let mut service_principals = Vec::new();
    for row in rows {
        service_principals.push(view(&shared, row).await?);
    }
    Ok(Json(ServicePrincipalList { service_principals }))
}

/// `POST /api/v1/service-principals`.
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    incoming: Incoming,
) -> Answer<(StatusCode, Located<Json<ServicePrincipalView>>)> {
    let create: CreateServicePrincipal = incoming.read_json(&shared, RouteId::CreateServicePrincipal).await?;
    if create.redirects.len() > REDIRECTS_MAX || !create.redirects.iter().all(|address| is_registrable(address)) {
        let detail = format!(
            "People can be sent back to at most {REDIRECTS_MAX} addresses, each of which begins with https:// and has no fragment"
        );
        return Err(Refusal::new(Code::InvalidRequest, detail));
    }
    let now = shared.clock.now();
    let row = ApplicationRow {
        id: ApplicationId::from_uuid(new_id(now)),
        name: create.name,
        redirects: create.redirects,
        disabled: false,
        created: now,
    };
    let inserted = shared.db.insert_application(&row).await;
    if !inserted.map_err(|error| refuse(error.into()))? {
        let detail = format!(
            "There is a service principal called {} already: choose another name",
            row.name
        );
        return Err(Refusal::new(Code::PrincipalExists, detail));
    }
    tracing::info!(name = %row.name, id = %row.id, "created a service principal");
    let view = view(&shared, row).await?;
    let name = view.name.clone();
    Ok((
        StatusCode::CREATED,
        located(RouteId::ShowServicePrincipal, &[&name], Json(view)),
    ))
}

/// `GET /api/v1/service-principals/{principal}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Answer<Json<ServicePrincipalView>> {
    let row = find(&shared, &name).await?;
    Ok(Json(view(&shared, row).await?))
}

/// `PATCH /api/v1/service-principals/{principal}`.
pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    incoming: Incoming,
) -> Answer<Json<ServicePrincipalView>> {
    let change: ChangeServicePrincipal = incoming.read_json(&shared, RouteId::ChangeServicePrincipal).await?;
    let mut row = find(&shared, &name).await?;
    if let Some(disabled) = change.disabled {
        let changed = shared.db.set_application_disabled(row.id, disabled).await;
        changed.map_err(|error| refuse(error.into()))?;
        tracing::info!(name = %row.name, disabled, "changed a service principal");
        row.disabled = disabled;
    }
    Ok(Json(view(&shared, row).await?))
}

/// `DELETE /api/v1/service-principals/{principal}`.
pub(crate) async fn delete(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<StatusCode> {
    let row = find(&shared, &name).await?;
    let deleted = shared.db.delete_application(row.id).await;
    if !deleted.map_err(|error| refuse(error.into()))? {
        return Err(no_such_principal(&name));
    }
    tracing::info!(name = %row.name, "deleted a service principal");
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/service-principals/{principal}/secrets`.
pub(crate) async fn add_secret(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    account: Account,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<AddedSecret>)> {
    let add: AddSecret = incoming.read_json(&shared, RouteId::AddSecret).await?;
    if !(1..=DAYS_MAX).contains(&add.days) {
        let detail = format!("A secret is good for 1 to {DAYS_MAX} days");
        return Err(Refusal::new(Code::InvalidRequest, detail));
    }
    let row = find(&shared, &name).await?;
    let now = shared.clock.now();
    let secret = Secret::new(random_text());
    let life = SignedDuration::from_hours(24 * i64::from(add.days));
    let key = ApplicationKeyRow {
        id: KeyId::from_uuid(new_id(now)),
        application: row.id,
        label: label(add.label)?,
        kind: ApplicationKeyKind::Secret {
            hash: *blake3::hash(secret.reveal().as_bytes()).as_bytes(),
        },
        created: now,
        expires: now
            .saturating_add(life)
            .expect("a signed duration carries no calendar units"),
    };
    let key = insert(&shared, &account, &row, key).await?;
    Ok((StatusCode::CREATED, Json(AddedSecret { key, secret })))
}

/// `POST /api/v1/service-principals/{principal}/certificates`.
pub(crate) async fn add_certificate(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    account: Account,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<KeyView>)> {
    let add: AddCertificate = incoming.read_json(&shared, RouteId::AddCertificate).await?;
    let refused = |why: &str| Refusal::new(Code::InvalidCertificate, sentence(why));
    let certificate = Certificate::from_pem(&add.certificate).map_err(|error| refused(&error.to_string()))?;
    let row = find(&shared, &name).await?;
    let now = shared.clock.now();
    if certificate.expires <= now {
        return Err(refused("the certificate has expired: make a new one"));
    }
    let key = ApplicationKeyRow {
        id: KeyId::from_uuid(new_id(now)),
        application: row.id,
        label: label(add.label)?,
        kind: ApplicationKeyKind::Certificate {
            thumbprint: certificate.thumbprint(),
            der: certificate.der,
        },
        created: now,
        expires: certificate.expires,
    };
    Ok((StatusCode::CREATED, Json(insert(&shared, &account, &row, key).await?)))
}

/// `DELETE /api/v1/service-principals/{principal}/keys/{key}`.
pub(crate) async fn delete_key(
    State(shared): State<Arc<Shared>>,
    Path((name, key)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let key: KeyId = parse(&key)?;
    let row = find(&shared, &name).await?;
    let deleted = shared.db.delete_application_key(row.id, key).await;
    match deleted.map_err(|error| refuse(error.into()))? {
        true => Ok(StatusCode::NO_CONTENT),
        false => {
            let name = &row.name;
            let detail =
                format!("{name} has no secret or certificate {key}: `strongroom principal show {name}` shows them");
            Err(Refusal::new(Code::PrincipalNotFound, detail))
        }
    }
}

async fn insert(shared: &Shared, account: &Account, row: &ApplicationRow, key: ApplicationKeyRow) -> Answer<KeyView> {
    let inserted = shared.db.insert_application_key(&key, account.id, KEYS_MAX).await;
    if !inserted.map_err(|error| refuse(error.into()))? {
        let detail = format!(
            "{} has {KEYS_MAX} secrets and certificates, as many as it may have: remove one first",
            row.name
        );
        return Err(Refusal::new(Code::TooManyKeys, detail));
    }
    tracing::info!(name = %row.name, key = %key.id, expires = %key.expires, "a service principal can sign in with a new key");
    Ok(key_view(key))
}

fn label(text: String) -> Answer<String> {
    match text.chars().count() > LABEL_MAX || text.contains(char::is_control) {
        true => {
            let detail = format!("A label has at most {LABEL_MAX} characters, and no line breaks");
            Err(Refusal::new(Code::InvalidRequest, detail))
        }
        false => Ok(text),
    }
}

/// By name or by id.
async fn find(shared: &Shared, text: &str) -> Answer<ApplicationRow> {
    let found = match text.parse::<ApplicationId>() {
        Ok(id) => shared.db.application(id).await,
        Err(_) => shared.db.application_by_name(&parse::<PrincipalName>(text)?).await,
    };
    found
        .map_err(|error| refuse(error.into()))?
        .ok_or_else(|| no_such_principal(text))
}

fn no_such_principal(text: &str) -> Refusal {
    let detail =
        format!("There is no service principal {text}: `strongroom principal list` shows the service principals");
    Refusal::new(Code::PrincipalNotFound, detail)
}

async fn view(shared: &Shared, row: ApplicationRow) -> Answer<ServicePrincipalView> {
    let keys = shared.db.application_keys(row.id).await;
    let keys = keys.map_err(|error| refuse(error.into()))?;
    Ok(ServicePrincipalView {
        id: row.id,
        name: row.name,
        redirects: row.redirects,
        disabled: row.disabled,
        created: row.created,
        keys: keys.into_iter().map(key_view).collect(),
    })
}

fn key_view(key: ApplicationKeyRow) -> KeyView {
    let (kind, thumbprint) = match key.kind {
        ApplicationKeyKind::Secret { .. } => (KeyKind::Secret, None),
        ApplicationKeyKind::Certificate { thumbprint, .. } => (KeyKind::Certificate, Some(thumbprint)),
    };
    let hexadecimal = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    KeyView {
        id: key.id,
        kind,
        label: key.label,
        created: key.created,
        expires: key.expires,
        thumbprint: thumbprint.map(hexadecimal),
    }
}
