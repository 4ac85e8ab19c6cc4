//! Signing in as Azure's clients do: the form and the rules are those of all sign-ins here, the answer is one that MSAL
//! can keep.

use axum::http::Method;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use strongroom_api::{Code, TokenResponse};
use uuid::Uuid;

use super::call::Call;
use super::endpoints;
use super::names::fresh_id;
use super::reply::Reply;
use crate::gate::RequestId;
use crate::incoming;
use crate::oauth::{self, Asked, Granted, Refused, Signed, TokenForm, grant};

/// How long an access token lives, in seconds: as long as Azure's, as scripts count on it. Roles are read anew for each
/// request, so that what is taken away counts no more in spite of it.
const ACCESS_SECONDS: u64 = 3600;

/// `POST /adfs/oauth2/token` and `POST /{tenant}/oauth2/v2.0/token`.
pub(crate) async fn token(call: &Call) -> Response {
    match granted(call).await {
        Ok(reply) => reply.into_response(),
        Err(refused) => refused.into_oauth(),
    }
}

/// `POST …/devicecode`: for a program whose user has a browser elsewhere.
pub(crate) async fn device(call: &Call) -> Response {
    match codes(call).await {
        Ok(reply) => reply.into_response(),
        Err(refused) => refused.into_oauth(),
    }
}

async fn codes(call: &Call) -> Result<Reply, Refused> {
    check_tenant(call)?;
    let pairs: Vec<(String, String)> = incoming::form(&call.body).unwrap_or_default();
    let client = pairs.into_iter().find(|(name, _)| name == "client_id");
    let (_, client) =
        client.ok_or_else(|| Refused::new(Code::InvalidRequest, "The request does not say its client_id"))?;
    let codes = oauth::device::authorize(&call.shared, call.peer.ip(), client).await?;
    let message = format!(
        "To sign in, open {} in a browser and enter the code {}.",
        codes.verification_uri, codes.user_code
    );
    Ok(Reply::ok(json!({
        "device_code": codes.device_code.reveal(),
        "user_code": codes.user_code,
        "verification_uri": codes.verification_uri,
        "verification_url": codes.verification_uri,
        "expires_in": codes.expires_in,
        "interval": codes.interval,
        "message": message,
    })))
}

/// Refuses the paths of other tenants.
fn check_tenant(call: &Call) -> Result<(), Refused> {
    let tenant = call.parameter("tenantId");
    match tenant.is_empty() {
        true => Ok(()),
        false => {
            endpoints::check_tenant(call, tenant).map_err(|error| Refused::new(Code::InvalidRequest, error.message))
        }
    }
}

async fn granted(call: &Call) -> Result<Reply, Refused> {
    check_tenant(call)?;
    let form = TokenForm::parse(&call.body, None)?;
    let audience = form.client_id.clone().unwrap_or_default();
    let asked = Asked {
        peer: call.peer.ip(),
        method: Method::POST,
        path: call.path.clone(),
        request: RequestId(fresh_id()),
        access_seconds: ACCESS_SECONDS,
    };
    let Granted { response, account, .. } = grant(&call.shared, form, &asked).await?;
    let mut body = plain(&response);
    if let Some(Signed::User { id, name }) = account {
        let subject = Uuid::from_bytes(*id.as_bytes()).to_string();
        person(call, &audience, &subject, &name, &response, &mut body);
    }
    Ok(Reply::ok(body))
}

/// What a client reads that signed a person in: besides the tokens it wants to know who that was.
fn person(call: &Call, audience: &str, subject: &str, name: &str, response: &TokenResponse, body: &mut Value) {
    let now = call.shared.clock.now().as_second();
    let tenant = call.tenancy.tenant.to_string();
    let claims = json!({
        "aud": audience,
        "iss": format!("{}/adfs", call.base),
        "iat": now,
        "nbf": now,
        "exp": now + i64::try_from(response.expires_in).unwrap_or(0),
        "tid": tenant,
        "oid": subject,
        "sub": subject,
        "preferred_username": name,
        "upn": name,
    });
    body["id_token"] = unsigned(&claims).into();
    body["client_info"] = encoded(&json!({ "uid": subject, "utid": tenant })).into();
    if let Some(refresh) = &response.refresh_token {
        body["refresh_token"] = refresh.reveal().into();
    }
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
