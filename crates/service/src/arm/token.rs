//! Signing in as Azure's clients do: a form, and an answer that MSAL can keep.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use strongroom_api::{Code, Secret, TokenResponse};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::reply::Reply;
use crate::attempts::Caller;
use crate::refusal::Refusal;
use crate::sign_in;

/// The members of the form that matter.
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(call: &Call) -> ArmResult<Form> {
        let read = serde_urlencoded::from_bytes(&call.body);
        read.map(Form)
            .map_err(|_| ArmError::bad("invalid_request", "This is no form."))
    }

    fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// `POST /adfs/oauth2/token` and `POST /{tenant}/oauth2/v2.0/token`.
pub(crate) async fn token(call: &Call) -> ArmResult<Reply> {
    let tenant = call.parameter("tenantId");
    if !tenant.is_empty()
        && let Err(error) = super::endpoints::check_tenant(call, tenant)
    {
        return Ok(refused(StatusCode::BAD_REQUEST, "invalid_request", &error.message));
    }
    let form = Form::parse(call)?;
    let signed_in = match form.get("grant_type") {
        "client_credentials" => by_client(call, &form).await,
        "password" => by_password(call, &form).await,
        "refresh_token" => by_refresh(call, &form).await,
        _ => {
            return Ok(refused(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "This sign-in is not offered here",
            ));
        }
    };
    Ok(signed_in.unwrap_or_else(|refusal| refused_by(&refusal)))
}

async fn by_client(_: &Call, _: &Form) -> Result<Reply, Refusal> {
    Err(Refusal::new(
        Code::Unauthenticated,
        "There is no service principal with this id and secret",
    ))
}

async fn by_password(call: &Call, form: &Form) -> Result<Reply, Refusal> {
    let user = form.get("username");
    let caller = Caller::new(call.peer.ip(), user);
    let response = sign_in::by_password(&call.shared, caller, user, Secret::new(form.get("password"))).await?;
    Ok(person(call, form, user, &response))
}

async fn by_refresh(call: &Call, form: &Form) -> Result<Reply, Refusal> {
    let refresh = Secret::new(form.get("refresh_token"));
    let (user, mut response) = sign_in::by_session(&call.shared, &refresh).await?;
    response.refresh_token = response.refresh_token.or(Some(refresh));
    Ok(person(call, form, &user, &response))
}

/// What a client reads that signed a person in: besides the tokens it wants to know who that was.
fn person(call: &Call, form: &Form, user: &str, response: &TokenResponse) -> Reply {
    let now = call.shared.clock.now().as_second();
    let tenant = call.tenancy.tenant.to_string();
    let subject = super::names::person_id(user).to_string();
    let claims = json!({
        "aud": form.get("client_id"),
        "iss": format!("{}/adfs", call.base),
        "iat": now,
        "nbf": now,
        "exp": now + i64::try_from(response.expires_in).unwrap_or(0),
        "tid": tenant,
        "oid": subject,
        "sub": subject,
        "preferred_username": user,
        "upn": user,
    });
    let mut body = plain(response);
    body["id_token"] = unsigned(&claims).into();
    body["client_info"] = encoded(&json!({ "uid": subject, "utid": tenant })).into();
    if let Some(refresh) = &response.refresh_token {
        body["refresh_token"] = refresh.reveal().into();
    }
    Reply::ok(body)
}

fn plain(response: &TokenResponse) -> Value {
    json!({
        "token_type": "Bearer",
        "access_token": response.access_token.reveal(),
        "expires_in": response.expires_in,
        "ext_expires_in": response.expires_in,
    })
}

/// A token that tells its reader who signed in. He has it from us over TLS and believes it for that; nobody else takes it,
/// so nobody's signature is under it.
fn unsigned(claims: &Value) -> String {
    format!(
        "{}.{}.",
        encoded(&json!({ "alg": "none", "typ": "JWT" })),
        encoded(claims)
    )
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn refused_by(Refusal(problem): &Refusal) -> Reply {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = match problem.code {
        Code::WrongPassword | Code::TokenExpired => "invalid_grant",
        Code::Unauthenticated => "invalid_client",
        Code::InvalidRequest => "invalid_request",
        Code::TooManyAttempts => "slow_down",
        _ => "server_error",
    };
    let reply = refused(status, error, &problem.detail);
    match problem.retry_after_seconds {
        Some(seconds) => reply.with(axum::http::header::RETRY_AFTER, seconds.to_string()),
        None => reply,
    }
}

/// The error body of OAuth 2.0, which is not ARM's.
fn refused(status: StatusCode, error: &str, description: &str) -> Reply {
    Reply::of(status, json!({ "error": error, "error_description": description }))
}
