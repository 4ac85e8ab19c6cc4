//! The service's configuration: a TOML file, all of it optional.

use std::path::PathBuf;

use serde::Deserialize;
use strongroom_model::{MailAddress, ProviderName};

use crate::network::Network;
use crate::notify_options::MailTls;

/// What the configuration file may say. Unknown names are refused, so that a typing error cannot pass unnoticed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The data folder.
    pub data: Option<PathBuf>,
    /// Address and port to listen on.
    pub listen: Option<String>,
    /// The address that machines use, when it is not the one that the service can guess.
    pub url: Option<String>,
    /// Host names, beside the usual ones, that the certificate shall be for.
    #[serde(default)]
    pub hostnames: Vec<String>,
    /// The metadata database, when it is not the one in the data folder.
    pub database: Option<String>,
    /// What is logged.
    #[serde(default)]
    pub log: LogConfig,
    /// What alerts are raised for, and who always hears of some.
    #[serde(default)]
    pub alerts: AlertsConfig,
    /// The server that mails go out through.
    pub mail: Option<MailConfig>,
    /// Whom people may sign in with instead of a password.
    #[serde(default)]
    pub provider: Vec<ProviderConfig>,
}

/// A provider of OpenID Connect that people may sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its name here: it sends people back to `/external/NAME`.
    pub name: ProviderName,
    /// What people read on the button; the name when not given.
    pub title: Option<String>,
    /// Its issuer, exactly as it writes it in its tokens.
    pub issuer: String,
    /// What it calls this service.
    pub client_id: String,
    /// The file with the secret that goes with that.
    pub secret_file: PathBuf,
    /// What to ask for besides `openid`.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// The claim that becomes the name of a user who is made.
    #[serde(default = "usual_name_claim")]
    pub name_claim: String,
    /// Whether a person whom nobody knows becomes a user, without any role.
    #[serde(default)]
    pub create_users: bool,
    /// Only people with a verified e-mail address in one of these domains.
    #[serde(default)]
    pub email_domains: Vec<String>,
    /// Only people of whom this claim says one of the `required_values`.
    pub required_claim: Option<String>,
    /// What the `required_claim` must be, or have among its values.
    #[serde(default)]
    pub required_values: Vec<String>,
    /// The file with the certificate of the provider's authority, when it is not one of the system's.
    pub ca_file: Option<PathBuf>,
}

fn usual_scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).into()
}

fn usual_name_claim() -> String {
    "preferred_username".to_owned()
}

/// What alerts are raised for, and who always hears of some.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertsConfig {
    /// A scheduled backup that has waited for its machine for so many minutes did not run; 60 when not given.
    pub missed_after_minutes: Option<u32>,
    /// Who is always told of what takes protection away.
    #[serde(default)]
    pub owners: Vec<MailAddress>,
    /// Networks, or single addresses, in which webhooks may be called although they are not the internet's.
    #[serde(default)]
    pub webhook_networks: Vec<Network>,
}

/// The server that mails go out through.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// Its name or address.
    pub host: String,
    /// Its port, when it is not the usual one.
    pub port: Option<u16>,
    /// How the connection is protected: `starttls`, `tls` or `none`.
    #[serde(default)]
    pub tls: MailTls,
    /// Whom mails come from.
    pub from: MailAddress,
    /// The user to sign in as, if the server wants one.
    pub user: Option<String>,
    /// The file with the user's password.
    pub password_file: Option<PathBuf>,
    /// The file with the certificate of the server's authority, when it is not one of the system's.
    pub ca_file: Option<PathBuf>,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,strongroom_vault=debug`.
    pub level: Option<String>,
    /// Lines for people, or one JSON object a line.
    #[serde(default)]
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The configuration file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not right: {0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads the text of a configuration file.
    ///
    /// # Errors
    /// Says where and what.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError(error.to_string().trim_end().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_optional() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        let text = "listen = \"[::]:8443\"\nhostnames = [\"vault.example.org\"]\n[log]\nformat = \"json\"\n";
        let config = Config::parse(text).unwrap();
        assert_eq!(config.listen.as_deref(), Some("[::]:8443"));
        assert_eq!(config.log.format, LogFormat::Json);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("lisen = \"x\"", "lisen"),
            ("[log]\nformat = \"xml\"", "xml"),
            ("listen = 3", "listen"),
            ("=", "line 1"),
            ("[mail]\nhost = \"mail.example.org\"\nfrom = \"nobody\"", "nobody"),
            (
                "[mail]\nhost = \"mail.example.org\"\nfrom = \"a@example.org\"\ntls = \"ssl\"",
                "ssl",
            ),
            ("[mail]\nhost = \"mail.example.org\"", "from"),
            ("[[provider]]\nname = \"A b\"", "A b"),
            (
                "[[provider]]\nname = \"corp\"\nissuer = \"https://x\"\nclient_id = \"y\"",
                "secret_file",
            ),
            ("[alerts]\nowners = [\"a@b c\"]", "a@b c"),
            ("[alerts]\nwebhook_networks = [\"intranet\"]", "10.0.0.0/8"),
        ] {
            let refused = Config::parse(text).unwrap_err().to_string();
            assert!(refused.contains(named), "{refused}");
        }
    }
}
