//! The way in: from a request that no native route took to its operation, past the caller's permission, and out again
//! with the headers that every answer has.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Extension, FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use strongroom_api::{Code, FORM_BYTES_MAX, JSON_BYTES_MAX};
use strongroom_db::NewAuditRow;
use uuid::Uuid;

use super::access;
use super::call::{Call, Query, base};
use super::dispatch::dispatch;
use super::error::{ArmError, ArmResult};
use super::names::{Tenancy, fresh_id};
use super::operations::{Operation, OperationId};
use super::path::{Found, Parameters, find};
use super::reply::Reply;
use super::token;
use crate::audit;
use crate::gate::authenticate;
use crate::incoming::Incoming;
use crate::listener::Peer;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::unfinished::to_the_end;

/// First words of paths that belong to the facade.
const OURS: [&str; 7] = [
    "subscriptions",
    "providers",
    "tenants",
    "metadata",
    "adfs",
    "common",
    "organizations",
];

/// Answers what is at no native route. What may change something is done to its end although its caller hangs up.
pub(crate) async fn enter(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    match request.method().is_safe() {
        true => take(shared, peer, request).await,
        false => to_the_end(&shared.clone(), take(shared, peer, request)).await,
    }
}

async fn take(shared: Arc<Shared>, peer: Peer, request: Request) -> Response {
    let begun = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let tenancy = Tenancy::of(&shared.subscription);
    if !is_ours(&path, tenancy) {
        return Refusal::new(Code::NotFound, "There is nothing at this address").into_response();
    }
    let marks = Marks::of(request.headers());
    let found = match find(&method, &path) {
        Found::Operation(operation, parameters) => admit(&shared, operation, parameters, request, peer, tenancy)
            .await
            .map_err(|error| (operation.name, error)),
        Found::OtherMethod => Err(("none", other_method(&method))),
        Found::Nothing => Err(("none", nothing(&path))),
    };
    let (name, caller, mut response) = match found {
        Ok(call) => {
            let response = run(&call).await;
            write_down(&call, marks.request, response.status()).await;
            (call.operation.name, call.principal, response)
        }
        Err((name, error)) => (name, None, Reply::from(error).into_response()),
    };
    marks.put(response.headers_mut());
    let answered = Answered {
        name,
        method,
        path,
        caller,
        begun,
    };
    report(&shared, &answered, response.status());
    response
}

fn is_ours(path: &str, tenancy: Tenancy) -> bool {
    let first = path.split('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    OURS.iter().any(|word| word.eq_ignore_ascii_case(first)) || Uuid::try_parse(first) == Ok(tenancy.tenant)
}

/// Sees that the caller may, and reads what he sent.
async fn admit(
    shared: &Arc<Shared>,
    operation: &'static Operation,
    parameters: Parameters,
    request: Request,
    Peer(peer): Peer,
    tenancy: Tenancy,
) -> ArmResult<Call> {
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    let principal = match operation.action {
        "Public" => None,
        _ => {
            let principal = authenticate(shared, request.headers()).await?;
            query.check_version()?;
            Some(principal)
        }
    };
    let path = request.uri().path().to_owned();
    let base = base(request.uri(), request.headers(), &shared.url);
    // Whoever is not known yet has only a form to send.
    let bytes_max = match principal {
        None => FORM_BYTES_MAX,
        Some(_) => JSON_BYTES_MAX,
    };
    let incoming = Incoming::from_request(request, shared).await?;
    Ok(Call {
        place: access::place(shared, &parameters).await?,
        path,
        body: incoming.read_up_to(shared, bytes_max).await?,
        shared: shared.clone(),
        operation,
        parameters,
        query,
        principal,
        peer,
        tenancy,
        base,
    })
}

async fn run(call: &Call) -> Response {
    match call.operation.id {
        // These have an error body of their own.
        OperationId::AdfsToken | OperationId::TenantToken | OperationId::TenantTokenOld => token::token(call).await,
        OperationId::AdfsDevice | OperationId::TenantDevice => token::device(call).await,
        _ => answer(call).await.unwrap_or_else(Reply::from).into_response(),
    }
}

async fn answer(call: &Call) -> ArmResult<Reply> {
    access::check(call)?;
    let subscription = call.parameter("subscriptionId");
    if !subscription.is_empty() && Uuid::try_parse(subscription) != Ok(call.tenancy.subscription) {
        return Err(ArmError::not_found(
            "SubscriptionNotFound",
            format!("The subscription '{subscription:.80}' could not be found."),
        ));
    }
    dispatch(call).await
}

/// Writes into the audit log what an account changed, and what it was refused.
async fn write_down(call: &Call, id: Uuid, status: StatusCode) {
    let Some(Principal::Account(account)) = &call.principal else {
        return;
    };
    let reads = [Method::GET, Method::HEAD].contains(&call.operation.method);
    if reads && status != StatusCode::FORBIDDEN {
        return;
    }
    let line = NewAuditRow {
        time: call.shared.clock.now(),
        actor: account.actor(),
        action: access::full_action(call.operation.action),
        method: call.operation.method.to_string(),
        path: audit::short(&call.path),
        scope: call.place.scope().clone(),
        status: status.as_u16(),
        peer: call.peer.ip().to_string(),
        request: *id.as_bytes(),
    };
    call.shared.audit.write(&call.shared, line).await;
}

fn other_method(method: &Method) -> ArmError {
    ArmError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        format!("The resource at this address does not support the method {method}."),
    )
}

fn nothing(path: &str) -> ArmError {
    ArmError::not_found(
        "InvalidResourceType",
        format!("The resource type at '{path:.200}' could not be found."),
    )
}

/// The marks by which a client finds its request again in somebody's log.
struct Marks {
    request: Uuid,
    correlation: Option<HeaderValue>,
    client: Option<HeaderValue>,
}

impl Marks {
    fn of(headers: &HeaderMap) -> Marks {
        let said = |name: &str| headers.get(name).filter(|value| value.len() <= 200).cloned();
        Marks {
            request: fresh_id(),
            correlation: said("x-ms-correlation-request-id"),
            client: said("x-ms-client-request-id"),
        }
    }

    fn put(self, headers: &mut HeaderMap) {
        let request = HeaderValue::from_str(&self.request.to_string()).expect("an id is plain text");
        let mut set = |name: &'static str, value| headers.insert(HeaderName::from_static(name), value);
        set(
            "x-ms-correlation-request-id",
            self.correlation.unwrap_or_else(|| request.clone()),
        );
        set("x-ms-request-id", request);
        // Answers are for their caller; no proxy is to keep them.
        set("cache-control", HeaderValue::from_static("no-store"));
        if let Some(client) = self.client {
            set("x-ms-client-request-id", client);
        }
    }
}

struct Answered {
    name: &'static str,
    method: Method,
    path: String,
    caller: Option<Principal>,
    begun: Instant,
}

fn report(shared: &Shared, answered: &Answered, status: StatusCode) {
    let Answered {
        name,
        method,
        path,
        caller,
        begun,
    } = answered;
    let caller = caller.as_ref().map_or_else(|| "nobody".to_owned(), Principal::log_name);
    let (status_code, took_ms) = (status.as_u16(), begun.elapsed().as_millis());
    match status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        true => tracing::warn!(%method, path, status = status_code, caller, took_ms, "request failed"),
        false => tracing::debug!(%method, path, status = status_code, caller, took_ms, "request"),
    }
    shared.metrics.answered("ARM", name, status);
}
