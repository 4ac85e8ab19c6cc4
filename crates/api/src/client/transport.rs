//! Connections to the service.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use rustls::ClientConfig;

use super::proxy::Way;
use super::{CONNECT_SECONDS_MAX, ClientError, IDLE_SECONDS_MAX, SILENCE_SECONDS_MAX};

/// How long nothing goes before it is looked whether the other side is there, and how often.
const PROBE_SECONDS: u64 = 15;

/// Makes connections, and keeps those that are idle.
pub(crate) struct Transport {
    tls: ClientConfig,
    way: Way,
    http: Mutex<reqwest::Client>,
}

impl Transport {
    pub(crate) fn new(tls: ClientConfig, way: Way) -> Result<Self, ClientError> {
        let http = Mutex::new(connector(&tls, &way)?);
        Ok(Self { tls, way, http })
    }

    /// What requests go through.
    pub(crate) fn http(&self) -> reqwest::Client {
        self.http.lock().expect("no thread panicked with it").clone()
    }

    /// Forgets the idle connections. When one of them is dead without a word, as after the machine slept, the others are.
    pub(crate) fn forget_idle(&self) {
        if let Ok(fresh) = connector(&self.tls, &self.way) {
            *self.http.lock().expect("no thread panicked with it") = fresh;
        }
    }
}

/// What reqwest says of itself has the password of its proxy in it.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transport").field(&self.way).finish()
    }
}

fn connector(tls: &ClientConfig, way: &Way) -> Result<reqwest::Client, ClientError> {
    let seconds = Duration::from_secs;
    let builder = reqwest::Client::builder();
    let builder = match way {
        Way::Proxy(proxy) => builder.proxy(proxy.to_reqwest()?),
        Way::AsTheEnvironmentSays => builder,
        Way::Inside => builder.no_proxy(),
    };
    builder
        .tls_backend_preconfigured(tls.clone())
        .https_only(true)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .tcp_keepalive(seconds(PROBE_SECONDS))
        .tcp_keepalive_interval(seconds(PROBE_SECONDS))
        .tcp_user_timeout(seconds(SILENCE_SECONDS_MAX))
        .connect_timeout(seconds(CONNECT_SECONDS_MAX))
        .pool_idle_timeout(seconds(IDLE_SECONDS_MAX))
        .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ClientError::Protocol {
            what: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Secret;
    use crate::client::proxy::{Proxy, ProxyUser};

    #[test]
    fn the_password_of_a_proxy_is_not_shown() {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let proxy = Proxy {
            address: "proxy:3128".parse().unwrap(),
            user: Some(ProxyUser {
                name: "ann".to_owned(),
                password: Secret::new("open sesame"),
            }),
        };
        let shown = format!("{:?}", Transport::new(tls, Way::Proxy(proxy)).unwrap());
        assert!(shown.contains("ann") && !shown.contains("sesame"), "{shown}");
        // In Base64, as it goes out.
        assert!(!shown.contains("YW5uOm9wZW4gc2VzYW1l"), "{shown}");
    }
}
