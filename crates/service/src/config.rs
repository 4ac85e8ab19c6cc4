//! The service's configuration: a TOML file, all of it optional.

use std::path::PathBuf;

use serde::Deserialize;

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
        ] {
            let refused = Config::parse(text).unwrap_err().to_string();
            assert!(refused.contains(named), "{refused}");
        }
    }
}
