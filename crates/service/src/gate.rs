//! What every request passes: a permission from the route's row, a line in the log, a figure.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use strongroom_api::Code;
use strongroom_api::routes::Route;
use strongroom_model::Permission;

use crate::machines;
use crate::principal::{Administrator, Machine, Principal, Registration};
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::token::TokenRefusal;

/// One route's gate.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) shared: Arc<Shared>,
    pub(crate) route: &'static Route,
}

/// Lets a request through to its handler if its caller holds the route's permission.
pub(crate) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let (caller, response) = match gate.admit(request).await {
        Ok((caller, request)) => (caller, next.run(request).await),
        Err(refusal) => (None, refusal.into_response()),
    };
    let status = response.status();
    let caller = caller.as_ref().map_or_else(|| "nobody".to_owned(), Principal::log_name);
    let took_ms = begun.elapsed().as_millis();
    match status.is_server_error() {
        true => tracing::warn!(%method, path, status = status.as_u16(), caller, took_ms, "request failed"),
        false => tracing::debug!(%method, path, status = status.as_u16(), caller, took_ms, "request"),
    }
    gate.shared
        .metrics
        .answered(gate.route.method.as_str(), gate.route.path, status);
    response
}

impl Gate {
    async fn admit(&self, mut request: Request) -> Answer<(Option<Principal>, Request)> {
        if self.route.permission == Permission::Public {
            return Ok((None, request));
        }
        let principal = authenticate(&self.shared, request.headers()).await?;
        if !principal.permits(self.route.permission) {
            return Err(Refusal::forbidden());
        }
        request.extensions_mut().insert(principal.clone());
        Ok((Some(principal), request))
    }
}

/// Who calls: by a token of ours, or by the secret of a vault credentials file, which has one dot where a token has two.
pub(crate) async fn authenticate(shared: &Shared, headers: &HeaderMap) -> Answer<Principal> {
    let bearer = bearer(headers).ok_or_else(|| unauthenticated("Sign in first"))?;
    if let Some((id, secret)) = bearer.split_once('.')
        && !secret.contains('.')
    {
        return machines::check_credentials(shared, id, secret)
            .await
            .map(Principal::Registration);
    }
    shared
        .tokens
        .principal(bearer, shared.clock.now())
        .map_err(|refusal| match refusal {
            TokenRefusal::Foreign => unauthenticated("The token is not one of this service: sign in again"),
            TokenRefusal::Expired => Refusal::new(Code::TokenExpired, "The sign-in has expired: sign in again"),
        })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthenticated(detail: &str) -> Refusal {
    Refusal::new(Code::Unauthenticated, detail)
}

impl<S: Sync> FromRequestParts<S> for Administrator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        match parts.extensions.get() {
            Some(Principal::Administrator(administrator)) => Ok(administrator.clone()),
            _ => Err(Refusal::forbidden()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Machine {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        match parts.extensions.get() {
            Some(Principal::Machine(machine)) => Ok(*machine),
            _ => Err(Refusal::forbidden()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Registration {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        match parts.extensions.get() {
            Some(Principal::Registration(registration)) => Ok(*registration),
            _ => Err(Refusal::forbidden()),
        }
    }
}
