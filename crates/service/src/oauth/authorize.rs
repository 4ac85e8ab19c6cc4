//! Authorization codes with a proof key (RFC 6749, RFC 7636): a program sends a person's browser here, the person signs in,
//! and the browser carries a code back that only that program can use.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use strongroom_api::routes::RouteId;
use strongroom_api::{Code, Secret};
use strongroom_db::{AuthorizationCodeRow, UserRow};

use super::external::{self, Continues};
use super::form::needed;
use super::logins::{client_of, granted};
use super::page::{FormToken, Page, escape, hidden, refusal_page, sign_in_fields};
use super::{Asked, Granted, Refused, TokenForm, person, redirect};
use crate::incoming::{self, Incoming};
use crate::password::random_text;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// How long a code is good, in seconds: the browser is already on its way.
const SECONDS: i64 = 60;

/// The longest `state` that is handed back, in bytes.
const STATE_BYTES_MAX: usize = 2000;

/// What a program asks for.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Asking {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
}

/// What the person typed.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    form_token: String,
    /// The name of another provider to sign in with.
    provider: Option<String>,
    username: Option<String>,
    password: Option<Secret>,
    one_time_password: Option<Secret>,
}

/// `GET /authorize`.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, request: Request) -> Response {
    let token = FormToken::of(request.headers());
    let asking: Asking = incoming::form(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    match asking.check(&shared).await {
        Ok(None) => asking.page(&shared, &token, None),
        Ok(Some(error)) => asking.send_back(&shared, &[("error", error)]),
        Err(refused) => refusal_page(refused),
    }
}

/// `POST /authorize`.
pub(crate) async fn form(State(shared): State<Arc<Shared>>, asked: Asked, request: Request) -> Response {
    answer(&shared, request, &asked).await.unwrap_or_else(refusal_page)
}

async fn answer(shared: &Shared, request: Request, asked: &Asked) -> Result<Response, Refused> {
    let headers = request.headers().clone();
    let body = Incoming::of(request)?.read(shared, RouteId::AuthorizeForm).await?;
    let asking: Asking = incoming::form(&body)?;
    let typed: Typed = incoming::form(&body)?;
    let token = FormToken::check(&headers, &typed.form_token)?;
    if let Some(error) = asking.check(shared).await? {
        return Ok(asking.send_back(shared, &[("error", error)]));
    }
    if let Some(provider) = &typed.provider {
        return external::begin(shared, asked.peer, &headers, provider, &Continues::Authorize(asking)).await;
    }
    let name = needed(typed.username, "username")?;
    let password = needed(typed.password, "password")?;
    match person(shared, asked, &name, password, typed.one_time_password).await {
        Ok(user) => allow(shared, &asking, &user).await,
        Err(refused) => Ok(asking.page(shared, &token, Some(&refused))),
    }
}

/// Sends the browser back to the program with a code of the user.
pub(crate) async fn allow(shared: &Shared, asking: &Asking, user: &UserRow) -> Result<Response, Refused> {
    let code = random_text();
    let now = shared.clock.now();
    let life = SignedDuration::from_secs(SECONDS);
    let row = AuthorizationCodeRow {
        hash: *blake3::hash(code.as_bytes()).as_bytes(),
        user: user.id,
        client: asking.client_id.clone(),
        redirect: asking.redirect_uri.clone(),
        challenge: asking.code_challenge.clone(),
        expires: now
            .saturating_add(life)
            .expect("a signed duration carries no calendar units"),
    };
    let inserted = shared.db.insert_authorization_code(&row, now).await;
    inserted.map_err(|error| refuse(error.into()))?;
    Ok(asking.send_back(shared, &[("code", &code)]))
}

/// A program brings the code that the browser carried.
pub(crate) async fn by_code(shared: &Shared, form: TokenForm, asked: &Asked) -> Result<Granted, Refused> {
    let code = needed(form.code, "code")?;
    let verifier = needed(form.code_verifier, "code_verifier")?;
    let redirect = needed(form.redirect_uri, "redirect_uri")?;
    let client = client_of(form.client_id)?;
    let hash = *blake3::hash(code.reveal().as_bytes()).as_bytes();
    let taken = shared.db.take_authorization_code(hash).await;
    let row = taken.map_err(|error| refuse(error.into()))?;
    let right = |row: &AuthorizationCodeRow| {
        let same = row.client == client && row.redirect == redirect;
        same && shared.clock.now() < row.expires && proves(&verifier, &row.challenge)
    };
    let refused = || {
        Refused::new(
            Code::CodeRefused,
            "The code is wrong, was used, has expired, or is another program's: begin again",
        )
    };
    let row = row.filter(right).ok_or_else(refused)?;
    let user = shared.db.user_by_id(row.user).await;
    let user = user.map_err(|error| refuse(error.into()))?;
    let user = user.filter(|user| !user.disabled).ok_or_else(refused)?;
    granted(shared, &user, &client, asked).await
}

/// Whether the verifier is what the challenge was made of (RFC 7636, section 4.6).
fn proves(verifier: &Secret, challenge: &str) -> bool {
    let text = verifier.reveal().as_bytes();
    let made = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text));
    let equal = aws_lc_rs::constant_time::verify_slices_are_equal(made.as_bytes(), challenge.as_bytes());
    (43..=128).contains(&text.len()) && equal.is_ok()
}

impl Asking {
    /// What is wrong with the request, as the program is told. A request that may not even lead back to a program is
    /// refused here and now.
    async fn check(&self, shared: &Shared) -> Result<Option<&'static str>, Refused> {
        client_of(Some(self.client_id.clone()))?;
        if self.client_id.is_empty() || !redirect::is_allowed(shared, &self.client_id, &self.redirect_uri).await? {
            let detail = "The program that sent you here did not say who it is, or wants you sent back to an address that \
                          is neither on this machine nor registered for it";
            return Err(Refused::new(Code::InvalidRequest, detail));
        }
        if self.state.len() > STATE_BYTES_MAX {
            return Err(Refused::new(Code::InvalidRequest, "The program's state is too long"));
        }
        Ok(
            match (self.response_type.as_str(), self.code_challenge_method.as_str()) {
                ("code", "S256") if self.code_challenge.len() == 43 => None,
                ("code", _) => Some("invalid_request"),
                _ => Some("unsupported_response_type"),
            },
        )
    }

    /// Where the program sent the browser with it.
    pub(crate) fn address(&self) -> String {
        let query = serde_urlencoded::to_string(self).expect("plain fields always serialise");
        format!("/authorize?{query}")
    }

    fn page(&self, shared: &Shared, token: &FormToken, wrong: Option<&Refused>) -> Response {
        let kept = [
            ("response_type", &self.response_type),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("state", &self.state),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ];
        let kept: String = kept.iter().map(|(name, value)| hidden(name, value)).collect();
        let origin = redirect::origin(&self.redirect_uri);
        let body = format!(
            "<p>The program <b>{}</b> at {} wants to act for you here.</p>\
             <form method=\"post\" action=\"/authorize\">{}{kept}{}<button>Sign in</button>{}</form>",
            escape(&self.client_id),
            escape(&origin),
            token.field(),
            sign_in_fields(wrong),
            shared.providers.buttons(),
        );
        let status = wrong.map_or(Ok(StatusCode::OK), |wrong| StatusCode::from_u16(wrong.status()));
        let page = Page {
            status: status.unwrap_or(StatusCode::BAD_REQUEST),
            title: "Sign in",
            body,
            leads_to: &origin,
            token: Some(token),
        };
        page.into_response()
    }

    /// Sends the browser back to the program; the address was allowed before. `iss` says which service answers (RFC 9207).
    fn send_back(&self, shared: &Shared, fields: &[(&str, &str)]) -> Response {
        let mut pairs = fields.to_vec();
        pairs.push(("iss", &shared.url));
        if !self.state.is_empty() {
            pairs.push(("state", &self.state));
        }
        let query = serde_urlencoded::to_string(pairs).expect("plain fields always serialise");
        let separator = if self.redirect_uri.contains('?') { '&' } else { '?' };
        let address = format!("{}{separator}{query}", self.redirect_uri);
        let address = HeaderValue::from_str(&address).expect("an address that was allowed is plain");
        let headers = [
            (header::LOCATION, address),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (StatusCode::SEE_OTHER, headers).into_response()
    }
}
