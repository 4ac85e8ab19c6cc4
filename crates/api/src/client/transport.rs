//! Connections to the service.

use std::sync::Mutex;
use std::time::Duration;

use rustls::ClientConfig;

use super::proxy::Proxy;
use super::{CONNECT_SECONDS_MAX, ClientError, IDLE_SECONDS_MAX, SILENCE_SECONDS_MAX};

/// How long nothing goes before it is looked whether the other side is there, and how often.
const PROBE_SECONDS: u64 = 15;

/// Makes connections, and keeps those that are idle.
#[derive(Debug)]
pub(crate) struct Transport {
    tls: ClientConfig,
    proxy: Option<Proxy>,
    http: Mutex<reqwest::Client>,
}

impl Transport {
    /// Without a proxy, through the one that the environment names, if it names one (HTTPS_PROXY, ALL_PROXY, NO_PROXY).
    pub(crate) fn new(tls: ClientConfig, proxy: Option<Proxy>) -> Result<Self, ClientError> {
        let http = Mutex::new(connector(&tls, proxy.as_ref())?);
        Ok(Self { tls, proxy, http })
    }

    /// What requests go through.
    pub(crate) fn http(&self) -> reqwest::Client {
        self.http.lock().expect("no thread panicked with it").clone()
    }

    /// Forgets the idle connections. When one of them is dead without a word, as after the machine slept, the others are.
    pub(crate) fn forget_idle(&self) {
        if let Ok(fresh) = connector(&self.tls, self.proxy.as_ref()) {
            *self.http.lock().expect("no thread panicked with it") = fresh;
        }
    }
}

fn connector(tls: &ClientConfig, proxy: Option<&Proxy>) -> Result<reqwest::Client, ClientError> {
    let seconds = Duration::from_secs;
    let builder = match proxy {
        Some(proxy) => reqwest::Client::builder().proxy(proxy.to_reqwest()?),
        None => reqwest::Client::builder(),
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
