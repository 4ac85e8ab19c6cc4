//! The one shape of errors: problem details of RFC 9457, with a stable code.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{BlobId, Digest};

/// The media type of a [`Problem`].
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $status:literal $title:literal;)*) => {
        /// What went wrong, for programs. Codes are stable: a name is never given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $($(#[$doc])* $code,)*
            /// A code of a newer service.
            #[serde(other)]
            #[schemars(skip)]
            Unknown,
        }

        impl Code {
            /// Every code that this version sends.
            pub const ALL: &[Code] = &[$(Code::$code,)*];

            /// The HTTP status that goes with the code.
            pub const fn status(self) -> u16 {
                match self {
                    $(Code::$code => $status,)*
                    Code::Unknown => 500,
                }
            }

            /// A short title, the same for every problem of this code.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Code::$code => $title,)*
                    Code::Unknown => "Unknown problem",
                }
            }

            /// The code as it is written in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Code::$code => stringify!($code),)*
                    Code::Unknown => "Unknown",
                }
            }
        }
    };
}

codes! {
    /// The request cannot be understood.
    InvalidRequest = 400 "Invalid request";
    /// A name or an id breaks the rules for it.
    InvalidName = 400 "Invalid name";
    /// No token, or one that is not ours.
    Unauthenticated = 401 "Not signed in";
    /// The token was ours and is too old: sign in again.
    TokenExpired = 401 "The sign-in has expired";
    /// The refresh token was used before, and its session is over.
    TokenReused = 401 "The session was ended";
    /// User name or password is wrong.
    WrongPassword = 401 "Wrong user name or password";
    /// The right password alone is not enough: the user has one-time passwords.
    OneTimePasswordRequired = 401 "A one-time password is needed";
    /// A machine's assertion does not hold; `server_time` tells the service's time.
    AssertionRefused = 401 "The machine's signature was refused";
    /// A service principal's id, secret or certificate is wrong or too old.
    ClientRefused = 401 "The service principal was refused";
    /// A code for signing in is wrong, used or too old.
    CodeRefused = 400 "The code was refused";
    /// Nobody has typed the device code yet.
    AuthorizationPending = 400 "Nobody has allowed it yet";
    /// A program asks too often for its device code.
    SlowDown = 400 "Asked too soon";
    /// A person refused what a program asked for.
    AccessDenied = 400 "A person refused";
    /// The vault credentials file is too old.
    CredentialsExpired = 401 "The vault credentials file has expired";
    /// Signed in, but not entitled.
    Forbidden = 403 "Not permitted";
    /// A machine's wish needs a person's security PIN, and none, or a wrong one, came with it: Azure's error 100130.
    SecurityPinRefused = 403 "A security PIN is needed";
    /// The vault's resource guard wants a second person's approval; the sentence says how to ask for it.
    ApprovalNeeded = 403 "A second person must approve";
    /// Whoever decides is not a second person.
    SecondPersonNeeded = 403 "Somebody else must decide";
    /// The proof of having opened a key set is wrong.
    MembershipRefused = 403 "The key set was not joined";
    /// No such route.
    NotFound = 404 "Not found";
    /// No such vault, or not one of the caller's.
    VaultNotFound = 404 "No such vault";
    /// No such resource group, or not one of the caller's.
    ResourceGroupNotFound = 404 "No such resource group";
    /// No such user or service principal.
    PrincipalNotFound = 404 "No such principal";
    /// The user is linked with no such identity.
    IdentityNotFound = 404 "No such identity";
    /// The service's configuration names no such provider.
    ProviderNotFound = 404 "No such provider";
    /// No such role assignment, or not one that the caller may see.
    AssignmentNotFound = 404 "No such role assignment";
    /// No such recovery point, or not one that the caller may read.
    PointNotFound = 404 "No such recovery point";
    /// No such session, or not one of the caller's.
    SessionNotFound = 404 "No such session";
    /// No such key set, or not one of the caller's vault.
    KeySetNotFound = 404 "No such key set";
    /// No such policy in the vault.
    PolicyNotFound = 404 "No such policy";
    /// No such item in the vault.
    ItemNotFound = 404 "No such item";
    /// No such job in the vault, or not one of the caller's, or it is over.
    JobNotFound = 404 "No such job";
    /// No such resource guard in the resource group, or the vault is under none.
    GuardNotFound = 404 "No such resource guard";
    /// No such request for approval.
    ApprovalNotFound = 404 "No such request for approval";
    /// No such alert in the vault.
    AlertNotFound = 404 "No such alert";
    /// The machine is not registered, or not any more; or no machine of that name is registered in the vault.
    MachineNotFound = 404 "No such machine";
    /// The route exists, with another method.
    MethodNotAllowed = 405 "Method not allowed";
    /// The request did not arrive in time.
    RequestTimeout = 408 "The request took too long";
    /// A vault of that name exists.
    VaultExists = 409 "The name is taken";
    /// A policy of that name exists.
    PolicyExists = 409 "The name is taken";
    /// Items are under the policy.
    PolicyInUse = 409 "The policy is in use";
    /// Several items have the name.
    ItemAmbiguous = 409 "Several items have the name";
    /// The item is not in a state for that.
    ItemState = 409 "Not in this state";
    /// Another operation is in progress on the item.
    OperationInProgress = 409 "Another operation is in progress";
    /// The job is over.
    JobOver = 409 "The job is over";
    /// The alert does not stand any more.
    AlertOver = 409 "The alert is over";
    /// A resource guard of that name exists in the resource group.
    GuardExists = 409 "The name is taken";
    /// Vaults are under the resource guard.
    GuardInUse = 409 "The resource guard is in use";
    /// The vault is under another resource guard.
    VaultGuarded = 409 "The vault is guarded already";
    /// The request for approval is not pending any more.
    ApprovalOver = 409 "The request is over";
    /// The vault is immutable: this would take protection away.
    Immutable = 409 "The vault is immutable";
    /// The vault still has machines or recovery points.
    VaultNotEmpty = 409 "The vault is not empty";
    /// A resource group of that name exists.
    ResourceGroupExists = 409 "The name is taken";
    /// Vaults are in the resource group.
    ResourceGroupNotEmpty = 409 "The resource group is not empty";
    /// A user or service principal of that name exists.
    PrincipalExists = 409 "The name is taken";
    /// A user is linked with that identity already.
    IdentityExists = 409 "The identity is linked already";
    /// The account is shut.
    AccountDisabled = 409 "The account is shut";
    /// The principal has that role there already.
    AssignmentExists = 409 "The role is assigned already";
    /// Nobody who can sign in would own the subscription any more.
    LastOwner = 409 "The last owner";
    /// One-time passwords are in use already, or not in use.
    OneTimePasswordsState = 409 "Not with these one-time passwords";
    /// The service principal has as many secrets and certificates as it may have.
    TooManyKeys = 409 "Too many keys";
    /// Another key set has that id.
    KeySetExists = 409 "The key set exists";
    /// The recovery point refers to blobs that the vault lacks; `missing` lists some or all of them.
    BlobsMissing = 409 "Blobs are missing";
    /// Another recovery point came in between; `expected` names the one that is the latest.
    PredecessorMismatch = 409 "Another recovery point is the latest";
    /// The item has as many recovery points as it may have.
    TooManyPoints = 409 "Too many recovery points";
    /// The session's lease ran out.
    SessionExpired = 409 "The session has expired";
    /// A pack must come with its length.
    LengthRequired = 411 "Length required";
    /// Somebody else changed it: what `If-Match` says is not its version any more.
    VersionMismatch = 412 "It was changed meanwhile";
    /// The body is longer than the route takes.
    BodyTooLarge = 413 "The body is too large";
    /// A pack's bytes are not what its name says.
    InvalidPack = 422 "The pack was refused";
    /// A recovery point object breaks the format or the rules.
    InvalidPoint = 422 "The recovery point was refused";
    /// The seed is another vault's or machine's, or not what the machine made; the sentence says why.
    InvalidSeed = 422 "The seed was refused";
    /// A policy breaks the rules for policies.
    InvalidPolicy = 422 "The policy was refused";
    /// The settings of a vault cannot be that.
    InvalidSettings = 422 "The settings were refused";
    /// The new password breaks the rules for it.
    InvalidPassword = 422 "The new password was refused";
    /// The certificate cannot be used.
    InvalidCertificate = 422 "The certificate was refused";
    /// A key set object breaks the format or the rules.
    InvalidKeySet = 422 "The key set was refused";
    /// Too many failed sign-ins; `retry_after_seconds` says how long to wait.
    TooManyAttempts = 429 "Too many attempts";
    /// Our mistake; the service's log has the cause.
    Internal = 500 "The service failed";
    /// A stored object that the answer needs is damaged.
    ObjectDamaged = 500 "A stored object is damaged";
    /// The service is starting, stopping or too busy: try again.
    Unavailable = 503 "The service is not available";
    /// The service's disk is full.
    NoSpace = 507 "The vault's disk is full";
}

/// Problem details (RFC 9457). `detail` is one sentence for the person who sees it, with the way out; nothing in it tells
/// about the service's insides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code's title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong here, for people.
    pub detail: String,
    /// With [`Code::BlobsMissing`]: which ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<BlobId>,
    /// With [`Code::PredecessorMismatch`]: the digest of the latest recovery point, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Digest>,
    /// With [`Code::AssertionRefused`]: the service's time, so that a client whose clock is wrong can sign again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time: Option<Timestamp>,
    /// With [`Code::TooManyAttempts`]: how long to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

impl Problem {
    /// A problem with one sentence for people.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:strongroom:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            missing: Vec::new(),
            expected: None,
            server_time: None,
            retry_after_seconds: None,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_error_status_and_is_spelled_as_its_name() {
        for &code in Code::ALL {
            assert!((400..600).contains(&code.status()), "{code:?}");
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.as_str()));
        }
    }

    #[test]
    fn a_code_from_the_future_is_read() {
        let text = r#"{"type":"x","title":"t","status":418,"code":"Teapot","detail":"d"}"#;
        let problem: Problem = serde_json::from_str(text).unwrap();
        assert_eq!((problem.code, problem.status), (Code::Unknown, 418));
    }
}
