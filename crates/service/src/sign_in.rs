//! The token endpoint: a password, a session or a machine's assertion for a short-lived token.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use strongroom_api::routes::RouteId;
use strongroom_api::{AssertionClaims, AssertionError, Code, Problem, Secret, TokenRequest, TokenResponse};

use crate::attempts::Caller;
use crate::incoming::Incoming;
use crate::listener::Peer;
use crate::principal::Machine;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::token::{ACCESS_SECONDS, SESSION_SECONDS, TokenRefusal};

/// `POST /api/v1/token`.
pub(crate) async fn token(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    incoming: Incoming,
) -> Answer<Json<TokenResponse>> {
    let form = incoming.read(&shared, RouteId::Token).await?;
    let request: TokenRequest = serde_urlencoded::from_bytes(&form)
        .map_err(|_| Refusal::new(Code::InvalidRequest, "This is no sign-in that the service knows"))?;
    let response = match request {
        TokenRequest::Password { username, password } => {
            let caller = Caller::new(peer.ip(), &username);
            by_password(&shared, caller, &username, password).await?
        }
        TokenRequest::RefreshToken { refresh_token } => by_session(&shared, &refresh_token).await?.1,
        TokenRequest::ClientCredentials { client_assertion } => by_assertion(&shared, &client_assertion).await?,
    };
    Ok(Json(response))
}

pub(crate) async fn by_password(
    shared: &Shared,
    caller: Caller,
    user: &str,
    password: Secret,
) -> Answer<TokenResponse> {
    let Some(hash) = check_password(shared, caller, user, password).await? else {
        return Err(Refusal::new(
            Code::WrongPassword,
            "The user name or the password is wrong",
        ));
    };
    tracing::info!(user, "signed in");
    Ok(begin_session(shared, user, &hash))
}

/// The hash of the password, if it is the user's. Failures cost the caller patience, whatever the password is shown for.
pub(crate) async fn check_password(
    shared: &Shared,
    caller: Caller,
    user: &str,
    password: Secret,
) -> Answer<Option<String>> {
    let now = shared.clock.now();
    let wait = shared.attempts.wait_seconds(&caller, now);
    if wait > 0 {
        return Err(too_many(wait));
    }
    let hash = shared.password_hash(user).await?;
    if !shared.passwords.check(password, hash.clone()).await {
        shared.attempts.failed(caller, now);
        shared.metrics.sign_ins_failed.inc();
        tracing::warn!(user, "a sign-in failed: wrong user name or password");
        return Ok(None);
    }
    shared.attempts.succeeded(&caller);
    Ok(hash)
}

/// A session of the user whose password has this hash.
pub(crate) fn begin_session(shared: &Shared, user: &str, password_hash: &str) -> TokenResponse {
    let now = shared.clock.now();
    TokenResponse {
        refresh_token: Some(shared.tokens.for_session(user, password_hash, now)),
        refresh_expires_in: Some(SESSION_SECONDS),
        ..access(shared.tokens.for_administrator(user, now))
    }
}

/// Goes on with a session: whose it is, and the next token.
pub(crate) async fn by_session(shared: &Shared, session: &Secret) -> Answer<(String, TokenResponse)> {
    let over = || {
        Refusal::new(
            Code::TokenExpired,
            "The session is over: sign in again with `strongroom login`",
        )
    };
    let now = shared.clock.now();
    let session = shared
        .tokens
        .session(session.reveal(), now)
        .map_err(|refusal| match refusal {
            TokenRefusal::Expired => over(),
            TokenRefusal::Foreign => Refusal::new(
                Code::Unauthenticated,
                "The session is not one of this service: sign in again with `strongroom login`",
            ),
        })?;
    let hash = shared.password_hash(&session.user).await?;
    match hash.is_some_and(|hash| session.belongs_to(&hash)) {
        true => {
            let token = shared.tokens.for_administrator(&session.user, now);
            Ok((session.user, access(token)))
        }
        false => Err(over()),
    }
}

async fn by_assertion(shared: &Shared, assertion: &Secret) -> Answer<TokenResponse> {
    let now = shared.clock.now();
    let container = AssertionClaims::claimed_machine(assertion.reveal()).map_err(|error| refused(shared, error))?;
    let Some((machine, public_key)) = shared.machine_key(container).await? else {
        let detail =
            "This machine is not registered here, or not any more: register it with `strongroom agent register`";
        return Err(Refusal::new(Code::AssertionRefused, detail));
    };
    AssertionClaims::verify(assertion.reveal(), &public_key, now).map_err(|error| refused(shared, error))?;
    Ok(access(machine_token(shared, machine)))
}

fn machine_token(shared: &Shared, machine: Machine) -> Secret {
    shared.tokens.for_machine(machine, shared.clock.now())
}

fn access(access_token: Secret) -> TokenResponse {
    TokenResponse {
        access_token,
        token_type: "Bearer".to_owned(),
        expires_in: ACCESS_SECONDS,
        refresh_token: None,
        refresh_expires_in: None,
    }
}

/// A machine whose clock is wrong is told the time, and signs again.
fn refused(shared: &Shared, error: AssertionError) -> Refusal {
    shared.metrics.sign_ins_failed.inc();
    let detail = format!("The machine's sign-in was refused: {error}");
    let mut problem = Problem::new(Code::AssertionRefused, detail);
    problem.server_time = (error == AssertionError::Time).then(|| shared.clock.now());
    problem.into()
}

fn too_many(seconds: u64) -> Refusal {
    let detail = format!("Too many sign-ins have failed: wait {seconds} seconds");
    let mut problem = Problem::new(Code::TooManyAttempts, detail);
    problem.retry_after_seconds = Some(seconds);
    problem.into()
}
