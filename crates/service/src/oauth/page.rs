//! The pages on which a person signs in: plain HTML without a line of script, and a policy that permits none.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_api::Code;

use super::Refused;
use crate::password::random_text;

/// The cookie that a form's hidden field must equal: another site can make a browser send a form, but can neither read nor
/// set this. The prefix binds it to this very host.
const COOKIE: &str = "__Host-strongroom-form";

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:26em;margin:3em auto;padding:0 1em}\
label{display:block;margin:1em 0}input{display:block;width:100%;font:inherit;padding:.4em;box-sizing:border-box}\
button{font:inherit;padding:.4em 1.2em;margin-right:.6em}.bad{color:#a00}";

/// What a browser has in a cookie of ours: 256 random bits, as 43 letters.
#[derive(Debug, Clone)]
pub(crate) struct CookieSecret(String);

impl CookieSecret {
    /// The one that the browser has, or a new one.
    pub(crate) fn of(headers: &HeaderMap, name: &str) -> Self {
        Self(cookie(headers, name).unwrap_or_else(random_text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The header that has the browser keep it for so many seconds.
    pub(crate) fn to_cookie(&self, name: &str, same_site: &str, seconds: i64) -> HeaderValue {
        let secret = &self.0;
        let text = format!("{name}={secret}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={seconds}");
        HeaderValue::from_str(&text).expect("headers of ours are plain")
    }
}

/// What a browser proves that it got the form from us.
#[derive(Debug, Clone)]
pub(crate) struct FormToken(CookieSecret);

impl FormToken {
    /// The one that the browser has, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(CookieSecret::of(headers, COOKIE))
    }

    /// Refuses a form whose hidden field is not what the browser's cookie says.
    pub(crate) fn check(headers: &HeaderMap, field: &str) -> Result<Self, Refused> {
        let known = cookie(headers, COOKIE).unwrap_or_default();
        let equal = aws_lc_rs::constant_time::verify_slices_are_equal(known.as_bytes(), field.as_bytes()).is_ok();
        match equal && !known.is_empty() {
            true => Ok(Self(CookieSecret(known))),
            false => Err(Refused::new(
                Code::InvalidRequest,
                "The page is too old, or the browser keeps no cookies: open the page again",
            )),
        }
    }

    /// The hidden field of a form.
    pub(crate) fn field(&self) -> String {
        hidden("form_token", self.0.as_str())
    }
}

fn cookie(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE);
    let pairs = all
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let found = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted);
    let text = found.map(|(_, value)| value)?;
    let ours = text.len() == 43
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    ours.then(|| text.to_owned())
}

/// A whole page. `leads_to`: where, besides this service, its form may lead in the end.
pub(crate) struct Page<'a> {
    pub(crate) status: StatusCode,
    pub(crate) title: &'a str,
    pub(crate) body: String,
    pub(crate) leads_to: &'a str,
    pub(crate) token: Option<&'a FormToken>,
}

impl IntoResponse for Page<'_> {
    fn into_response(self) -> Response {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'",
            STANDARD.encode(digest),
            self.leads_to
        );
        let title = escape(self.title);
        let text = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} – Strongroom</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\
             <body><h1>{title}</h1>{}</body></html>\n",
            self.body
        );
        let mut response = (self.status, text).into_response();
        let mut set = |name: header::HeaderName, value: &str| {
            let value = HeaderValue::from_str(value).expect("headers of ours are plain");
            response.headers_mut().insert(name, value);
        };
        set(header::CONTENT_TYPE, "text/html; charset=utf-8");
        set(header::CONTENT_SECURITY_POLICY, policy.trim());
        set(header::CACHE_CONTROL, "no-store");
        set(header::REFERRER_POLICY, "no-referrer");
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::X_FRAME_OPTIONS, "DENY");
        if let Some(FormToken(secret)) = self.token {
            let cookie = secret.to_cookie(COOKIE, "Strict", 3600);
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// A page that says why it goes no further.
pub(crate) fn refusal_page(refused: Refused) -> Response {
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let body = format!("<p class=\"bad\">{}.</p>", escape(&refused.refusal.0.detail));
    let title = "This does not work";
    let page = Page {
        status,
        title,
        body,
        leads_to: "",
        token: None,
    };
    page.into_response()
}

/// The fields of name, password and one-time password, and what went wrong before.
pub(crate) fn sign_in_fields(wrong: Option<&Refused>) -> String {
    let mut text = String::new();
    if let Some(wrong) = wrong {
        text += &format!("<p class=\"bad\">{}.</p>", escape(&wrong.refusal.0.detail));
    }
    text + "<label>User name<input name=\"username\" autocomplete=\"username\" required></label>\
            <label>Password<input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>\
            <label>One-time password, if you use them<input name=\"one_time_password\" autocomplete=\"one-time-code\"></label>"
}

/// A hidden field.
pub(crate) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
}

/// Text that is nothing but text in HTML, also between quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
