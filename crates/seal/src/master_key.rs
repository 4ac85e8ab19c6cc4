//! The master key of a key set.

use std::fmt;

use zeroize::Zeroizing;

use crate::encoding::HEAD_LENGTH;
use crate::envelope;
use crate::opener::{OpenError, open_with};
use crate::{DataKeys, Kek, SealKind};

/// Length in bytes of a wrapped master key.
pub const WRAPPED_LENGTH: usize = envelope::OVERHEAD + HEAD_LENGTH + 64;

/// 256 random bits from which every key of a key set follows. Wiped when dropped.
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Why a wrapped master key does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// The passphrase is not the one that wrapped this key set; altered bytes, salt or costs look the same.
    #[error("The passphrase does not open this key set.")]
    WrongPassphrase,
    /// Not a wrapped master key at all.
    #[error("The wrapped master key is damaged: it has {length} bytes instead of {WRAPPED_LENGTH}.")]
    WrongLength {
        /// Bytes found.
        length: usize,
    },
    /// It opened, but what was inside is no master key: made by a faulty or newer program that knows the passphrase.
    #[error("The wrapped master key opens, but holds no master key that this version understands.")]
    Unknown,
}

impl MasterKey {
    /// A new key from the operating system's random numbers.
    pub fn generate() -> MasterKey {
        let mut key = Zeroizing::new([0u8; 32]);
        aws_lc_rs::rand::fill(&mut key[..]).expect("the operating system always gives random bytes");
        MasterKey(key)
    }

    /// The key for the root-only state file of a machine; goes nowhere else.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// The key as [`MasterKey::to_bytes`] gave it.
    pub fn from_bytes(bytes: [u8; 32]) -> MasterKey {
        MasterKey(Zeroizing::new(bytes))
    }

    /// Seals the key for storage at the vault, bound to the id of its key set ([`WRAPPED_LENGTH`] bytes).
    ///
    /// The construct is that of blobs, which needs no nonce and commits to its key: a vault cannot craft one wrapped
    /// key that several passphrases open, and so cannot sort passphrases by whether opening fails.
    pub fn wrap(&self, kek: &Kek, key_set_id: [u8; 16]) -> Vec<u8> {
        let mut out = Vec::with_capacity(WRAPPED_LENGTH);
        crate::sealer::seal_plain(&kek.envelope(), SealKind::MasterKey, &key_set_id, &self.0[..], &mut out);
        out
    }

    /// Opens what [`MasterKey::wrap`] made for the same key set.
    ///
    /// # Errors
    /// [`UnwrapError::WrongPassphrase`] in every case where a person should look at the passphrase first.
    pub fn unwrap(kek: &Kek, key_set_id: [u8; 16], wrapped: &[u8]) -> Result<MasterKey, UnwrapError> {
        if wrapped.len() != WRAPPED_LENGTH {
            return Err(UnwrapError::WrongLength { length: wrapped.len() });
        }
        let plain = open_with(&kek.envelope(), SealKind::MasterKey, &key_set_id, wrapped, 32).map_err(reason)?;
        let key: [u8; 32] = plain.as_slice().try_into().map_err(|_| UnwrapError::Unknown)?;
        Ok(MasterKey::from_bytes(key))
    }

    /// All sub-keys for a client's data path.
    pub fn keys(&self) -> DataKeys {
        DataKeys::derive(&self.0)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}

fn reason(error: OpenError) -> UnwrapError {
    match error {
        OpenError::NotAuthentic => UnwrapError::WrongPassphrase,
        OpenError::TooShort { length } => UnwrapError::WrongLength { length },
        OpenError::Encoding { .. } | OpenError::TooLong { .. } => UnwrapError::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KdfParams, Passphrase};

    const SET: [u8; 16] = [3; 16];

    fn kek(passphrase: &str) -> Kek {
        let passphrase = Passphrase::parse(passphrase.to_string()).unwrap();
        Kek::derive(&passphrase, &[5; 32], KdfParams::new(19 * 1024, 1, 1).unwrap()).unwrap()
    }

    #[test]
    fn wraps_and_unwraps() {
        let (key, kek) = (MasterKey::generate(), kek("correct horse battery"));
        let wrapped = key.wrap(&kek, SET);
        assert_eq!(wrapped.len(), WRAPPED_LENGTH);
        let opened = MasterKey::unwrap(&kek, SET, &wrapped).unwrap();
        assert_eq!(opened.to_bytes(), key.to_bytes());
    }

    #[test]
    fn wrong_passphrase_and_other_key_set_are_refused() {
        let wrapped = MasterKey::generate().wrap(&kek("correct horse battery"), SET);
        let wrong = MasterKey::unwrap(&kek("wrong horse, same battery"), SET, &wrapped);
        assert_eq!(wrong.unwrap_err(), UnwrapError::WrongPassphrase);
        let moved = MasterKey::unwrap(&kek("correct horse battery"), [4; 16], &wrapped);
        assert_eq!(moved.unwrap_err(), UnwrapError::WrongPassphrase);
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        let kek = kek("correct horse battery");
        let wrapped = MasterKey::generate().wrap(&kek, SET);
        for bit in 0..wrapped.len() * 8 {
            let mut damaged = wrapped.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = MasterKey::unwrap(&kek, SET, &damaged).unwrap_err();
            assert_eq!(error, UnwrapError::WrongPassphrase, "bit {bit}");
        }
        for length in 0..wrapped.len() {
            let error = MasterKey::unwrap(&kek, SET, &wrapped[..length]).unwrap_err();
            assert_eq!(error, UnwrapError::WrongLength { length });
        }
    }

    #[test]
    fn what_is_inside_must_be_a_master_key() {
        let kek = kek("correct horse battery");
        let mut short = Vec::new();
        crate::sealer::seal_plain(&kek.envelope(), SealKind::MasterKey, &SET, &[1; 31], &mut short);
        assert_eq!(MasterKey::unwrap(&kek, SET, &short).unwrap_err(), UnwrapError::Unknown);
    }

    #[test]
    fn keys_are_random_and_hidden() {
        assert_ne!(MasterKey::generate().to_bytes(), MasterKey::generate().to_bytes());
        assert_eq!(format!("{:?}", MasterKey::from_bytes([1; 32])), "MasterKey(hidden)");
    }
}
