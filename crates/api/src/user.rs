//! Users: people who sign in with a password.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{PrincipalId, Role, ScopeName, SubscriptionId, UserId, UserName};

use crate::{NewPassword, Secret};

/// Asks for a new user.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The name to sign in with.
    pub name: UserName,
    /// Where mail reaches the user.
    #[serde(default)]
    #[schemars(length(max = 254), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    pub email: String,
    /// The first password; the user should choose another one.
    #[schemars(extend("minLength" = NewPassword::CHARACTERS_MIN, "maxLength" = NewPassword::BYTES_MAX))]
    pub password: Secret,
}

/// Asks for a change of a user; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// Whether the account is to be shut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserView {
    /// Names the user for ever.
    pub id: UserId,
    /// The name to sign in with.
    pub name: String,
    /// Where mail reaches the user; may be empty.
    pub email: String,
    /// Whether the account is shut.
    pub disabled: bool,
    /// Whether signing in takes a one-time password too.
    pub one_time_passwords: bool,
    /// When the account was made.
    pub created: Timestamp,
}

/// All users, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserList {
    /// The users.
    pub users: Vec<UserView>,
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program.
    ServicePrincipal,
}

/// The account that one is signed in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    /// What it is.
    pub kind: PrincipalKind,
    /// Its id.
    pub id: PrincipalId,
    /// Its name.
    pub name: String,
    /// The one subscription of the service.
    pub subscription: SubscriptionId,
    /// What the subscription is called.
    pub subscription_name: String,
    /// What the account may do, and where.
    pub roles: Vec<HeldRole>,
}

/// A role of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldRole {
    /// The role.
    pub role: Role,
    /// Where it holds.
    pub scope: ScopeName,
}

/// Asks for one-time passwords, by the password once more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginOneTimePasswords {
    /// The password.
    pub password: Secret,
}

/// What goes into an authenticator.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OneTimePasswordSecret {
    /// The secret, base32 (RFC 4648).
    pub secret: Secret,
    /// The same as an `otpauth:` address, for a QR code.
    pub address: Secret,
}

/// Shows that the authenticator works.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmOneTimePasswords {
    /// What it shows just now.
    pub one_time_password: Secret,
}

/// One-time passwords are asked for from now on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryCodes {
    /// Each is good once in place of a one-time password, for whoever lost the authenticator.
    pub recovery_codes: Vec<Secret>,
}

/// Asks not to be asked for one-time passwords any more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndOneTimePasswords {
    /// The password.
    pub password: Secret,
    /// What the authenticator shows, or a recovery code.
    pub one_time_password: Secret,
}
