//! The service: one HTTPS port for administrators and machines.
//!
//! [`Service::start`] takes possession of a data folder, makes there what the first start needs (authority, certificate,
//! administrator, keys), and serves the routes of `strongroom_api::routes`: [`router`] matches a handler to each row, and
//! the gate before each handler asks for the row's permission. Handlers parse, call the vault, and render; the rules of
//! keeping are in the `vault` crate. Nothing here can open what machines send: `seal` is not among the dependencies.

#![forbid(unsafe_code)]

mod access;
mod account;
mod accounts;
mod alerts;
mod approvals;
mod arm;
mod attempts;
mod audit;
mod authority;
mod calls;
mod certificate;
mod config;
mod containers;
mod data_dir;
mod deleted_vaults;
mod descriptors;
mod etag;
mod exports;
mod fetch;
mod first_administrator;
mod gate;
mod gauges;
mod guards;
mod health;
mod identities;
mod incoming;
mod installation;
mod invitations;
mod items;
mod jobs;
mod key_sets;
mod leftover;
mod limits;
mod link;
mod listener;
mod listening;
mod location;
mod machine_settings;
mod machines;
mod memory;
mod metrics;
mod network;
mod notifications;
mod notifier;
mod notify_options;
mod oauth;
mod one_time_passwords;
mod openapi;
mod outgoing;
mod own_jobs;
mod parse;
mod password;
mod points;
mod policies;
mod prepare;
mod principal;
mod provider_options;
mod query;
mod refusal;
mod resource_groups;
mod roles;
mod router;
mod scheduler;
mod seals;
mod security_pins;
mod seeds;
mod service;
mod service_principals;
mod sessions;
mod settings;
mod shared;
mod subscription;
mod target;
mod token;
mod totp;
mod unfinished;
mod upkeep;
mod users;
mod vault_refusal;
mod vaults;
mod virtual_machines;

pub use arm::{AzureOperation, AzureSupport, azure_operations};
pub use authority::AuthorityError;
pub use config::{AlertsConfig, Config, ConfigError, LogConfig, LogFormat, MailConfig, ProviderConfig};
pub use data_dir::DataDirError;
pub use limits::Limits;
pub use network::{Network, NetworkError};
pub use notifier::MailError;
pub use notify_options::{MailOptions, MailTls, NotifyOptions};
pub use provider_options::{ProviderError, ProviderOptions, RequiredClaim};
pub use service::{ServeOptions, Service, StartError};
pub use upkeep::Upkeep;
