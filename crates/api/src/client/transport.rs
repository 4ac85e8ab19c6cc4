//! Connections to the service.

use std::sync::Mutex;
use std::time::Duration;

use rustls::ClientConfig;

use super::proxy::Way;
use super::{CONNECT_SECONDS_MAX, ClientError, IDLE_SECONDS_MAX, SILENCE_SECONDS_MAX};

/// How long nothing goes before it is looked whether the other side is there, and how often.
const PROBE_SECONDS: u64 = 15;

/// Makes connections, and keeps those that are idle.
#[derive(Debug)]
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
