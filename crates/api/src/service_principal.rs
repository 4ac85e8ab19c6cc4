//! Service principals: programs that sign in by themselves.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{ApplicationId, KeyId, PrincipalName};

use crate::Secret;

/// Asks for a new service principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateServicePrincipal {
    /// What people call it.
    pub name: PrincipalName,
    /// Where people whom it signs in may be sent back to, besides their own machine: `https` addresses.
    #[serde(default)]
    #[schemars(length(max = 20), inner(url))]
    pub redirects: Vec<String>,
}

/// Asks for a change of a service principal; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeServicePrincipal {
    /// Whether it is to be shut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// One service principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServicePrincipalView {
    /// What it signs in with as client id.
    pub id: ApplicationId,
    /// What people call it.
    pub name: PrincipalName,
    /// Where people whom it signs in may be sent back to.
    pub redirects: Vec<String>,
    /// Whether it is shut.
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// What it can sign in with.
    pub keys: Vec<KeyView>,
}

/// All service principals, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServicePrincipalList {
    /// The service principals.
    pub service_principals: Vec<ServicePrincipalView>,
}

/// A secret or certificate of a service principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    /// Its id.
    pub id: KeyId,
    /// What it is.
    pub kind: KeyKind,
    /// What people call it.
    pub label: String,
    /// When it was added.
    pub created: Timestamp,
    /// It is refused from this moment on.
    pub expires: Timestamp,
    /// Of a certificate: its SHA-256, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
}

/// What a service principal signs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// A random secret.
    Secret,
    /// A certificate.
    Certificate,
}

/// Asks for a new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSecret {
    /// What people call it.
    #[serde(default)]
    #[schemars(length(max = 100), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    pub label: String,
    /// For how many days it is good: 1 to 730.
    #[schemars(range(min = 1, max = 730))]
    pub days: u32,
}

/// A secret that was made. It is told this once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddedSecret {
    /// What is known of it from now on.
    pub key: KeyView,
    /// The secret itself.
    pub secret: Secret,
}

/// Asks to take a certificate as proof of who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCertificate {
    /// What people call it.
    #[serde(default)]
    #[schemars(length(max = 100), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    pub label: String,
    /// The certificate in PEM, without its private key.
    pub certificate: String,
}
