//! People who sign in with another provider (OpenID Connect): a page of ours sends the browser there, it comes back with a
//! code, and what the provider says for that code names a user here.
//!
//! A sign-in belongs to the browser that began it: a cookie has what nonce and proof key are computed from, so that neither
//! a code nor an address that somebody else made is of any use in another browser. See
//! `docs/decisions/2026-11-21-external-sign-in.md`.

mod person;
mod provider;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use strongroom_api::{Code, Secret};
use strongroom_db::{ExternalSignInRow, UserRow};
use strongroom_model::ProviderName;

use self::provider::{Binding, Failed, Provider};
use super::authorize::{self, Asking};
use super::logins::begin_attempt;
use super::page::{CookieSecret, Page, escape};
use super::{Asked, Refused, Signed, device, write_down};
use crate::attempts::Caller;
use crate::audit::SIGN_IN;
use crate::network::Network;
use crate::password::random_text;
use crate::provider_options::{ProviderError, ProviderOptions};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// How long a person may take at the provider, in seconds.
const SECONDS: i64 = 15 * 60;

/// What only the browser has that began a sign-in. It must come along when the provider sends the browser back, which a
/// strict cookie does not.
const COOKIE: &str = "__Host-strongroom-external";

/// The providers of the configuration, in its order.
pub(crate) struct Providers(Vec<Provider>);

/// What goes on when the person has come back.
#[derive(Serialize, Deserialize)]
pub(crate) enum Continues {
    /// A program that sent the browser here.
    Authorize(Asking),
    /// A program that waits under this code.
    Device { code: String },
}

/// What a browser comes back with.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Back {
    state: String,
    code: Option<Secret>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Providers {
    /// Nothing is asked yet. `url` is where browsers reach this service.
    pub(crate) fn new(options: &[ProviderOptions], url: &str) -> Result<Self, ProviderError> {
        let mut providers: Vec<Provider> = Vec::new();
        for options in options {
            if providers.iter().any(|one| one.options.name == options.name) {
                let (name, why) = (options.name.clone(), "there are two of that name".to_owned());
                return Err(ProviderError { name, why });
            }
            providers.push(Provider::new(options.clone(), url)?);
        }
        Ok(Self(providers))
    }

    /// The issuer of the provider of this name.
    pub(crate) fn issuer(&self, name: &ProviderName) -> Option<&str> {
        self.find(name.as_str()).map(|one| one.options.issuer.as_str())
    }

    /// The name of the provider with this issuer.
    pub(crate) fn name_of(&self, issuer: &str) -> Option<ProviderName> {
        let found = self.0.iter().find(|one| one.options.issuer == issuer);
        found.map(|one| one.options.name.clone())
    }

    /// The buttons of a sign-in page.
    pub(crate) fn buttons(&self) -> String {
        let button = |one: &Provider| {
            format!(
                "<button name=\"provider\" value=\"{}\" formnovalidate>Sign in with {}</button>",
                one.options.name,
                escape(&one.options.title)
            )
        };
        match self.0.is_empty() {
            true => String::new(),
            false => format!("<p>{}</p>", self.0.iter().map(button).collect::<String>()),
        }
    }

    fn find(&self, name: &str) -> Option<&Provider> {
        self.0.iter().find(|one| one.options.name.as_str() == name)
    }
}

/// Sends a browser to a provider.
pub(crate) async fn begin(
    shared: &Shared,
    peer: IpAddr,
    headers: &HeaderMap,
    provider: &str,
    continues: &Continues,
) -> Result<Response, Refused> {
    let provider = shared.providers.find(provider);
    let provider =
        provider.ok_or_else(|| Refused::new(Code::InvalidRequest, "There is no such provider: open the page again"))?;
    let browser = CookieSecret::of(headers, COOKIE);
    let binding = Binding::new(&browser, random_text());
    let now = shared.clock.now();
    let address = provider.address(&binding, now).await;
    let address = address.map_err(|failed| refused_by(provider, &failed))?;
    let row = ExternalSignInRow {
        hash: hash(&binding.state),
        browser: hash(browser.as_str()),
        provider: provider.options.name.to_string(),
        network: Network::of_site(peer).to_string(),
        continues: serde_json::to_string(continues).expect("plain fields always serialise"),
        expires: now
            .saturating_add(SignedDuration::from_secs(SECONDS))
            .expect("a signed duration carries no calendar units"),
    };
    let inserted = shared.db.insert_external_sign_in(&row, now).await;
    if !inserted.map_err(|error| refuse(error.into()))? {
        let detail = "Too many people in your network, or in all, are on their way to other providers just now: try again in \
                      some minutes";
        return Err(Refused::new(Code::Unavailable, detail));
    }
    Ok(send_on(provider, &address, &browser))
}

/// A page that leads on by itself. An answer that redirects would have the browser compare all that comes after with what
/// the form's page permits, and nobody knows where a provider leads on its way.
fn send_on(provider: &Provider, address: &str, browser: &CookieSecret) -> Response {
    let page = Page {
        status: StatusCode::OK,
        title: "One moment",
        body: format!(
            "<p><a href=\"{}\">Go on to {}</a></p>",
            escape(address),
            escape(&provider.options.title)
        ),
        leads_to: "",
        token: None,
    };
    let mut response = page.into_response();
    let refresh = HeaderValue::from_str(&format!("0; url={address}"));
    response
        .headers_mut()
        .insert(header::REFRESH, refresh.expect("a parsed address is plain"));
    response
        .headers_mut()
        .append(header::SET_COOKIE, browser.to_cookie(COOKIE, "Lax", SECONDS));
    response
}

/// `GET /external/{provider}`: a browser comes back.
pub(crate) async fn back(
    State(shared): State<Arc<Shared>>,
    asked: Asked,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = Asked {
        path: crate::audit::short(&asked.path),
        ..asked
    };
    let back: Back = crate::incoming::form(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let mut way_out = None;
    match go_on(&shared, &asked, &provider, back, &headers, &mut way_out).await {
        Ok(response) => response,
        Err(refused) => {
            shared.metrics.sign_ins_failed.inc();
            write_down(&shared, &asked, SIGN_IN, None, &provider, refused.status()).await;
            failure_page(&refused, way_out.as_ref())
        }
    }
}

async fn go_on(
    shared: &Shared,
    asked: &Asked,
    provider: &str,
    back: Back,
    headers: &HeaderMap,
    way_out: &mut Option<Continues>,
) -> Result<Response, Refused> {
    // A state cannot be guessed, and is good once: this only bounds how often somebody has the provider asked in vain.
    let caller = Caller::of_many(asked.peer, "external sign-in");
    begin_attempt(shared, caller)?;
    let browser = CookieSecret::of(headers, COOKIE);
    let taken = shared
        .db
        .take_external_sign_in(hash(&back.state), hash(browser.as_str()))
        .await;
    let row = taken.map_err(|error| refuse(error.into()))?;
    let found = row.filter(|row| row.provider == provider && shared.clock.now() < row.expires);
    let (Some(row), Some(provider)) = (found, shared.providers.find(provider)) else {
        let detail = "This sign-in was not begun in this browser, took too long, or was gone through with already";
        return Err(Refused::new(Code::CodeRefused, detail));
    };
    let continues = serde_json::from_str(&row.continues);
    let continues = way_out.insert(continues.map_err(|_| Refused::new(Code::Internal, "The sign-in was lost"))?);
    let user = person(shared, asked, provider, back, &browser).await?;
    shared.attempts.succeeded(&caller);
    let (id, name) = (user.id.into(), user.name.clone());
    write_down(shared, asked, SIGN_IN, Some(Signed::User { id, name }), "", 200).await;
    tracing::info!(user = user.name, provider = %provider.options.name, "signed in with a provider");
    match continues {
        Continues::Authorize(asking) => authorize::allow(shared, asking, &user).await,
        Continues::Device { code } => device::allow(shared, code, &user).await,
    }
}

/// The user whom the provider vouches for.
async fn person(
    shared: &Shared,
    asked: &Asked,
    provider: &Provider,
    back: Back,
    browser: &CookieSecret,
) -> Result<UserRow, Refused> {
    let title = &provider.options.title;
    if back.iss.is_some_and(|iss| iss != provider.options.issuer) {
        let detail = format!("This is no answer of {title}");
        return Err(Refused::new(Code::CodeRefused, detail));
    }
    if let Some(error) = back.error {
        let said = back.error_description.unwrap_or(error);
        let detail = format!("{title} did not sign you in: {}", crate::audit::short(&said));
        return Err(Refused::new(Code::AccessDenied, detail.trim_end_matches('.')));
    }
    let code = back.code.unwrap_or(Secret::new(""));
    let vouched = provider
        .ask(&code, &Binding::new(browser, back.state), shared.clock.now())
        .await;
    let vouched = vouched.map_err(|failed| refused_by(provider, &failed))?;
    person::user_of(shared, asked, &provider.options, &vouched).await
}

/// What a person is told; the log has the cause.
fn refused_by(provider: &Provider, failed: &Failed) -> Refused {
    let (name, title) = (&provider.options.name, &provider.options.title);
    match failed {
        Failed::Away(why) => {
            tracing::warn!(provider = %name, "the provider does not answer as it should: {why}");
            let detail = format!("{title} does not answer as it should: try again in some minutes, or use a password");
            Refused::new(Code::Unavailable, detail)
        }
        Failed::NotBelieved(why) => {
            tracing::warn!(provider = %name, "a sign-in was refused: {why}");
            let detail = format!("What {title} says about you cannot be relied on: begin again");
            Refused::new(Code::CodeRefused, detail)
        }
    }
}

fn failure_page(refused: &Refused, way_out: Option<&Continues>) -> Response {
    let again = match way_out {
        Some(Continues::Authorize(asking)) => asking.address(),
        Some(Continues::Device { code }) => format!("/device?user_code={code}"),
        None => "/device".to_owned(),
    };
    let page = Page {
        status: StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST),
        title: "This does not work",
        body: format!(
            "<p class=\"bad\">{}.</p><p><a href=\"{}\">Begin again</a></p>",
            escape(&refused.refusal.0.detail),
            escape(&again)
        ),
        leads_to: "",
        token: None,
    };
    page.into_response()
}

impl Binding {
    /// Of the browser's secret and a state: whoever has only one of them has nothing.
    fn new(browser: &CookieSecret, state: String) -> Self {
        let secret = |context: &str| {
            let bytes = [browser.as_str(), ".", &state].concat();
            blake3::Hash::from_bytes(blake3::derive_key(context, bytes.as_bytes()))
                .to_hex()
                .to_string()
        };
        Self {
            nonce: secret("strongroom 2026-11-21 external sign-in nonce"),
            verifier: secret("strongroom 2026-11-21 external sign-in proof key"),
            state,
        }
    }
}

fn hash(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}
