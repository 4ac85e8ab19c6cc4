//! Device codes (RFC 8628): a program without a browser shows a short code; a person types it on a page of ours and signs in
//! there; the program, which asks every few seconds, goes on.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use serde::Deserialize;
use strongroom_api::routes::RouteId;
use strongroom_api::{Code, DeviceAuthorization, Secret};
use strongroom_db::{DeviceCodeRow, DevicePoll, UserRow};

use super::external::{self, Continues};
use super::form::needed;
use super::logins::{begin_attempt, client_of, granted};
use super::page::{FormToken, Page, escape, hidden, refusal_page, sign_in_fields};
use super::{Asked, Granted, Refused, TokenForm, person};
use crate::attempts::Caller;
use crate::incoming::{self, Incoming};
use crate::listener::Peer;
use crate::network::Network;
use crate::password::{random_bytes, random_text};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// How long a code waits for its person, in seconds.
const SECONDS: u64 = 15 * 60;

/// How long a program waits between two questions at first, in seconds.
const INTERVAL_SECONDS: u64 = 5;

/// Letters that nobody confuses, and no vowels, so that no word comes of them (RFC 8628, section 6.1). Eight of them are
/// 34 bits, for a quarter of an hour, and guesses are bound.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

#[derive(Deserialize)]
struct AuthorizationForm {
    #[serde(default)]
    client_id: Option<String>,
}

/// `POST /api/v1/device_authorization`.
pub(crate) async fn authorization(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(peer)): Extension<Peer>,
    incoming: Incoming,
) -> Result<impl IntoResponse, Refused> {
    let body = incoming.read(&shared, RouteId::DeviceAuthorization).await?;
    let form: AuthorizationForm = incoming::form(&body)?;
    let authorization = authorize(&shared, peer.ip(), needed(form.client_id, "client_id")?).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(authorization)))
}

/// Gives a program the two codes.
pub(crate) async fn authorize(shared: &Shared, peer: IpAddr, client: String) -> Result<DeviceAuthorization, Refused> {
    let client = client_of(Some(client))?;
    let now = shared.clock.now();
    let device_code = Secret::new(random_text());
    let user_code = random_user_code();
    let life = SignedDuration::from_secs(SECONDS as i64);
    let row = DeviceCodeRow {
        hash: *blake3::hash(device_code.reveal().as_bytes()).as_bytes(),
        user_code: user_code.clone(),
        client,
        network: Network::of_site(peer).to_string(),
        created: now,
        expires: now
            .saturating_add(life)
            .expect("a signed duration carries no calendar units"),
        interval_seconds: INTERVAL_SECONDS as i64,
    };
    let inserted = shared.db.insert_device_code(&row).await;
    if !inserted.map_err(|error| refuse(error.into()))? {
        let detail =
            "Too many programs in your network, or in all, wait for their codes just now: try again in some minutes";
        return Err(Refused::new(Code::Unavailable, detail));
    }
    let shown = format!("{}-{}", &user_code[..4], &user_code[4..]);
    Ok(DeviceAuthorization {
        device_code,
        verification_uri: format!("{}/device", shared.url),
        verification_uri_complete: format!("{}/device?user_code={shown}", shared.url),
        user_code: shown,
        expires_in: SECONDS,
        interval: INTERVAL_SECONDS,
    })
}

/// A program asks whether it may go on.
pub(crate) async fn by_device_code(shared: &Shared, form: TokenForm, asked: &Asked) -> Result<Granted, Refused> {
    let code = needed(form.device_code.or(form.code), "device_code")?;
    let client = client_of(form.client_id)?;
    let hash = *blake3::hash(code.reveal().as_bytes()).as_bytes();
    let polled = shared.db.poll_device_code(hash, &client, shared.clock.now()).await;
    let user = match polled.map_err(|error| refuse(error.into()))? {
        DevicePoll::Allowed(user) => user,
        DevicePoll::Pending => {
            return Err(Refused::new(
                Code::AuthorizationPending,
                "Nobody has typed the code yet",
            ));
        }
        DevicePoll::TooSoon => {
            return Err(Refused::new(Code::SlowDown, "Asked too soon: wait five seconds longer"));
        }
        DevicePoll::Refused => return Err(Refused::new(Code::AccessDenied, "The sign-in was refused")),
        DevicePoll::Expired => {
            let refusal = Refused::new(Code::CodeRefused, "The code has expired: begin again");
            return Err(Refused {
                error: "expired_token",
                ..refusal
            });
        }
    };
    let user = shared.db.user_by_id(user).await;
    let user = user
        .map_err(|error| refuse(error.into()))?
        .filter(|user| !user.disabled);
    let user = user.ok_or_else(|| Refused::new(Code::AccessDenied, "The account is shut"))?;
    granted(shared, &user, &client, asked).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageForm {
    form_token: String,
    user_code: String,
    username: Option<String>,
    password: Option<Secret>,
    one_time_password: Option<Secret>,
    decision: String,
    /// The name of another provider to sign in with.
    provider: Option<String>,
}

/// `GET /device`.
pub(crate) async fn page(RawQuery(query): RawQuery, request: Request) -> Response {
    let form: PageForm = incoming::form(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let token = FormToken::of(request.headers());
    code_page(&token, &form.user_code, None)
}

/// `POST /device`.
pub(crate) async fn form(State(shared): State<Arc<Shared>>, asked: Asked, request: Request) -> Response {
    answer(&shared, request, &asked).await.unwrap_or_else(refusal_page)
}

async fn answer(shared: &Shared, request: Request, asked: &Asked) -> Result<Response, Refused> {
    let headers = request.headers().clone();
    let body = Incoming::of(request)?.read(shared, RouteId::DeviceForm).await?;
    let form: PageForm = incoming::form(&body)?;
    let token = FormToken::check(&headers, &form.form_token)?;
    let code = plain_code(&form.user_code);
    // Codes are short: who guesses them is slowed down like who guesses passwords.
    let caller = Caller::new(asked.peer, "device code");
    begin_attempt(shared, caller)?;
    let found = shared.db.device_code_client(&code, shared.clock.now()).await;
    let Some(client) = found.map_err(|error| refuse(error.into()))? else {
        return Ok(code_page(
            &token,
            &form.user_code,
            Some("There is no such code, or not any more"),
        ));
    };
    shared.attempts.succeeded(&caller);
    if form.decision == "refuse" {
        decide(shared, &code, None).await?;
        return Ok(done("Refused", "The program was told so. You can close this page"));
    }
    if let Some(provider) = &form.provider {
        return external::begin(shared, asked.peer, &headers, provider, &Continues::Device { code }).await;
    }
    let (Some(name), Some(password)) = (form.username, form.password) else {
        return Ok(sign_in_page(shared, &token, &code, &client, None));
    };
    match person(shared, asked, &name, password, form.one_time_password).await {
        Ok(user) => allow(shared, &code, &user).await,
        Err(refused) => Ok(sign_in_page(shared, &token, &code, &client, Some(&refused))),
    }
}

/// Lets the program go on as the user that waits under the code.
pub(crate) async fn allow(shared: &Shared, code: &str, user: &UserRow) -> Result<Response, Refused> {
    decide(shared, code, Some(user.id)).await?;
    tracing::info!(user = user.name, "let a program sign in by a device code");
    Ok(done(
        "Signed in",
        "The program goes on by itself. You can close this page",
    ))
}

async fn decide(shared: &Shared, code: &str, user: Option<strongroom_model::UserId>) -> Result<(), Refused> {
    let decided = shared.db.decide_device_code(code, user, shared.clock.now()).await;
    match decided.map_err(|error| refuse(error.into()))? {
        true => Ok(()),
        false => Err(Refused::new(Code::CodeRefused, "The code has expired: begin again")),
    }
}

fn code_page(token: &FormToken, code: &str, wrong: Option<&str>) -> Response {
    let wrong = wrong
        .map(|wrong| format!("<p class=\"bad\">{wrong}.</p>"))
        .unwrap_or_default();
    let body = format!(
        "<p>A program shows you a code. Type it only if you started that program yourself, just now.</p>{wrong}\
         <form method=\"post\" action=\"/device\">{}\
         <label>Code<input name=\"user_code\" value=\"{}\" autocomplete=\"off\" required></label>\
         <button>Go on</button></form>",
        token.field(),
        escape(&code.chars().take(20).collect::<String>()),
    );
    let status = if wrong.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    show(status, "Let a program sign in", body, Some(token))
}

fn sign_in_page(shared: &Shared, token: &FormToken, code: &str, client: &str, wrong: Option<&Refused>) -> Response {
    let body = format!(
        "<p>The program <b>{}</b> wants to act for you here. Do not go on if you did not start it yourself.</p>\
         <form method=\"post\" action=\"/device\">{}{}{}\
         <button name=\"decision\" value=\"allow\">Sign in and allow</button>\
         <button name=\"decision\" value=\"refuse\" formnovalidate>Refuse</button>{}</form>",
        escape(client),
        token.field(),
        hidden("user_code", code),
        sign_in_fields(wrong),
        shared.providers.buttons(),
    );
    let status = wrong.map_or(Ok(StatusCode::OK), |wrong| StatusCode::from_u16(wrong.status()));
    show(
        status.unwrap_or(StatusCode::BAD_REQUEST),
        "Let a program sign in",
        body,
        Some(token),
    )
}

fn done(title: &str, sentence: &str) -> Response {
    show(StatusCode::OK, title, format!("<p>{sentence}.</p>"), None)
}

fn show(status: StatusCode, title: &str, body: String, token: Option<&FormToken>) -> Response {
    let leads_to = "";
    let page = Page {
        status,
        title,
        body,
        leads_to,
        token,
    };
    page.into_response()
}

/// As it is kept: people type hyphens and small letters as they like.
fn plain_code(text: &str) -> String {
    let letters = text.chars().filter(char::is_ascii_alphabetic).take(16);
    letters.map(|letter| letter.to_ascii_uppercase()).collect()
}

fn random_user_code() -> String {
    let mut code = String::new();
    while code.len() < 8 {
        // Bytes from 240 on would make some letters likelier than others.
        for byte in random_bytes::<16>() {
            if byte < 240 && code.len() < 8 {
                code.push(char::from(LETTERS[usize::from(byte % 20)]));
            }
        }
    }
    code
}
