//! The key-encryption key: what a passphrase becomes, and what wraps a master key.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::envelope::EnvelopeKeys;
use crate::subkey::{KEK_CIPHER, KEK_TAG, derive};
use crate::{KdfParams, Passphrase};

/// Key made from a passphrase; it does nothing but wrap and unwrap master keys. Wiped when dropped.
pub struct Kek(Zeroizing<[u8; 32]>);

/// Why no key could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KekError {
    /// The memory that the parameters ask for cannot be had.
    #[error("Not enough memory to derive the key: {memory_kib} KiB are needed.")]
    OutOfMemory {
        /// Memory asked for, in KiB.
        memory_kib: u32,
    },
}

impl Kek {
    /// Argon2id version 1.3 over passphrase and salt. Slow on purpose: derive once, then try all key sets.
    ///
    /// # Errors
    /// [`KekError::OutOfMemory`]; nothing else can fail within the bounds of [`KdfParams`].
    pub fn derive(passphrase: &Passphrase, salt: &[u8; 32], params: KdfParams) -> Result<Kek, KekError> {
        let mut key = Zeroizing::new([0u8; 32]);
        let costs = Params::new(params.memory_kib(), params.passes(), params.lanes(), Some(32))
            .expect("KdfParams lie within Argon2's own bounds");
        match Argon2::new(Algorithm::Argon2id, Version::V0x13, costs).hash_password_into(
            passphrase.as_bytes(),
            salt,
            &mut key[..],
        ) {
            Ok(()) => Ok(Kek(key)),
            Err(argon2::Error::OutOfMemory) => Err(KekError::OutOfMemory {
                memory_kib: params.memory_kib(),
            }),
            Err(other) => unreachable!("lengths of passphrase, salt and key are checked by their types: {other}"),
        }
    }

    /// The keys that wrap: separate ones for tag and cipher, as for data.
    pub(crate) fn envelope(&self) -> EnvelopeKeys {
        EnvelopeKeys::new(derive(KEK_TAG, &self.0), derive(KEK_CIPHER, &self.0))
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek(hidden)")
    }
}

/// A fresh random salt for [`Kek::derive`]. A salt is public, it only has to differ from vault to vault.
pub fn generate_salt() -> [u8; 32] {
    let mut salt = [0u8; 32];
    aws_lc_rs::rand::fill(&mut salt).expect("the operating system always gives random bytes");
    salt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kek(passphrase: &str, salt: u8, passes: u32) -> [u8; 32] {
        let passphrase = Passphrase::parse(passphrase.to_string()).unwrap();
        let params = KdfParams::new(19 * 1024, passes, 1).unwrap();
        *Kek::derive(&passphrase, &[salt; 32], params).unwrap().0
    }

    #[test]
    fn every_input_changes_the_key() {
        let base = kek("correct horse battery", 1, 1);
        assert_eq!(base, kek("correct horse battery", 1, 1));
        assert_ne!(base, kek("correct horse batterz", 1, 1));
        assert_ne!(base, kek("correct horse battery", 2, 1));
        assert_ne!(base, kek("correct horse battery", 1, 2));
    }

    #[test]
    fn debug_hides_the_key_and_salts_differ() {
        assert_eq!(format!("{:?}", Kek(Zeroizing::new([7; 32]))), "Kek(hidden)");
        assert_ne!(generate_salt(), generate_salt());
    }
}
