//! Calls to other services: webhooks, and providers that people sign in with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::BuilderVerifierExt as _;

const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A client that believes the authority of this PEM, or those of the system; follows no redirect, and gives up after
/// `answer_max`. The error is a sentence for the administrator.
pub(crate) fn client(authority: Option<&str>, answer_max: Duration) -> Result<Client, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match authority {
        Some(pem) => builder.with_root_certificates(roots(pem)?),
        None => builder.with_platform_verifier().map_err(|error| error.to_string())?,
    };
    Client::builder()
        .tls_backend_preconfigured(builder.with_no_client_auth())
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_MAX)
        .timeout(answer_max)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
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

/// Parses an address if it may be called: over TLS, or on this machine. The parser is the one that the call is made with: two
/// parsers may see two hosts.
pub(crate) fn checked(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match (url.scheme(), is_here, url.username().is_empty()) {
        ("https", _, true) | ("http", true, true) => Some(url),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
