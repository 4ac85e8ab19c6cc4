//! What is sent to a token endpoint. Fields that nobody here needs (`scope`, `claims`, `client_info` …) are passed over:
//! clients send them whether or not the service asked.

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use strongroom_api::{Code, Secret};

use super::Refused;

/// A form, as it came.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenForm {
    pub(crate) grant_type: String,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) client_assertion: Option<Secret>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) one_time_password: Option<Secret>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) device_code: Option<Secret>,
    pub(crate) code: Option<Secret>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) code_verifier: Option<Secret>,
}

impl TokenForm {
    /// Reads a form. A service principal may also give id and secret in the header for that (RFC 6749, section 2.3.1).
    pub(crate) fn parse(body: &[u8], authorization: Option<&HeaderValue>) -> Result<Self, Refused> {
        let mut form: Self = crate::incoming::form(body)?;
        if form.grant_type.is_empty() {
            return Err(Refused::new(
                Code::InvalidRequest,
                "The sign-in does not say its grant_type",
            ));
        }
        if let Some((id, secret)) = authorization.and_then(basic) {
            form.client_id.get_or_insert(id);
            form.client_secret.get_or_insert(secret);
        }
        Ok(form)
    }

    /// Who the form says that it is of; nothing is proved yet.
    pub(crate) fn claimed_name(&self) -> String {
        let name = self.username.as_ref().or(self.client_id.as_ref());
        name.cloned().unwrap_or_default()
    }
}

/// Takes a field that must be there.
pub(crate) fn needed<T>(field: Option<T>, name: &str) -> Result<T, Refused> {
    field.ok_or_else(|| Refused::new(Code::InvalidRequest, format!("The sign-in lacks its {name}")))
}

fn basic(value: &HeaderValue) -> Option<(String, Secret)> {
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    let credentials = scheme.eq_ignore_ascii_case("basic").then(|| credentials.trim())?;
    let text = Secret::new(String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?);
    let (id, secret) = text.reveal().split_once(':')?;
    Some((percent_decoded(id)?, Secret::new(percent_decoded(secret)?)))
}

/// Id and secret are each encoded like a field of a form.
fn percent_decoded(text: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&format!("x={text}")).ok()?;
    let [(_, value)] = <[_; 1]>::try_from(pairs).ok()?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_az_sends_is_understood() {
        let text =
            "client_id=sp1&grant_type=client_credentials&client_info=1&client_secret=se%2Bcret&claims=%7B%7D&scope=x";
        let form = TokenForm::parse(text.as_bytes(), None).unwrap();
        assert_eq!(
            (form.client_id.as_deref(), form.claimed_name().as_str()),
            (Some("sp1"), "sp1")
        );
        assert_eq!(form.client_secret.unwrap().reveal(), "se+cret");
        assert_eq!(TokenForm::parse(b"a=b", None).unwrap_err().error, "invalid_request");
        assert_eq!(
            TokenForm::parse(b"grant_type=a&grant_type=b", None).unwrap_err().error,
            "invalid_request"
        );
    }

    #[test]
    fn id_and_secret_may_be_in_the_header() {
        let header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode("i%3Ad:se:cr%20et"))).unwrap();
        let form = TokenForm::parse(b"grant_type=client_credentials", Some(&header)).unwrap();
        assert_eq!(form.client_id.as_deref(), Some("i:d"));
        assert_eq!(form.client_secret.unwrap().reveal(), "se:cr et");
        for wrong in ["Bearer x", "Basic ???", "Basic"] {
            let header = HeaderValue::from_static(wrong);
            assert_eq!(basic(&header), None);
        }
    }
}
