//! One-time passwords that follow the time (RFC 6238): what an authenticator shows.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use strongroom_api::Secret;

use crate::password::random_bytes;

/// The length of a secret in bytes: that of the hash, as RFC 4226 advises.
const SECRET_LENGTH: usize = 20;

/// How long each password is shown, in seconds, and how many digits it has: what every authenticator can.
const STEP_SECONDS: i64 = 30;
const DIGITS: u32 = 6;

/// How many steps a clock may be ahead or behind.
const STEPS_OFF: i64 = 1;

/// What the authenticator and the service know.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TotpSecret(Vec<u8>);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

impl TotpSecret {
    pub(crate) fn random() -> Self {
        Self(random_bytes::<SECRET_LENGTH>().to_vec())
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As people type it.
    pub(crate) fn to_base32(&self) -> Secret {
        Secret::new(BASE32_NOPAD.encode(&self.0))
    }

    /// As authenticators read it from a picture. `user` has only characters that an address may have.
    pub(crate) fn to_address(&self, user: &str) -> Secret {
        let user = user.replace('+', "%2B").replace('@', "%40");
        let secret = self.to_base32();
        Secret::new(format!(
            "otpauth://totp/Strongroom:{user}?secret={}&issuer=Strongroom&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
            secret.reveal()
        ))
    }

    /// The step whose password this is, if it is one of about now.
    pub(crate) fn step_of(&self, password: &str, now: Timestamp) -> Option<i64> {
        let current = now.as_second().div_euclid(STEP_SECONDS);
        let password: String = password
            .chars()
            .filter(|character| !character.is_whitespace())
            .collect();
        let mut found = None;
        // All of them are compared, whichever is right: the time tells nothing.
        for step in current - STEPS_OFF..=current + STEPS_OFF {
            let expected = self.password_at(step);
            let equal = aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), password.as_bytes());
            if equal.is_ok() {
                found = Some(step);
            }
        }
        found
    }

    fn password_at(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        format!("{:06}", truncated(&key, step) % 10_u32.pow(DIGITS))
    }
}

/// RFC 4226, section 5.3.
fn truncated(key: &hmac::Key, step: i64) -> u32 {
    let tag = hmac::sign(key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes[bytes.len() - 1] & 15);
    let four: [u8; 4] = bytes[offset..offset + 4].try_into().expect("four bytes");
    u32::from_be_bytes(four) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B.
    #[test]
    fn the_vectors_of_the_standard() {
        let ascii = |length: usize| "1234567890".repeat(7)[..length].to_owned();
        for (seconds, sha1, sha256, sha512) in [
            (59, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000, "65353130", "77737706", "47863826"),
        ] {
            for (algorithm, length, expected) in [
                (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 20, sha1),
                (hmac::HMAC_SHA256, 32, sha256),
                (hmac::HMAC_SHA512, 64, sha512),
            ] {
                let key = hmac::Key::new(algorithm, ascii(length).as_bytes());
                let number = truncated(&key, seconds / STEP_SECONDS) % 100_000_000;
                assert_eq!(format!("{number:08}"), expected, "{seconds}");
            }
            let secret = TotpSecret::from_bytes(ascii(20).into_bytes());
            let now = Timestamp::from_second(seconds).unwrap();
            assert_eq!(secret.step_of(&sha1[2..], now), Some(seconds / STEP_SECONDS));
        }
    }

    #[test]
    fn a_clock_may_be_off_by_half_a_minute() {
        let secret = TotpSecret::random();
        let at = |seconds: i64| Timestamp::from_second(3_000_000_000 + seconds).unwrap();
        let password = secret.password_at(100_000_000);
        for (seconds, expected) in [(-31, false), (-30, true), (0, true), (59, true), (60, false)] {
            assert_eq!(secret.step_of(&password, at(seconds)).is_some(), expected, "{seconds}");
        }
        let spaced = format!("{} {}", &password[..3], &password[3..]);
        assert_eq!(secret.step_of(&spaced, at(0)), Some(100_000_000));
        assert_eq!(secret.step_of("", at(0)), None);
        let address = secret.to_address("eve+x@example.org");
        assert!(
            address
                .reveal()
                .starts_with("otpauth://totp/Strongroom:eve%2Bx%40example.org?secret=")
        );
    }
}
