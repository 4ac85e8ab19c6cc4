//! One request to the facade, taken apart.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header};
use bytes::Bytes;
use serde_json::Value;
use strongroom_model::Place;

use super::error::{ArmError, ArmResult};
use super::filter::Filter;
use super::names::Tenancy;
use super::operations::Operation;
use super::path::Parameters;
use crate::principal::Principal;
use crate::shared::Shared;

/// A request whose caller may make it.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) operation: &'static Operation,
    pub(crate) parameters: Parameters,
    pub(crate) query: Query,
    /// `None` while signing in.
    pub(crate) principal: Option<Principal>,
    pub(crate) peer: SocketAddr,
    pub(crate) tenancy: Tenancy,
    /// What the request is about, and where its caller must be allowed it.
    pub(crate) place: Place,
    /// Where the caller reached us: scheme, host and port.
    pub(crate) base: String,
    pub(crate) body: Bytes,
}

impl Call {
    /// A parameter of the path.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name)
    }

    /// The body, which must be an object; an empty one stands for an object without members.
    pub(crate) fn json(&self) -> ArmResult<Value> {
        if self.body.trim_ascii().is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        match serde_json::from_slice(&self.body) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(Value::Null) => Ok(Value::Object(serde_json::Map::new())),
            Ok(_) => Err(ArmError::bad(
                "InvalidRequestContent",
                "The request must be a JSON object.",
            )),
            Err(error) => {
                let message = format!("The request is not JSON: {error}.");
                Err(ArmError::bad("InvalidRequestContent", message))
            }
        }
    }

    /// The list's filter.
    pub(crate) fn filter(&self) -> ArmResult<Filter> {
        Filter::parse(self.query.filter.as_deref().unwrap_or_default())
    }

    /// An address here, with the version that the caller speaks.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}?api-version={}", self.base, encoded(path), self.query.api_version)
    }

    /// The address of the list's next page.
    pub(crate) fn next_link(&self, token: &str) -> String {
        let mut url = format!("{}&$skipToken={token}", self.url(&self.path_decoded()));
        for (name, value) in [
            ("$filter", self.query.filter.clone()),
            ("$top", self.query.top.map(|top| top.to_string())),
        ] {
            if let Some(value) = value {
                url.push_str(&format!("&{name}={}", encoded(&value)));
            }
        }
        url
    }

    /// The id of the narrowest scope that the path names.
    pub(crate) fn scope_id(&self) -> String {
        match (self.parameter("resourceGroupName"), self.parameter("vaultName")) {
            ("", _) => self.tenancy.id(),
            (group, "") => self.tenancy.group_id(group),
            (group, vault) => self.tenancy.vault_id(group, vault).0,
        }
    }

    fn path_decoded(&self) -> String {
        let mut path = String::new();
        for segment in &self.operation.segments {
            let parameter = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            path.push('/');
            path.push_str(parameter.map_or(segment, |name| self.parameters.get(name)));
        }
        path
    }
}

/// What stands behind the question mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) api_version: String,
    pub(crate) filter: Option<String>,
    pub(crate) skip_token: Option<String>,
    pub(crate) top: Option<usize>,
}

impl Query {
    pub(crate) fn parse(query: &str) -> ArmResult<Query> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|_| ArmError::bad("InvalidQuery", "The query of the address cannot be read."))?;
        let value = |name: &str| {
            let found = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        let top = value("$top").map(|text| {
            let number = text.parse();
            number.map_err(|_| ArmError::bad("InvalidQuery", "$top must be a whole number."))
        });
        Ok(Query {
            api_version: value("api-version").unwrap_or_default(),
            filter: value("$filter"),
            skip_token: value("$skipToken"),
            top: top.transpose()?,
        })
    }

    /// Any version is spoken, but one must be said.
    pub(crate) fn check_version(&self) -> ArmResult<()> {
        if self.api_version.is_empty() {
            return Err(ArmError::bad(
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        match self.api_version.len() <= 40 && self.api_version.chars().all(plain) {
            true => Ok(()),
            false => Err(ArmError::bad(
                "InvalidApiVersionParameter",
                "The api-version is not of the form 2024-04-01.",
            )),
        }
    }
}

/// Where the caller reached us: by the name that he used, as others may not be known to him; else by ours.
pub(crate) fn base(uri: &Uri, headers: &HeaderMap, ours: &str) -> String {
    let said = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let said = uri.authority().map(|authority| authority.as_str()).or(said);
    let plain = |host: &&str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_');
        !host.is_empty() && host.chars().all(known)
    };
    said.filter(plain)
        .map_or_else(|| ours.to_owned(), |host| format!("https://{host}"))
}

/// A path or a value in an address: what needs it gets its percent sign; semicolons stay, as Azure leaves them.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(byte.into()),
            b'-' | b'.' | b'_' | b'~' | b'/' | b';' | b'(' | b')' | b',' | b':' | b'@' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_in_any_case() {
        let query = Query::parse("$Filter=a%20eq%20%27b%27&API-Version=2024-04-01&$skiptoken=x&$top=5").unwrap();
        assert_eq!(query.api_version, "2024-04-01");
        assert_eq!(query.filter.as_deref(), Some("a eq 'b'"));
        assert_eq!((query.skip_token.as_deref(), query.top), (Some("x"), Some(5)));
        assert!(Query::parse("$top=many").is_err());
    }

    #[test]
    fn any_version_will_do_but_there_must_be_one() {
        for (text, code) in [
            ("api-version=2016-06-01", None),
            ("api-version=2099-01-01-preview", None),
            ("", Some("MissingApiVersionParameter")),
            ("api-version=", Some("MissingApiVersionParameter")),
            ("api-version=1%0d%0a2", Some("InvalidApiVersionParameter")),
        ] {
            let refused = Query::parse(text).unwrap().check_version().err();
            assert_eq!(refused.map(|error| error.code), code, "{text}");
        }
    }

    #[test]
    fn addresses_are_those_that_the_caller_used() {
        let base = |host: Option<&str>| {
            let mut headers = HeaderMap::new();
            host.map(|host| headers.insert(header::HOST, host.parse().unwrap()));
            super::base(&Uri::from_static("/subscriptions"), &headers, "https://ours:8443")
        };
        assert_eq!(base(Some("localhost:8443")), "https://localhost:8443");
        assert_eq!(base(Some("[::1]:8443")), "https://[::1]:8443");
        assert_eq!(base(Some("evil/path?")), "https://ours:8443");
        assert_eq!(base(None), "https://ours:8443");
    }

    #[test]
    fn what_needs_a_percent_sign_gets_one() {
        assert_eq!(encoded("/a;b/c d'ü"), "/a;b/c%20d%27%C3%BC");
    }
}
