//! The client: every route as a method, with sign-in, retries and exact trust.

mod absence;
mod administration;
mod alerts;
mod call;
mod control;
mod error;
mod fetch;
mod guards;
mod identity;
mod machine;
mod pace;
mod proxy;
mod retry;
mod seed;
mod sending;
mod sign_in;
mod transport;
mod work;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls_pki_types::ServerName;
use strongroom_model::Clock;

use crate::{Secret, Trust};

pub use administration::{AdministratorSession, ChangedPassword};
pub use error::{CertificateFault, ClientError};
pub use fetch::{FetchStream, Fetched};
pub use machine::PointFilter;
pub use pace::Pace;
pub use proxy::{Proxy, ProxyAddress, ProxyError, ProxyUser};
pub use retry::RetryPolicy;
pub use seed::SeedOf;
pub use sign_in::{PrincipalProof, SessionKeeper, SignIn};

use absence::Absence;
use proxy::Way;
use retry::Attempts;
use sign_in::Tokens;
use transport::Transport;

/// How long connecting may take, TLS included.
const CONNECT_SECONDS_MAX: u64 = 10;

/// How long nothing may move, in the middle of a request or of an answer or between them, and how long the line may lose what
/// was sent. Not how long a call may take: sending a pack over a slow line, or one that is limited, takes minutes.
const SILENCE_SECONDS_MAX: u64 = 120;

/// Below the time after which the service closes idle connections, so that a request rarely meets a closing one.
const IDLE_SECONDS_MAX: u64 = 20;

/// Where a service is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The address: `https://host:port`, the scheme may be left out.
    pub url: String,
    /// The authority that must have issued the service's certificate.
    pub trust: Trust,
    /// Judges certificates and dates assertions.
    pub clock: Clock,
    /// What to do about failures that may pass.
    pub retry: RetryPolicy,
    /// Through which proxy it is reached; `None`: through the one that the environment names, if it names one (HTTPS_PROXY,
    /// ALL_PROXY, NO_PROXY) and the service is not on this very machine.
    pub proxy: Option<Proxy>,
}

/// Speaks to one service as one caller. Cheap to clone; clones share connections, the pace and the token.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    pace: Arc<Pace>,
    retry: RetryPolicy,
    /// What it shows where that may be shown.
    membership: Option<Arc<Secret>>,
}

#[derive(Debug)]
struct Shared {
    base: Url,
    transport: Transport,
    clock: Clock,
    tokens: Tokens,
    absence: Arc<Absence>,
}

impl Client {
    /// A client that signs in as `sign_in` when it first needs to. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address is no address or the authority cannot be used.
    pub fn new(options: ClientOptions, sign_in: SignIn) -> Result<Self, ClientError> {
        let base = parse_url(&options.url)?;
        let tls = options.trust.client_config(&options.clock)?;
        let transport = Transport::new(tls, Way::to(&base, options.proxy))?;
        let shared = Shared {
            base,
            transport,
            tokens: Tokens::new(sign_in, options.clock.clone()),
            clock: options.clock,
            absence: Arc::new(Absence::new()),
        };
        Ok(Self {
            shared: Arc::new(shared),
            pace: Arc::new(Pace::unlimited()),
            retry: options.retry,
            membership: None,
        })
    }

    /// The same client with another retry policy.
    pub fn with_retry(&self, retry: RetryPolicy) -> Self {
        Self { retry, ..self.clone() }
    }

    /// The same client, which proves with every request about recovery points that the machine opened a key set, by the
    /// set's membership secret: so it reads them without having joined the set.
    pub fn with_membership(&self, membership: &[u8; 32]) -> Self {
        let hex: String = membership.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            membership: Some(Arc::new(Secret::new(hex))),
            ..self.clone()
        }
    }

    /// The same client at another pace.
    pub fn with_pace(self, pace: Pace) -> Self {
        Self {
            pace: Arc::new(pace),
            ..self
        }
    }

    /// The newest refresh token that this client was given, if it was given one.
    pub fn refresh_token(&self) -> Option<crate::Secret> {
        self.shared.tokens.newest_refresh()
    }

    /// How long it goes on trying when the service is away.
    pub fn patience(&self) -> Duration {
        self.retry.total
    }

    fn attempts(&self) -> Attempts {
        Attempts::new(self.retry, self.shared.absence.clone())
    }

    /// The service's address, as it is spoken to.
    pub fn url(&self) -> &str {
        self.shared.base.as_str().trim_end_matches('/')
    }
}

fn parse_url(text: &str) -> Result<Url, ClientError> {
    let refuse = || ClientError::InvalidUrl { url: text.to_owned() };
    let full = match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    let url = Url::parse(&full).map_err(|_| refuse())?;
    let plain = url.scheme() == "https" && url.path() == "/" && url.query().is_none() && url.username().is_empty();
    // Only a name that a certificate can have is worth a look-up.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match plain && ServerName::try_from(host).is_ok() {
        true => Ok(url),
        false => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("https://localhost:8443", "https://localhost:8443/"),
            ("https://localhost:8443/", "https://localhost:8443/"),
            ("127.0.0.1:8443", "https://127.0.0.1:8443/"),
            ("[::1]:8443", "https://[::1]:8443/"),
        ] {
            assert_eq!(parse_url(text).unwrap().as_str(), expected);
        }
        for text in [
            "",
            "http://localhost",
            "https://h/path",
            "https://",
            "ftp://x",
            "https://h?x",
            "https://me@h",
            &format!("https://{}.example.org", "x".repeat(64)),
        ] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }
}
