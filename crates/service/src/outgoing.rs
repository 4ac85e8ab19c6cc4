//! Calls to other services: webhooks, and providers that people sign in with.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::lookup_host;

use crate::network::{Network, is_public};

const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A client that believes the authority of this PEM, or those of the system; follows no redirect, and gives up after
/// `answer_max`. The error is a sentence for the administrator.
pub(crate) fn client(authority: Option<&str>, answer_max: Duration) -> Result<Client, String> {
    let client = builder(authority, answer_max)?.build();
    client.map_err(|error| error.to_string())
}

/// The same, for addresses that people choose who may not know what stands there: names stand for what `reach` admits only,
/// and the call goes to what was looked at. Addresses that are written out it must be asked about.
pub(crate) fn client_within(reach: Arc<Reach>, answer_max: Duration) -> Result<Client, String> {
    let client = builder(None, answer_max)?.dns_resolver(Names(reach)).build();
    client.map_err(|error| error.to_string())
}

fn builder(authority: Option<&str>, answer_max: Duration) -> Result<ClientBuilder, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match authority {
        Some(pem) => builder.with_root_certificates(roots(pem)?),
        None => builder.with_platform_verifier().map_err(|error| error.to_string())?,
    };
    let builder = Client::builder()
        .tls_backend_preconfigured(builder.with_no_client_auth())
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_MAX)
        .timeout(answer_max)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")));
    Ok(builder)
}

fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    match roots.is_empty() {
        true => Err("there is no certificate in it".to_owned()),
        false => Ok(roots),
    }
}

/// Which addresses may be called: the internet's, and those that whoever runs the service allows.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) allowed: Vec<Network>,
}

/// Why a name is called nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreachable {
    /// It stands for nothing.
    #[error("the name was not found")]
    NotFound,
    /// It stands for nothing that may be called.
    #[error("the name stands for addresses outside of the internet that are not allowed")]
    Forbidden,
}

impl Reach {
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|network| network.contains(address))
    }

    /// Whether the host may be called; of a name that is only known when it is looked up.
    pub(crate) fn may_admit(&self, url: &Url) -> bool {
        address_of(url).is_none_or(|address| self.admits(address))
    }

    fn sift(&self, found: io::Result<Vec<SocketAddr>>) -> Result<Vec<SocketAddr>, Unreachable> {
        let mut found = found.map_err(|_| Unreachable::NotFound)?;
        if found.is_empty() {
            return Err(Unreachable::NotFound);
        }
        found.retain(|address| self.admits(address.ip()));
        match found.is_empty() {
            true => Err(Unreachable::Forbidden),
            false => Ok(found),
        }
    }
}

/// For the client that [`client_within`] makes.
struct Names(Arc<Reach>);

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await.map(Iterator::collect);
            let addresses: Addrs = Box::new(reach.sift(found)?.into_iter());
            Ok(addresses)
        })
    }
}

/// The address that is written out as the host, in whichever spelling the parser understood.
fn address_of(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Parses an address if it may be called: over TLS, or on this machine. The parser is the one that the call is made with: two
/// parsers may see two hosts.
pub(crate) fn checked(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let is_here = url.host_str() == Some("localhost") || address_of(&url).is_some_and(|address| address.is_loopback());
    match (url.scheme(), is_here, url.username().is_empty()) {
        ("https", _, true) | ("http", true, true) => Some(url),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_were_admitted_are_called() {
        let reach = Reach {
            allowed: vec!["10.0.0.0/8".parse().unwrap()],
        };
        let socket = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        let sift = |found: &[&str]| reach.sift(Ok(found.iter().map(|text| socket(text)).collect()));
        let mixed = ["127.0.0.1", "8.8.8.8", "::ffff:192.168.0.1", "10.0.0.9", "::1"];
        assert_eq!(sift(&mixed), Ok(vec![socket("8.8.8.8"), socket("10.0.0.9")]));
        assert_eq!(sift(&["127.0.0.1", "fe80::1"]), Err(Unreachable::Forbidden));
        assert_eq!(sift(&[]), Err(Unreachable::NotFound));
        assert_eq!(reach.sift(Err(io::ErrorKind::Other.into())), Err(Unreachable::NotFound));
        for (url, may) in [
            ("https://hooks.example.org/", true),
            ("https://10.0.0.1/", true),
            ("https://2130706433/", false),
            ("https://0x7f.1/", false),
            ("https://[::ffff:7f00:1]/", false),
            ("https://[fe80::1]/", false),
        ] {
            assert_eq!(reach.may_admit(&Url::parse(url).unwrap()), may, "{url}");
        }
    }

    #[test]
    fn only_tls_or_this_machine() {
        for (target, right) in [
            ("https://hooks.example.org/x", true),
            ("http://127.0.0.1:1/x", true),
            ("http://[::1]:1/x", true),
            ("http://hooks.example.org/x", false),
            ("https://me@hooks.example.org/x", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(checked(target).is_some(), right, "{target}");
        }
    }
}
