//! The key that a machine makes when it registers. The private half never leaves it.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

/// The bytes are not a machine key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the machine's key is damaged: it is not an Ed25519 key in PKCS#8 form")]
pub struct KeyError;

/// An Ed25519 key pair with which a machine signs its assertions.
#[derive(Clone)]
pub struct MachineKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: [u8; 32],
}

impl MachineKey {
    /// A new, random key pair.
    pub fn generate() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the system gives random bytes");
        Self::from_pkcs8(document.as_ref()).expect("a key that was just made is one")
    }

    /// Reads a key pair back from the bytes that [`MachineKey::as_pkcs8`] gave.
    ///
    /// # Errors
    /// When the bytes are no Ed25519 key pair.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| KeyError)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError)?;
        Ok(Self {
            pkcs8: Zeroizing::new(bytes.to_vec()),
            public,
        })
    }

    /// The key pair in PKCS#8 form (RFC 8410), for the machine's own state file.
    pub fn as_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half, which the service keeps.
    pub fn public_key(&self) -> [u8; 32] {
        self.public
    }
}

impl fmt::Debug for MachineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MachineKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_damage_is_noticed() {
        let key = MachineKey::generate();
        assert_eq!(
            MachineKey::from_pkcs8(key.as_pkcs8()).unwrap().public_key(),
            key.public_key()
        );
        assert!(MachineKey::from_pkcs8(&key.as_pkcs8()[1..]).is_err());
        assert!(MachineKey::from_pkcs8(&[]).is_err());
        assert_eq!(format!("{key:?}"), "MachineKey(…)");
    }
}
