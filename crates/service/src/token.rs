//! Tokens: JSON web tokens that only this service signs and reads.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use strongroom_api::{PrincipalKind, Secret};
use strongroom_db::LoginId;
use strongroom_model::{ContainerId, ItemId, PrincipalId, UserId, VaultId};
use uuid::Uuid;

use crate::principal::Machine;

/// How long an access token lives, in seconds, if whoever gives it out says nothing else.
pub(crate) const ACCESS_SECONDS: u64 = 15 * 60;

/// How long a person's session lives, in seconds.
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

/// Whom an access token speaks for. An account is named by its id only: what it may is looked up each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bearer {
    /// A user or a service principal.
    Account { kind: PrincipalKind, id: PrincipalId },
    /// A registered machine.
    Machine(Machine),
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
enum Subject {
    /// Calls as a user or a service principal.
    Account { kind: PrincipalKind, id: PrincipalId },
    /// Calls as a machine.
    Machine {
        vault: VaultId,
        container: ContainerId,
        item: ItemId,
    },
    /// Asks for further tokens of a user; worth nothing elsewhere.
    Login(RefreshToken),
}

/// A refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefreshToken {
    login: Uuid,
    /// Each use makes the next generation.
    pub(crate) generation: i64,
    /// Who signed in.
    pub(crate) user: UserId,
    /// By which program; empty if it did not say.
    pub(crate) client: String,
    /// Of the password's hash, so that a new password ends all sessions.
    stamp: String,
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

    /// An access token for so many seconds.
    pub(crate) fn for_bearer(&self, bearer: Bearer, seconds: u64, now: Timestamp) -> Secret {
        let subject = match bearer {
            Bearer::Account { kind, id } => Subject::Account { kind, id },
            Bearer::Machine(Machine { vault, container, item }) => Subject::Machine { vault, container, item },
        };
        self.sign(subject, now, now.as_second().saturating_add_unsigned(seconds))
    }

    /// A refresh token, until the login's end.
    pub(crate) fn for_login(&self, token: &RefreshToken, now: Timestamp, end: Timestamp) -> Secret {
        self.sign(Subject::Login(token.clone()), now, end.as_second())
    }

    /// Who calls with this token.
    pub(crate) fn bearer(&self, token: &str, now: Timestamp) -> Result<Bearer, TokenRefusal> {
        match self.read(token, now)?.subject {
            Subject::Account { kind, id } => Ok(Bearer::Account { kind, id }),
            Subject::Machine { vault, container, item } => Ok(Bearer::Machine(Machine { vault, container, item })),
            Subject::Login(_) => Err(TokenRefusal::Foreign),
        }
    }

    /// Which login a refresh token belongs to, and when that ends; before generation and stamp are compared.
    pub(crate) fn login(&self, token: &str, now: Timestamp) -> Result<(RefreshToken, Timestamp), TokenRefusal> {
        let claims = self.read(token, now)?;
        let end = Timestamp::from_second(claims.exp).map_err(|_| TokenRefusal::Foreign)?;
        match claims.subject {
            Subject::Login(token) => Ok((token, end)),
            _ => Err(TokenRefusal::Foreign),
        }
    }

    fn sign(&self, subject: Subject, now: Timestamp, exp: i64) -> Secret {
        let iat = now.as_second();
        let claims = Claims { subject, iat, exp };
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding);
        Secret::new(signed.expect("plain fields always serialise"))
    }

    fn read(&self, token: &str, now: Timestamp) -> Result<Claims, TokenRefusal> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would ask the system for the time; the end is compared below, with the clock that we were given.
        validation.validate_exp = false;
        let read = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation);
        let claims = read.map_err(|_| TokenRefusal::Foreign)?.claims;
        match now.as_second() < claims.exp {
            true => Ok(claims),
            false => Err(TokenRefusal::Expired),
        }
    }
}

impl RefreshToken {
    /// The first of a login that was begun with the password of this hash.
    pub(crate) fn first(login: LoginId, user: UserId, client: &str, password_hash: &str) -> Self {
        Self {
            login: Uuid::from_bytes(*login.as_bytes()),
            generation: 0,
            user,
            client: client.to_owned(),
            stamp: stamp(password_hash),
        }
    }

    /// Its login.
    pub(crate) fn login(&self) -> LoginId {
        LoginId::from_bytes(*self.login.as_bytes())
    }

    /// The one of another generation.
    pub(crate) fn of_generation(self, generation: i64) -> Self {
        Self { generation, ..self }
    }

    /// Whether the login was begun with the password that has this hash.
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

    fn refresh(hash: &str) -> RefreshToken {
        RefreshToken::first(LoginId::from_bytes([9; 16]), UserId::from_bytes([4; 16]), "", hash)
    }

    #[test]
    fn tokens_are_for_their_purpose_their_time_and_their_service() {
        let machine = Bearer::Machine(Machine {
            vault: VaultId::from_bytes([1; 16]),
            container: ContainerId::from_bytes([2; 16]),
            item: ItemId::from_bytes([3; 16]),
        });
        let account = Bearer::Account {
            kind: PrincipalKind::User,
            id: PrincipalId::from_bytes([4; 16]),
        };
        for bearer in [machine, account] {
            let token = key(1).for_bearer(bearer, 900, at(0));
            assert_eq!(key(1).bearer(token.reveal(), at(1)), Ok(bearer));
            assert_eq!(key(1).login(token.reveal(), at(1)), Err(TokenRefusal::Foreign));
            assert_eq!(key(1).bearer(token.reveal(), at(900)), Err(TokenRefusal::Expired));
            assert_eq!(key(2).bearer(token.reveal(), at(1)), Err(TokenRefusal::Foreign));
        }
        let token = key(1).for_login(&refresh("hash"), at(0), at(9));
        assert_eq!(key(1).bearer(token.reveal(), at(1)), Err(TokenRefusal::Foreign));
        assert_eq!(key(1).login(token.reveal(), at(1)), Ok((refresh("hash"), at(9))));
        assert_eq!(key(1).bearer("garbage", at(1)), Err(TokenRefusal::Foreign));
    }

    #[test]
    fn a_new_password_ends_sessions() {
        assert!(refresh("old").belongs_to("old") && !refresh("old").belongs_to("new"));
    }
}
