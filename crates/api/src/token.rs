//! Signing in: the token endpoint, in the manner of OAuth 2.0 (RFC 6749, RFC 7523).

use serde::{Deserialize, Serialize};

use crate::Secret;

/// What is sent, as a form, to the token endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
pub enum TokenRequest {
    /// An administrator signs in with a password.
    Password {
        /// The user's name.
        username: String,
        /// The user's password.
        password: Secret,
    },
    /// An administrator's session goes on.
    RefreshToken {
        /// The token that the password gave.
        refresh_token: Secret,
    },
    /// A machine signs in with an assertion that its key signed, see [`crate::AssertionClaims`].
    ClientCredentials {
        /// The signed assertion, a JSON web token.
        client_assertion: Secret,
    },
}

/// A token, valid for a short time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenResponse {
    /// What goes into the `Authorization` header.
    pub access_token: Secret,
    /// Always `Bearer`.
    pub token_type: String,
    /// How long the access token is valid, in seconds.
    pub expires_in: u64,
    /// For administrators: asks for further access tokens until the session ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// How long the refresh token is valid, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_expires_in: Option<u64>,
}
