//! The proxy through which a service is reached.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::ClientError;
use crate::Secret;

/// The address of an HTTP proxy, which is asked for a tunnel (CONNECT): what goes through it stays sealed by TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyAddress(Url);

/// Why a text is no address of a proxy. It is not repeated: there may be a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no address of a proxy: it must look like http://proxy.example.org:3128, without name and password")]
pub struct ProxyError;

/// A proxy, and who one is to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// Where it is.
    pub address: ProxyAddress,
    /// Name and password, if it wants them (Basic).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ProxyUser>,
}

/// Who one is to a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
}

/// How connections leave this machine.
#[derive(Debug)]
pub(crate) enum Way {
    /// Through this proxy.
    Proxy(Proxy),
    /// Through the one that the environment names, if it names one.
    AsTheEnvironmentSays,
    /// Not at all: the service is on this very machine, and a proxy would look for it on its own.
    Inside,
}

impl Way {
    /// The way to the service at `base`, for somebody who wants this proxy, or none in particular.
    pub(crate) fn to(base: &Url, wanted: Option<Proxy>) -> Self {
        match wanted {
            Some(proxy) => Self::Proxy(proxy),
            None if is_this_machine(base) => Self::Inside,
            None => Self::AsTheEnvironmentSays,
        }
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Proxy {
    pub(crate) fn to_reqwest(&self) -> Result<reqwest::Proxy, ClientError> {
        let proxy = reqwest::Proxy::all(self.address.0.clone()).map_err(|error| ClientError::Protocol {
            what: error.to_string(),
        })?;
        Ok(match &self.user {
            Some(ProxyUser { name, password }) => proxy.basic_auth(name, password.reveal()),
            None => proxy,
        })
    }
}

impl FromStr for ProxyAddress {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let full = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let url = Url::parse(&full).map_err(|_| ProxyError)?;
        let plain = url.scheme() == "http" && url.path() == "/" && url.query().is_none() && url.has_host();
        let is_nameless = url.username().is_empty() && url.password().is_none();
        (plain && is_nameless).then_some(Self(url)).ok_or(ProxyError)
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str().trim_end_matches('/'))
    }
}

impl TryFrom<String> for ProxyAddress {
    type Error = ProxyError;

    fn try_from(text: String) -> Result<Self, ProxyError> {
        text.parse()
    }
}

impl From<ProxyAddress> for String {
    fn from(address: ProxyAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_of_the_environment_stands_between_a_machine_and_itself() {
        for (url, inside) in [
            ("https://localhost:8443", true),
            ("https://LOCALHOST", true),
            ("https://127.0.0.1:8443", true),
            ("https://127.3.2.1", true),
            ("https://[::1]:8443", true),
            ("https://localhost.example.org", false),
            ("https://192.0.2.1:8443", false),
            ("https://[2001:db8::1]", false),
        ] {
            let way = |wanted| Way::to(&url.parse().unwrap(), wanted);
            assert_eq!(matches!(way(None), Way::Inside), inside, "{url}");
            let proxy = Proxy {
                address: "http://proxy:3128".parse().unwrap(),
                user: None,
            };
            assert!(matches!(way(Some(proxy)), Way::Proxy(_)), "{url}");
        }
    }

    #[test]
    fn addresses_of_proxies() {
        for (text, shown) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("proxy.example.org:3128", "http://proxy.example.org:3128"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<ProxyAddress>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "https://proxy:3128",
            "socks5://proxy:1080",
            "http://ann:secret@proxy:3128",
            "http://proxy:3128/path",
            "http://",
        ] {
            let refused = text.parse::<ProxyAddress>().unwrap_err().to_string();
            assert!(refused.contains("http://proxy.example.org:3128") && !refused.contains("secret"));
        }
    }
}
