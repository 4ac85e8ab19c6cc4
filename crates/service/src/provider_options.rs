//! Providers that people sign in with instead of a password: what the administrator of the service says about them.

use strongroom_api::Secret;
use strongroom_model::ProviderName;

/// A provider of OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderOptions {
    /// Its name here.
    pub name: ProviderName,
    /// What people read on the button.
    pub title: String,
    /// Its issuer, exactly as it writes it in its tokens.
    pub issuer: String,
    /// What it calls this service.
    pub client_id: String,
    /// What this service proves to be that by.
    pub client_secret: Secret,
    /// What to ask for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that becomes the name of a user who is made.
    pub name_claim: String,
    /// Whether a person whom nobody knows becomes a user, without any role.
    pub create_users: bool,
    /// Only people with a verified e-mail address in one of these domains; anybody if empty.
    pub email_domains: Vec<String>,
    /// Only people of whom a claim says so; anybody if missing.
    pub required: Option<RequiredClaim>,
    /// The PEM of the authority that it must be certified by; those of the system when not given.
    pub authority: Option<String>,
}

/// A claim that must have one of some values, such as a group or a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredClaim {
    /// Its name.
    pub claim: String,
    /// The values that do: equal to the claim, or among those that it lists.
    pub values: Vec<String>,
}

/// Why a provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider {name} in the configuration: {why}")]
pub struct ProviderError {
    /// Its name.
    pub name: ProviderName,
    /// A sentence without its end.
    pub why: String,
}
