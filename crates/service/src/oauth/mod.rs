//! Signing in, in the manner of OAuth 2.0 (RFC 6749): one function takes a form and gives a token, whatever the address
//! that the form was sent to.
//!
//! [`grant`] is what every token endpoint calls. A refusal is a [`Refused`]: it has both OAuth's word for the matter and
//! our problem, and each endpoint answers in the shape that its clients read.

mod applications;
pub(crate) mod authorize;
pub(crate) mod device;
pub(crate) mod external;
mod form;
pub(crate) mod logins;
mod machines;
mod page;
pub(crate) mod password_link;
mod redirect;
mod refused;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::ExtensionRejection;
use axum::extract::{Extension, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use strongroom_api::routes::RouteId;
use strongroom_api::{Secret, TokenResponse};
use strongroom_db::{Actor, NewAuditRow, UserRow};
use strongroom_model::{PrincipalId, Scope};

pub(crate) use form::TokenForm;
pub(crate) use redirect::is_registrable;
pub(crate) use refused::Refused;

use crate::audit::{SIGN_IN, short};
use crate::gate::RequestId;
use crate::incoming::Incoming;
use crate::listener::Peer;
use crate::shared::Shared;
use crate::token::ACCESS_SECONDS;

/// Where a sign-in comes from, and what its tokens shall be like.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The address of the other side.
    pub(crate) peer: IpAddr,
    /// How the endpoint was called, for the audit log.
    pub(crate) method: Method,
    /// The path of the endpoint, for the audit log.
    pub(crate) path: String,
    /// The id of the request.
    pub(crate) request: RequestId,
    /// How long access tokens shall live, in seconds.
    pub(crate) access_seconds: u64,
}

/// Of a request to an endpoint of ours, past its gate.
impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Extension(Peer(peer)) = Extension::from_request_parts(parts, state).await?;
        let Extension(request) = Extension::from_request_parts(parts, state).await?;
        Ok(Self {
            peer: peer.ip(),
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            request,
            access_seconds: ACCESS_SECONDS,
        })
    }
}

/// A sign-in that succeeded.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    /// What the other side gets.
    pub(crate) response: TokenResponse,
    /// Who signed in; `None`: a machine.
    pub(crate) account: Option<Signed>,
    /// Whether this began something: going on with a session does not.
    pub(crate) begun: bool,
}

/// Who signed in.
#[derive(Debug, Clone)]
pub(crate) enum Signed {
    /// A user.
    User { id: PrincipalId, name: String },
    /// A service principal.
    Application { id: PrincipalId, name: String },
}

/// `POST /api/v1/token`.
pub(crate) async fn token(
    State(shared): State<Arc<Shared>>,
    asked: Asked,
    request: Request,
) -> Result<impl IntoResponse, Refused> {
    let basic = request.headers().get(header::AUTHORIZATION).cloned();
    let body = Incoming::of(request)?.read(&shared, RouteId::Token).await?;
    let form = TokenForm::parse(&body, basic.as_ref())?;
    let granted = grant(&shared, form, &asked).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(granted.response)))
}

/// Gives a token for what a form proves. What people and service principals try is in the audit log afterwards.
pub(crate) async fn grant(shared: &Shared, form: TokenForm, asked: &Asked) -> Result<Granted, Refused> {
    let claimed = form.claimed_name();
    let result = decide(shared, form, asked).await;
    match &result {
        Ok(granted) if granted.begun => {
            write_down(shared, asked, SIGN_IN, granted.account.clone(), &claimed, 200).await
        }
        Err(refused) if refused.is_worth_writing_down() => {
            write_down(shared, asked, SIGN_IN, None, &claimed, refused.status()).await;
        }
        _ => {}
    }
    result
}

async fn decide(shared: &Shared, form: TokenForm, asked: &Asked) -> Result<Granted, Refused> {
    match form.grant_type.as_str() {
        "password" => logins::by_password(shared, form, asked).await,
        "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => {
            device::by_device_code(shared, form, asked).await
        }
        "authorization_code" => authorize::by_code(shared, form, asked).await,
        "refresh_token" => logins::by_refresh_token(shared, form, asked).await,
        "client_credentials" if form.client_id.is_none() && form.client_secret.is_none() => {
            machines::by_assertion(shared, form, asked).await
        }
        "client_credentials" => applications::by_credentials(shared, form, asked).await,
        _ => Err(Refused::unsupported()),
    }
}

/// The user who signs in on a page of ours.
pub(crate) async fn person(
    shared: &Shared,
    asked: &Asked,
    name: &str,
    password: Secret,
    one_time_password: Option<Secret>,
) -> Result<UserRow, Refused> {
    let result = logins::check(shared, asked, name, password, one_time_password).await;
    let result = result.map_err(Refused::from);
    match &result {
        Ok(user) => {
            let (id, name) = (user.id.into(), user.name.clone());
            write_down(shared, asked, SIGN_IN, Some(Signed::User { id, name }), "", 200).await;
        }
        Err(refused) if refused.is_worth_writing_down() => {
            write_down(shared, asked, SIGN_IN, None, name, refused.status()).await;
        }
        Err(_) => {}
    }
    result
}

pub(crate) async fn write_down(
    shared: &Shared,
    asked: &Asked,
    action: &str,
    who: Option<Signed>,
    claimed: &str,
    status: u16,
) {
    let actor = match who {
        Some(Signed::User { id, name }) => Actor::User { id, name },
        Some(Signed::Application { id, name }) => Actor::Application { id, name },
        // A machine signs in every quarter of an hour: its own log tells of that.
        None if status == 200 => return,
        None => Actor::Nobody { name: short(claimed) },
    };
    let line = NewAuditRow {
        time: shared.clock.now(),
        actor,
        action: action.to_owned(),
        method: asked.method.to_string(),
        path: asked.path.clone(),
        scope: Scope::Subscription,
        status,
        peer: asked.peer.to_string(),
        request: *asked.request.0.as_bytes(),
    };
    shared.audit.write(shared, line).await;
}
