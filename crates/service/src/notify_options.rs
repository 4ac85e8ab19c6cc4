//! How people are told of alerts: what the administrator of the service says about it.

use jiff::SignedDuration;
use serde::Deserialize;
use strongroom_api::Secret;
use strongroom_model::MailAddress;

use crate::network::Network;

/// How people are told of alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyOptions {
    /// A scheduled backup that has waited for its machine for so long did not run.
    pub missed_after: SignedDuration,
    /// Who is always told of what takes protection away.
    pub owners: Vec<MailAddress>,
    /// Where webhooks may be called besides the internet.
    pub webhook_networks: Vec<Network>,
    /// How mails go out; without it none does.
    pub mail: Option<MailOptions>,
}

impl Default for NotifyOptions {
    fn default() -> Self {
        Self {
            missed_after: SignedDuration::from_mins(60),
            owners: Vec::new(),
            webhook_networks: Vec::new(),
            mail: None,
        }
    }
}

/// The server that mails go out through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailOptions {
    /// Its name or address.
    pub host: String,
    /// Its port; the usual one of the mode when not given.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub tls: MailTls,
    /// The PEM of the authority that it must be certified by; those of the system when not given.
    pub authority: Option<String>,
    /// Whom mails come from.
    pub from: MailAddress,
    /// User and password, if it wants them.
    pub sign_in: Option<(String, Secret)>,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// It begins in the clear and must turn to TLS before anything is said (port 587).
    #[default]
    StartTls,
    /// TLS from the first byte (port 465).
    Tls,
    /// Not at all (port 25): for a server on this machine.
    None,
}
