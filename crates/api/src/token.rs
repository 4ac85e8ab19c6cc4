//! Signing in: the token endpoint, in the manner of OAuth 2.0 (RFC 6749, RFC 7523, RFC 7636, RFC 8628).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Secret;

/// What kind of assertion is sent with [`TokenRequest::ClientCertificate`] (RFC 7523).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The command line as a client of its own service: public, so its id is no secret.
pub const COMMAND_LINE_CLIENT: &str = "strongroom-cli";

/// What is sent, as a form, to the token endpoint.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
pub enum TokenRequest {
    /// A person signs in with a password.
    Password {
        /// The user's name.
        username: String,
        /// The user's password.
        password: Secret,
        /// What the user's authenticator shows, or a recovery code, if the user has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        one_time_password: Option<Secret>,
    },
    /// A person's session goes on.
    RefreshToken {
        /// The newest token that the session gave.
        refresh_token: Secret,
    },
    /// A machine signs in with an assertion that its key signed, see [`crate::AssertionClaims`].
    ClientCredentials {
        /// The signed assertion, a JSON web token.
        client_assertion: Secret,
    },
    /// A service principal signs in with a secret.
    #[serde(rename = "client_credentials")]
    ClientSecret {
        /// The service principal's id.
        client_id: String,
        /// One of its secrets.
        client_secret: Secret,
    },
    /// A service principal signs in with an assertion that the key of its certificate signed.
    #[serde(rename = "client_credentials")]
    ClientCertificate {
        /// The service principal's id.
        client_id: String,
        /// Always [`ASSERTION_TYPE`].
        client_assertion_type: String,
        /// The signed assertion, a JSON web token.
        client_assertion: Secret,
    },
    /// A program asks whether a person has allowed it to sign in.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode {
        /// Which program.
        client_id: String,
        /// What [`DeviceAuthorization`] gave it.
        device_code: Secret,
    },
    /// A program exchanges the code that a person's browser brought.
    AuthorizationCode {
        /// Which program.
        client_id: String,
        /// The code.
        code: Secret,
        /// Where the browser was sent with it.
        redirect_uri: String,
        /// What the challenge was made of.
        code_verifier: Secret,
    },
}

/// A token, valid for a short time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TokenResponse {
    /// What goes into the `Authorization` header.
    pub access_token: Secret,
    /// Always `Bearer`.
    pub token_type: String,
    /// How long the access token is valid, in seconds.
    pub expires_in: u64,
    /// For people: asks for further access tokens until the session ends. It is good once; the answer has the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// How long the session goes on, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_expires_in: Option<u64>,
}

/// Asks for a device code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceAuthorizationRequest {
    /// Which program asks.
    pub client_id: String,
}

/// A device code, and what a person has to do (RFC 8628).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeviceAuthorization {
    /// What the program asks the token endpoint with.
    pub device_code: Secret,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same address, with the code filled in.
    pub verification_uri_complete: String,
    /// How long the code is good, in seconds.
    pub expires_in: u64,
    /// How long to wait between two questions, in seconds.
    pub interval: u64,
}
