//! How the service is reached, as flags.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use serde::Serialize;
use strongroom_agent::Network;
use strongroom_api::{Proxy, ProxyAddress, ProxyError, ProxyUser};

use crate::failure::Failure;
use crate::password;

/// How the service is reached.
#[derive(Debug, Clone, Args)]
pub(crate) struct NetworkFlags {
    /// Reach the service through this HTTP proxy, such as http://proxy.example.org:3128; `none`: through the one that
    /// HTTPS_PROXY names, if it is set
    #[arg(long, value_name = "URL", help_heading = "Network")]
    proxy: Option<Choice>,
    /// The name that the proxy wants
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    proxy_user: Option<String>,
    /// A file whose first line is the password that the proxy wants
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    proxy_password_file: Option<PathBuf>,
    /// For how many minutes to go on trying when the service is away, up to a day [default: 10]
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(0..=Network::RETRY_MINUTES_MAX), help_heading = "Network")]
    retry_minutes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    None,
    Proxy(ProxyAddress),
}

impl FromStr for Choice {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        match text {
            "none" => Ok(Self::None),
            address => address.parse().map(Self::Proxy),
        }
    }
}

/// How the service is reached, without the password.
#[derive(Serialize)]
pub(crate) struct NetworkView {
    proxy: Option<ProxyView>,
    retry_minutes: Option<u64>,
}

#[derive(Serialize)]
struct ProxyView {
    address: String,
    user: Option<String>,
}

impl NetworkFlags {
    /// What comes of these flags, where `base` holds for what is not said.
    pub(crate) fn over(&self, base: Network) -> Result<Network, Failure> {
        Ok(Network {
            retry_minutes: self.retry_minutes.or(base.retry_minutes),
            proxy: self.proxy(base.proxy)?,
        })
    }

    fn proxy(&self, base: Option<Proxy>) -> Result<Option<Proxy>, Failure> {
        let is_user_said = self.proxy_user.is_some() || self.proxy_password_file.is_some();
        let proxy = match &self.proxy {
            Some(Choice::None) => None,
            // Whoever is known to one proxy is not to another.
            Some(Choice::Proxy(address)) if base.as_ref().is_none_or(|base| base.address != *address) => Some(Proxy {
                address: address.clone(),
                user: None,
            }),
            _ => base,
        };
        let Some(mut proxy) = proxy else {
            return match is_user_said {
                false => Ok(None),
                true => Err(Failure::new(
                    "there is no proxy that could want a name: set one with --proxy URL",
                )),
            };
        };
        if is_user_said {
            proxy.user = Some(self.user(proxy.user)?);
        }
        Ok(Some(proxy))
    }

    fn user(&self, base: Option<ProxyUser>) -> Result<ProxyUser, Failure> {
        let file = self.proxy_password_file.as_deref();
        let password = file.map(password::from_file).transpose()?;
        let (name, known) = match base {
            Some(ProxyUser { name, password }) => (Some(name), Some(password)),
            None => (None, None),
        };
        let name = self.proxy_user.clone().or(name);
        let (Some(name), Some(password)) = (name, password.or(known)) else {
            let why =
                "a proxy wants a name and a password: give both, with --proxy-user NAME and --proxy-password-file FILE";
            return Err(Failure::new(why));
        };
        Ok(ProxyUser { name, password })
    }
}

impl From<&Network> for NetworkView {
    fn from(network: &Network) -> Self {
        let proxy = network.proxy.as_ref().map(|Proxy { address, user }| ProxyView {
            address: address.to_string(),
            user: user.as_ref().map(|user| user.name.clone()),
        });
        Self {
            proxy,
            retry_minutes: network.retry_minutes,
        }
    }
}

impl NetworkView {
    /// Lines for people: a name and a value each.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        let proxy = self.proxy.as_ref().map(|ProxyView { address, user }| match user {
            Some(user) => ("proxy", format!("{address} as {user}")),
            None => ("proxy", address.clone()),
        });
        let retry = self
            .retry_minutes
            .map(|minutes| ("tries for", format!("{minutes} minutes")));
        proxy.into_iter().chain(retry)
    }
}
