//! Service principals sign in with a secret, or with an assertion by the key of a certificate (RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Header, Validation};
use serde::Deserialize;
use strongroom_api::{Code, PrincipalKind, Secret};
use strongroom_db::{ApplicationKeyKind, ApplicationKeyRow, ApplicationRow};
use strongroom_model::ApplicationId;

use super::form::needed;
use super::logins::{access, begin_attempt};
use super::{Asked, Granted, Refused, Signed, TokenForm};
use crate::attempts::Caller;
use crate::certificate::Certificate;
use crate::shared::Shared;
use crate::token::Bearer;
use crate::vault_refusal::refuse;

/// How long an assertion may be valid at most, in seconds; Azure's clients sign for ten minutes.
const ASSERTION_SECONDS_MAX: i64 = 3600;

/// How far the other side's clock may be ahead of ours, in seconds.
const SKEW_SECONDS: i64 = 300;

/// What an assertion must say.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
}

pub(crate) async fn by_credentials(shared: &Shared, form: TokenForm, asked: &Asked) -> Result<Granted, Refused> {
    let id = needed(form.client_id, "client_id")?;
    let caller = Caller::new(asked.peer, &format!("client {id}"));
    begin_attempt(shared, caller)?;
    let proved = match (form.client_secret, form.client_assertion) {
        (Some(secret), None) => by_secret(shared, &id, &secret).await?,
        (None, Some(assertion)) => by_assertion(shared, asked, &id, &assertion).await?,
        _ => {
            let detail = "A service principal signs in with a client_secret or a client_assertion";
            return Err(Refused::new(Code::InvalidRequest, detail));
        }
    };
    let Some(application) = proved else {
        shared.metrics.sign_ins_failed.inc();
        let id = crate::audit::short(&id);
        tracing::warn!(id, "a service principal was refused");
        return Err(Refused::new(
            Code::ClientRefused,
            "The service principal is unknown or disabled, or its secret or certificate is wrong or has expired",
        ));
    };
    shared.attempts.succeeded(&caller);
    tracing::info!(name = %application.name, "a service principal signed in");
    let bearer = Bearer::Account {
        kind: PrincipalKind::ServicePrincipal,
        id: application.id.into(),
    };
    let token = shared
        .tokens
        .for_bearer(bearer, asked.access_seconds, shared.clock.now());
    Ok(Granted {
        response: access(token, asked.access_seconds),
        account: Some(Signed::Application {
            id: application.id.into(),
            name: application.name.to_string(),
        }),
        begun: true,
    })
}

async fn by_secret(shared: &Shared, id: &str, secret: &Secret) -> Result<Option<ApplicationRow>, Refused> {
    let given = blake3::hash(secret.reveal().as_bytes());
    let Some((application, keys)) = find(shared, id).await? else {
        return Ok(None);
    };
    // Hashes of this type compare in constant time.
    let right = keys.iter().any(|key| match &key.kind {
        ApplicationKeyKind::Secret { hash } => given == blake3::Hash::from_bytes(*hash),
        ApplicationKeyKind::Certificate { .. } => false,
    });
    Ok(right.then_some(application))
}

async fn by_assertion(
    shared: &Shared,
    asked: &Asked,
    id: &str,
    assertion: &Secret,
) -> Result<Option<ApplicationRow>, Refused> {
    let Some((application, keys)) = find(shared, id).await? else {
        return Ok(None);
    };
    let Ok(header) = jsonwebtoken::decode_header(assertion.reveal()) else {
        return Ok(None);
    };
    let now = shared.clock.now();
    let audiences = [asked.path.as_str(), "/api/v1/token"].map(|path| format!("{}{path}", shared.url));
    for certificate in keys.iter().filter_map(named_by(&header)) {
        let Some(claims) = verify(assertion, &header, &certificate, &audiences) else {
            continue;
        };
        if !claims.hold(id, now) {
            return Ok(None);
        }
        let hash = *blake3::hash(assertion.reveal().as_bytes()).as_bytes();
        let expires = Timestamp::from_second(claims.exp).unwrap_or(Timestamp::MAX);
        let first = shared.db.use_assertion(hash, expires, now).await;
        let first = first.map_err(|error| refuse(error.into()))?;
        return Ok(first.then_some(application));
    }
    Ok(None)
}

/// Takes a key if it is a certificate, and the one that the assertion says it was signed with, if it says.
fn named_by(header: &Header) -> impl Fn(&ApplicationKeyRow) -> Option<Certificate> {
    let decoded = |text: &Option<String>| {
        let text = text.as_ref().map(|text| text.trim_end_matches('='));
        text.map(|text| URL_SAFE_NO_PAD.decode(text).unwrap_or_default())
    };
    let (new, old) = (decoded(&header.x5t_s256), decoded(&header.x5t));
    move |key| {
        let ApplicationKeyKind::Certificate { der, .. } = &key.kind else {
            return None;
        };
        let certificate = Certificate::from_der(der).ok()?;
        let named = new.as_ref().is_none_or(|print| print[..] == certificate.thumbprint())
            && old
                .as_ref()
                .is_none_or(|print| print[..] == certificate.old_thumbprint());
        named.then_some(certificate)
    }
}

fn verify(assertion: &Secret, header: &Header, certificate: &Certificate, audiences: &[String]) -> Option<Claims> {
    if !certificate.algorithms().contains(&header.alg) {
        return None;
    }
    let mut validation = Validation::new(header.alg);
    // The library would ask the system for the time; the times are compared below, with the clock that we were given.
    validation.validate_exp = false;
    validation.set_audience(audiences);
    let key = certificate.decoding_key();
    let decoded = jsonwebtoken::decode(assertion.reveal(), &key, &validation);
    decoded.ok().map(|decoded| decoded.claims)
}

impl Claims {
    /// Whether the assertion is of this service principal and of this time.
    fn hold(&self, id: &str, now: Timestamp) -> bool {
        let now = now.as_second();
        let begins = self.nbf.or(self.iat).unwrap_or(now);
        let same = |text: &str| text.eq_ignore_ascii_case(id);
        same(&self.iss)
            && same(&self.sub)
            && now < self.exp
            && begins <= now.saturating_add(SKEW_SECONDS)
            && self.exp.saturating_sub(now) <= ASSERTION_SECONDS_MAX
    }
}

/// A service principal that may sign in, and its keys that are good now.
async fn find(shared: &Shared, id: &str) -> Result<Option<(ApplicationRow, Vec<ApplicationKeyRow>)>, Refused> {
    let Ok(id) = id.parse::<ApplicationId>() else {
        return Ok(None);
    };
    let application = shared.db.application(id).await;
    let application = application.map_err(|error| refuse(error.into()))?;
    let Some(application) = application.filter(|application| !application.disabled) else {
        return Ok(None);
    };
    let now = shared.clock.now();
    let keys = shared.db.application_keys(id).await;
    let mut keys = keys.map_err(|error| refuse(error.into()))?;
    keys.retain(|key| now < key.expires);
    Ok(Some((application, keys)))
}
