//! An administrator's password, when it is changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Secret, TokenResponse};

/// Asks for another password of the account that the caller is signed in with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The present one.
    pub password: Secret,
    /// The new one; refused if [`NewPassword::parse`] would refuse it.
    #[schemars(extend("minLength" = NewPassword::CHARACTERS_MIN, "maxLength" = NewPassword::BYTES_MAX))]
    pub new_password: Secret,
}

/// The password was changed, and every session that was begun with the old one is over.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PasswordChanged {
    /// A session that was begun with the new one, for the caller.
    pub session: TokenResponse,
    /// Whether the file with the first password, which opens nothing any more, is still in the service's data folder.
    pub first_password_file: bool,
}

/// A password that keeps the rules for new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPassword(Secret);

/// Why a password cannot be a new one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too short.
    #[error(
        "the new password has {characters} characters: choose one of at least {}",
        NewPassword::CHARACTERS_MIN
    )]
    TooShort {
        /// How many it has.
        characters: usize,
    },
    /// It is too long.
    #[error(
        "the new password is longer than {} bytes: choose a shorter one",
        NewPassword::BYTES_MAX
    )]
    TooLong,
    /// It could not be typed.
    #[error("the new password has line breaks or other control characters in it: choose one that can be typed")]
    Control,
}

impl NewPassword {
    /// A shorter one could be guessed.
    pub const CHARACTERS_MIN: usize = 12;
    /// A longer password is not even looked at.
    pub const BYTES_MAX: usize = 1024;

    /// Takes a password if it keeps the rules.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn parse(password: Secret) -> Result<Self, PasswordError> {
        let text = password.reveal();
        let characters = text.chars().count();
        if characters < Self::CHARACTERS_MIN {
            return Err(PasswordError::TooShort { characters });
        }
        if text.len() > Self::BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        match text.contains(char::is_control) {
            true => Err(PasswordError::Control),
            false => Ok(Self(password)),
        }
    }

    /// The password itself.
    pub fn into_secret(self) -> Secret {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_new_passwords() {
        let too_short = |characters| Some(PasswordError::TooShort { characters });
        for (text, refused) in [
            (String::new(), too_short(0)),
            ("eleven char".to_owned(), too_short(11)),
            ("twelve chars".to_owned(), None),
            ("ööööööööööö".to_owned(), too_short(11)),
            ("öööööööööööö".to_owned(), None),
            ("x".repeat(NewPassword::BYTES_MAX), None),
            ("x".repeat(NewPassword::BYTES_MAX + 1), Some(PasswordError::TooLong)),
            ("two lines,\nthis is one".to_owned(), Some(PasswordError::Control)),
        ] {
            let parsed = NewPassword::parse(Secret::new(text.clone()));
            assert_eq!(parsed.err(), refused, "{text}");
        }
    }
}
