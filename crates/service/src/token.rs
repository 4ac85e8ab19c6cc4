//! Tokens: JSON web tokens that only this service signs and reads.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use strongroom_api::Secret;
use strongroom_model::{ContainerId, ItemId, VaultId};

use crate::principal::{Administrator, Machine, Principal};

/// How long an access token lives, in seconds.
pub(crate) const ACCESS_SECONDS: u64 = 15 * 60;

/// How long an administrator's session lives, in seconds.
pub(crate) const SESSION_SECONDS: u64 = 12 * 3600;

/// The length of the signing key in bytes.
pub(crate) const KEY_LENGTH: usize = 32;

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenRefusal {
    /// Not one of ours, or not for this purpose.
    Foreign,
    /// One of ours, too old.
    Expired,
}

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Subject {
    /// Calls as an administrator.
    Administrator { user: String },
    /// Calls as a machine.
    Machine {
        vault: VaultId,
        container: ContainerId,
        item: ItemId,
    },
    /// Asks for administrator's tokens; worth nothing elsewhere. The stamp is of the password's hash, so that a new
    /// password ends all sessions.
    Session { user: String, stamp: String },
}

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(flatten)]
    subject: Subject,
    iat: i64,
    exp: i64,
}

/// Signs and reads tokens.
pub(crate) struct TokenKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl TokenKey {
    pub(crate) fn new(key: &[u8; KEY_LENGTH]) -> Self {
        Self {
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
        }
    }

    pub(crate) fn for_administrator(&self, user: &str, now: Timestamp) -> Secret {
        let user = user.to_owned();
        self.sign(Subject::Administrator { user }, ACCESS_SECONDS, now)
    }

    pub(crate) fn for_machine(&self, machine: Machine, now: Timestamp) -> Secret {
        let Machine { vault, container, item } = machine;
        self.sign(Subject::Machine { vault, container, item }, ACCESS_SECONDS, now)
    }

    pub(crate) fn for_session(&self, user: &str, password_hash: &str, now: Timestamp) -> Secret {
        let (user, stamp) = (user.to_owned(), stamp(password_hash));
        self.sign(Subject::Session { user, stamp }, SESSION_SECONDS, now)
    }

    /// Who calls with this token.
    pub(crate) fn principal(&self, token: &str, now: Timestamp) -> Result<Principal, TokenRefusal> {
        match self.read(token, now)? {
            Subject::Administrator { user } => Ok(Principal::Administrator(Administrator { user })),
            Subject::Machine { vault, container, item } => Ok(Principal::Machine(Machine { vault, container, item })),
            Subject::Session { .. } => Err(TokenRefusal::Foreign),
        }
    }

    /// Whose session the token is, before its stamp is compared.
    pub(crate) fn session(&self, token: &str, now: Timestamp) -> Result<SessionToken, TokenRefusal> {
        match self.read(token, now)? {
            Subject::Session { user, stamp } => Ok(SessionToken { user, stamp }),
            _ => Err(TokenRefusal::Foreign),
        }
    }

    fn sign(&self, subject: Subject, seconds: u64, now: Timestamp) -> Secret {
        let iat = now.as_second();
        let exp = iat.saturating_add_unsigned(seconds);
        let claims = Claims { subject, iat, exp };
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding);
        Secret::new(signed.expect("plain fields always serialise"))
    }

    fn read(&self, token: &str, now: Timestamp) -> Result<Subject, TokenRefusal> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would ask the system for the time; the end is compared below, with the clock that we were given.
        validation.validate_exp = false;
        let read = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation);
        let claims = read.map_err(|_| TokenRefusal::Foreign)?.claims;
        match now.as_second() < claims.exp {
            true => Ok(claims.subject),
            false => Err(TokenRefusal::Expired),
        }
    }
}

/// An administrator's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionToken {
    pub(crate) user: String,
    stamp: String,
}

impl SessionToken {
    /// Whether the session was begun with the password that has this hash.
    pub(crate) fn belongs_to(&self, password_hash: &str) -> bool {
        self.stamp == stamp(password_hash)
    }
}

fn stamp(password_hash: &str) -> String {
    blake3::hash(password_hash.as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn key(byte: u8) -> TokenKey {
        TokenKey::new(&[byte; KEY_LENGTH])
    }

    #[test]
    fn tokens_are_for_their_purpose_their_time_and_their_service() {
        let key = key(1);
        let machine = Machine {
            vault: VaultId::from_bytes([1; 16]),
            container: ContainerId::from_bytes([2; 16]),
            item: ItemId::from_bytes([3; 16]),
        };
        let user = "admin".to_owned();
        let admin = key.for_administrator("admin", at(0));
        let session = key.for_session("admin", "hash", at(0));
        let token = key.for_machine(machine, at(0));

        assert_eq!(key.principal(token.reveal(), at(1)), Ok(Principal::Machine(machine)));
        assert_eq!(
            key.principal(admin.reveal(), at(1)),
            Ok(Principal::Administrator(Administrator { user }))
        );
        assert_eq!(key.principal(session.reveal(), at(1)), Err(TokenRefusal::Foreign));
        assert_eq!(key.session(admin.reveal(), at(1)), Err(TokenRefusal::Foreign));
        assert_eq!(key.principal(admin.reveal(), at(900)), Err(TokenRefusal::Expired));
        assert_eq!(
            super::tests::key(2).principal(admin.reveal(), at(1)),
            Err(TokenRefusal::Foreign)
        );
        assert_eq!(key.principal("garbage", at(1)), Err(TokenRefusal::Foreign));
    }

    #[test]
    fn a_new_password_ends_sessions() {
        let key = key(1);
        let session = key
            .session(key.for_session("admin", "old", at(0)).reveal(), at(40_000))
            .unwrap();
        assert!(session.belongs_to("old"));
        assert!(!session.belongs_to("new"));
    }
}
