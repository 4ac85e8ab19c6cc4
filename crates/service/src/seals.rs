//! Seals the secrets that sign webhooks, so that the database alone does not tell them: with a key from the data folder
//! (`docs/decisions/2026-11-21-alerts.md`).

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use strongroom_api::Secret;
use strongroom_model::VaultId;

use crate::data_dir::{DataDir, DataDirError};
use crate::password::random_bytes;

const FILE: &str = "secrets/webhooks.key";
const KEY_LENGTH: usize = 32;

/// Seals and opens.
pub(crate) struct Seals(RandomizedNonceKey);

impl Seals {
    /// With the key in the data folder; makes it if there is none.
    pub(crate) fn open(folder: &DataDir) -> Result<Self, DataDirError> {
        let key: [u8; KEY_LENGTH] = match folder.read(FILE)? {
            Some(bytes) => bytes
                .try_into()
                .map_err(|_| folder.damaged(FILE, "it has another length than the key"))?,
            None => {
                let key = random_bytes();
                folder.write(FILE, &key)?;
                key
            }
        };
        Ok(Self::new(&key))
    }

    fn new(key: &[u8; KEY_LENGTH]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has the length of the cipher's"))
    }

    /// Seals a secret of a vault: the nonce, then what is sealed.
    pub(crate) fn seal(&self, vault: VaultId, secret: &Secret) -> Vec<u8> {
        let mut bytes = secret.reveal().as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(vault.as_bytes()), &mut bytes);
        let nonce = nonce.expect("the system gives random bytes, and the secret is short");
        [&nonce.as_ref()[..], &bytes].concat()
    }

    /// Opens it; `None`: it is of another vault, or of another key.
    pub(crate) fn unseal(&self, vault: VaultId, sealed: &[u8]) -> Option<Secret> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = sealed.to_vec();
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(vault.as_bytes()), &mut bytes)
            .ok()?;
        Some(Secret::new(std::str::from_utf8(opened).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_with_its_key_and_for_its_vault_only() {
        let (one, two) = (VaultId::from_bytes([1; 16]), VaultId::from_bytes([2; 16]));
        let seals = Seals::new(&[7; 32]);
        let secret = Secret::new("a secret of a webhook");
        let sealed = seals.seal(one, &secret);
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(seals.unseal(one, &sealed), Some(secret.clone()));
        assert_eq!(seals.unseal(two, &sealed), None);
        assert_eq!(Seals::new(&[8; 32]).unseal(one, &sealed), None);
        assert_eq!(seals.unseal(one, b"short"), None);
        assert_ne!(seals.seal(one, &secret), sealed);
    }
}
