//! What every request passes: a permission from the route's row at the place it is about, a line in the log and in the
//! audit log, a figure.

use std::sync::Arc;
use std::time::Instant;

use axum::RequestExt as _;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use strongroom_api::Code;
use strongroom_api::routes::{Header, Route, RouteId};
use strongroom_db::{Actor, NewAuditRow};
use strongroom_model::{Permission, Place};
use uuid::Uuid;

use crate::listener::Peer;
use crate::password::random_bytes;
use crate::principal::{Account, Machine, Principal, Registration};
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::target::Target;
use crate::token::{Bearer, TokenRefusal};
use crate::unfinished::to_the_end;
use crate::{accounts, audit, machines};

/// One route's gate.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) shared: Arc<Shared>,
    pub(crate) route: &'static Route,
}

/// What the gate found out about a request.
struct Passage {
    caller: Option<Principal>,
    place: Place,
    outcome: Answer<()>,
}

/// Lets a request through to its handler if its caller holds the route's permission, and writes down what came of it.
///
/// What may change something is done to its end, with its line in the audit log, although its caller hangs up. The link
/// is not: who is gone takes no work.
pub(crate) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let waits = gate.route.method.is_safe() && gate.route.id != RouteId::ExternalBack || gate.route.id == RouteId::Link;
    match waits {
        true => answer(gate, request, next).await,
        false => {
            let shared = gate.shared.clone();
            to_the_end(&shared, answer(gate, request, next)).await
        }
    }
}

async fn answer(gate: Gate, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = Uuid::from_bytes(random_bytes());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get().map(|Peer(peer)| peer.ip());
    let Passage { caller, place, outcome } = gate.examine(&mut request, id).await;
    let mut response = match outcome {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    debug_assert_eq!(
        undescribed(gate.route, &response),
        None,
        "{method} {path}: see its row in api::routes"
    );
    let status = response.status();
    if let Some(action) = audit::action_of(gate.route, caller.as_ref(), status) {
        let actor = caller.as_ref().and_then(audit::actor_of);
        let line = NewAuditRow {
            time: gate.shared.clock.now(),
            actor: actor.unwrap_or(Actor::Nobody { name: String::new() }),
            action: action.to_owned(),
            method: method.to_string(),
            path: audit::short(&path),
            scope: place.scope().clone(),
            status: status.as_u16(),
            peer: peer.map(|peer| peer.to_string()).unwrap_or_default(),
            request: *id.as_bytes(),
        };
        gate.shared.audit.write(&gate.shared, line).await;
    }
    let id = id.to_string();
    response
        .headers_mut()
        .insert("x-request-id", HeaderValue::from_str(&id).expect("ids are plain text"));
    let caller = caller.as_ref().map_or_else(|| "nobody".to_owned(), Principal::log_name);
    let took_ms = begun.elapsed().as_millis();
    match status.is_server_error() {
        true => tracing::warn!(%method, path, status = status.as_u16(), caller, took_ms, id, "request failed"),
        false => tracing::debug!(%method, path, status = status.as_u16(), caller, took_ms, id, "request"),
    }
    gate.shared
        .metrics
        .answered(gate.route.method.as_str(), gate.route.path, status);
    response
}

impl Gate {
    async fn examine(&self, request: &mut Request, id: Uuid) -> Passage {
        let mut passage = Passage {
            caller: None,
            place: Place::subscription(),
            outcome: Err(Refusal::forbidden()),
        };
        request.extensions_mut().insert(RequestId(id));
        let parameters: Result<RawPathParams, _> = request.extract_parts().await;
        let is_text = |all: &RawPathParams| all.iter().all(|(_, text)| !text.contains('\0'));
        let Some(parameters) = parameters.ok().filter(is_text) else {
            passage.outcome = Err(Refusal::new(
                Code::InvalidName,
                "The path has a name in it that is no text",
            ));
            return passage;
        };
        if self.route.permission == Permission::Public {
            passage.outcome = Ok(());
            return passage;
        }
        let principal = match authenticate(&self.shared, request.headers()).await {
            Ok(principal) => principal,
            Err(refusal) => {
                passage.outcome = Err(refusal);
                return passage;
            }
        };
        passage.caller = Some(principal.clone());
        passage.outcome = self.admit(principal, request, &parameters, &mut passage.place).await;
        passage
    }

    /// Lets the request through, with its caller, if the caller may make it; `place` becomes what it is about.
    async fn admit(
        &self,
        principal: Principal,
        request: &mut Request,
        parameters: &RawPathParams,
        place: &mut Place,
    ) -> Answer<()> {
        if !principal.holds(self.route.permission) {
            let (Principal::Account(account), Some(_)) = (&principal, self.route.permission.action()) else {
                return Err(Refusal::forbidden());
            };
            let target = Target::of(self.route, parameters)?;
            *place = target.place(&self.shared).await?;
            target.authorize(self.route, account, place)?;
        }
        request.extensions_mut().insert(principal);
        Ok(())
    }
}

/// What of an answer the route's row does not say.
fn undescribed(route: &Route, response: &Response) -> Option<String> {
    let status = response.status();
    if !route.is_described() || status == StatusCode::NOT_MODIFIED && route.has(Header::IfNoneMatch) {
        return None;
    }
    if let Some(code) = response.extensions().get::<Code>() {
        return (!route.refusals().contains(code)).then(|| format!("it does not say {code:?}"));
    }
    let has = |name: &HeaderName| response.headers().contains_key(name);
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    if status.as_u16() != route.status || kind != route.response.media_type() {
        return Some(format!("{status} with {kind:?} is not its success"));
    }
    for (header, name) in [(Header::ETag, header::ETAG), (Header::Location, header::LOCATION)] {
        if route.has(header) != has(&name) {
            return Some(format!("the header {name}: {}", has(&name)));
        }
    }
    None
}

/// The id of a request, as the log, the audit log and the answer's header have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId(pub(crate) Uuid);

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
    match shared.tokens.bearer(bearer, shared.clock.now()) {
        Ok(Bearer::Account { kind, id }) => accounts::find(shared, kind, id).await.map(Principal::Account),
        Ok(Bearer::Machine(machine)) => machines::find(shared, machine).await.map(Principal::Machine),
        Err(TokenRefusal::Foreign) => Err(unauthenticated("The token is not one of this service: sign in again")),
        Err(TokenRefusal::Expired) => Err(Refusal::new(
            Code::TokenExpired,
            "The sign-in has expired: sign in again",
        )),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthenticated(detail: &str) -> Refusal {
    Refusal::new(Code::Unauthenticated, detail)
}

impl<S: Sync> FromRequestParts<S> for Account {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        match parts.extensions.get() {
            Some(Principal::Account(account)) => Ok(account.clone()),
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
