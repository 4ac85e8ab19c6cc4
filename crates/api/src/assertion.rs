//! How a machine signs in: a short-lived JSON web token signed by the key that it made at registration (RFC 7523).

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use strongroom_model::ContainerId;

use crate::{MachineKey, Secret};

/// Whom an assertion is for.
pub const ASSERTION_AUDIENCE: &str = "strongroom/token";

/// How long an assertion is valid, in seconds; also how far the two clocks may differ before the service answers with its
/// own time and the client signs again.
pub const ASSERTION_SECONDS: i64 = 300;

/// What a machine asserts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssertionClaims {
    /// The machine, as issuer.
    pub iss: ContainerId,
    /// The machine, as subject: always the same as `iss`.
    pub sub: ContainerId,
    /// Always [`ASSERTION_AUDIENCE`].
    pub aud: String,
    /// When it was signed, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
}

/// Why an assertion does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// It is no assertion, or no machine's.
    #[error("this is not a machine's assertion")]
    Malformed,
    /// The signature is not that of the machine's key.
    #[error(
        "the signature is not by the key that the machine registered; if its name was registered again since, register this machine again"
    )]
    Signature,
    /// It was signed at another time, by the clocks of the two sides.
    #[error("the machine's clock and the service's clock disagree")]
    Time,
}

impl AssertionClaims {
    /// Claims of `machine` at `now`.
    pub fn new(machine: ContainerId, now: Timestamp) -> Self {
        Self {
            iss: machine,
            sub: machine,
            aud: ASSERTION_AUDIENCE.to_owned(),
            iat: now.as_second(),
            exp: now.as_second().saturating_add(ASSERTION_SECONDS),
        }
    }

    /// Signs the claims.
    pub fn sign(&self, key: &MachineKey) -> Secret {
        let encoding = EncodingKey::from_ed_der(key.as_pkcs8());
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), self, &encoding);
        Secret::new(signed.expect("a key pair that was parsed can sign"))
    }

    /// Which machine an assertion claims to be from. Nothing is checked: use it only to find the key to check it with.
    ///
    /// # Errors
    /// When it is no assertion.
    pub fn claimed_machine(assertion: &str) -> Result<ContainerId, AssertionError> {
        let claims: Self =
            jsonwebtoken::dangerous::insecure_decode_claims(assertion).map_err(|_| AssertionError::Malformed)?;
        Ok(claims.iss)
    }

    /// Checks signature, audience and time of an assertion.
    ///
    /// # Errors
    /// Which of them does not hold.
    pub fn verify(assertion: &str, public_key: &[u8; 32], now: Timestamp) -> Result<Self, AssertionError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The library would ask the system for the time; the times are compared below, with the clock that we were given.
        validation.validate_exp = false;
        validation.set_audience(&[ASSERTION_AUDIENCE]);
        let key = DecodingKey::from_ed_der(public_key);
        let claims: Self = jsonwebtoken::decode(assertion, &key, &validation)
            .map_err(|_| AssertionError::Signature)?
            .claims;
        if claims.iss != claims.sub {
            return Err(AssertionError::Malformed);
        }
        let now = now.as_second();
        let lifetime = claims.exp.saturating_sub(claims.iat);
        let early = now < claims.iat.saturating_sub(ASSERTION_SECONDS);
        if early || now > claims.exp || lifetime > ASSERTION_SECONDS {
            return Err(AssertionError::Time);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use strongroom_model::ContainerId;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn an_assertion_holds_for_its_key_and_its_time_only() {
        let machine = ContainerId::from_bytes([7; 16]);
        let (key, other) = (MachineKey::generate(), MachineKey::generate());
        let assertion = AssertionClaims::new(machine, at(0)).sign(&key);
        let verify = |key: &MachineKey, now| AssertionClaims::verify(assertion.reveal(), &key.public_key(), now);

        assert_eq!(AssertionClaims::claimed_machine(assertion.reveal()), Ok(machine));
        assert_eq!(verify(&key, at(10)).unwrap().iss, machine);
        assert_eq!(verify(&key, at(-200)).unwrap().iss, machine);
        assert_eq!(verify(&other, at(10)), Err(AssertionError::Signature));
        for wrong in [-100_000, -301, 301, 100_000] {
            assert_eq!(verify(&key, at(wrong)), Err(AssertionError::Time), "{wrong}");
        }
    }

    #[test]
    fn a_machine_cannot_grant_itself_a_long_life() {
        let key = MachineKey::generate();
        let mut claims = AssertionClaims::new(ContainerId::from_bytes([7; 16]), at(0));
        claims.exp += 10;
        let assertion = claims.sign(&key);
        assert_eq!(
            AssertionClaims::verify(assertion.reveal(), &key.public_key(), at(1)),
            Err(AssertionError::Time)
        );
    }

    #[test]
    fn an_unsigned_or_reworded_assertion_is_refused() {
        let key = MachineKey::generate();
        let signed = AssertionClaims::new(ContainerId::from_bytes([7; 16]), at(0)).sign(&key);
        let parts: Vec<&str> = signed.reveal().split('.').collect();
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        for forged in [
            format!("{none}.{}.", parts[1]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}x.{}", parts[0], parts[1], parts[2]),
            "..".to_owned(),
            String::new(),
        ] {
            assert!(
                AssertionClaims::verify(&forged, &key.public_key(), at(0)).is_err(),
                "{forged}"
            );
        }
    }
}
