//! Users: people who sign in with a password, or with another provider.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{IdentityId, PrincipalId, ProviderName, Role, ScopeName, SubscriptionId, UserId, UserName};

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
    /// The first password. Without one, the user sets it by the link of the invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minLength" = NewPassword::CHARACTERS_MIN, "maxLength" = NewPassword::BYTES_MAX))]
    pub password: Option<Secret>,
}

/// A user was made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CreatedUser {
    /// The user.
    #[serde(flatten)]
    pub user: UserView,
    /// How the user comes to a password, if none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Invitation>,
}

/// A link by which a user sets a password, once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Invitation {
    /// It is good until then, or until the next one is made.
    pub expires: Timestamp,
    /// Where it was mailed to; missing if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailed_to: Option<String>,
    /// Why it could not be mailed, if that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_error: Option<String>,
    /// The link, to be handed over by a safe way, if it was not mailed. The service does not know it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Secret>,
}

/// Asks to link a user with an identity that another provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkIdentity {
    /// The provider, as the service's configuration calls it.
    pub provider: ProviderName,
    /// What the provider calls the person, for ever: its `sub`.
    pub subject: String,
}

/// An identity that another provider vouches for, and that a user signs in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityView {
    /// Its id here.
    pub id: IdentityId,
    /// The provider; missing if the service's configuration names none with this issuer any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// Who vouches.
    pub issuer: String,
    /// What the issuer calls the person.
    pub subject: String,
    /// When it was linked.
    pub created: Timestamp,
    /// Who linked it.
    pub created_by: String,
    /// When the user last signed in with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
}

/// Asks for a change of a user; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// Whether the account is to be shut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Where mail shall reach the user; empty: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
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
    /// Whether the user has a password here.
    pub has_password: bool,
    /// Whether signing in with the password takes a one-time password too.
    pub one_time_passwords: bool,
    /// When the account was made.
    pub created: Timestamp,
    /// Whom the user may sign in as elsewhere.
    pub identities: Vec<IdentityView>,
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
