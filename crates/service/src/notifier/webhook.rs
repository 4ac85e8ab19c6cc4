//! Webhooks: JSON, signed, over TLS, or to this machine.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use reqwest::{Client, Url, header};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use strongroom_api::{SIGNATURE_HEADER, Secret};
use strongroom_db::NewDelivery;

use super::mail::chain;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The longest that a receiver may take. It should answer first, then work.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Calls webhooks.
pub(crate) struct Webhooks {
    /// Or why none can be called.
    client: Result<Client, String>,
}

impl Webhooks {
    /// Nothing is called yet.
    pub(crate) fn new() -> Self {
        let client = client();
        if let Err(error) = &client {
            tracing::warn!(error, "webhooks cannot be called");
        }
        Self { client }
    }

    /// Calls a webhook. What it answers is not read, only whether it is content.
    pub(crate) async fn send(&self, delivery: &NewDelivery, secret: &Secret, now: Timestamp) -> Result<(), String> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let url = checked(&delivery.target)?;
        let request = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, signature(secret, now, delivery.body.as_bytes()))
            .body(delivery.body.clone());
        // Without the address: it may have a token in it.
        let answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(format!("the webhook answered {}", answer.status())),
        }
    }
}

fn client() -> Result<Client, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| error.to_string())?
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_MAX)
        .timeout(ANSWER_MAX)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}

/// The address, once more by the parser that the call is made with: two parsers may see two hosts.
fn checked(target: &str) -> Result<Url, String> {
    let refused = || "the address of the webhook is neither https nor on this machine".to_owned();
    let url = Url::parse(target).map_err(|_| refused())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match (url.scheme(), is_here, url.username().is_empty()) {
        ("https", _, true) | ("http", true, true) => Ok(url),
        _ => Err(refused()),
    }
}

/// `t=SECONDS,v1=HEX`: the moment is signed with the body, so that an old message cannot be sent again as a new one.
fn signature(secret: &Secret, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.as_second();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    let hex: String = context
        .sign()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef`.
    #[test]
    fn the_signature_is_that_of_other_programs() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let signed = signature(&Secret::new("0123456789abcdef"), now, b"{}");
        assert_eq!(
            signed,
            "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e"
        );
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
            assert_eq!(checked(target).is_ok(), right, "{target}");
        }
    }
}
