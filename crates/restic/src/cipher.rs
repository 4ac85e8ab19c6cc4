//! How restic seals: AES-256 in counter mode, and Poly1305-AES over what that gives.
//!
//! ```text
//! sealed := iv[16] ciphertext mac[16]
//! ```
//!
//! The one-time key of Poly1305 is `r`, and AES-128 of the iv under `k`
//! (<https://cr.yp.to/mac/poly1305-20050329.pdf>, section 2).

use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _, KeyIvInit as _, StreamCipher as _};
use aes::{Aes128, Aes256};
use ctr::Ctr128BE;
use poly1305::Poly1305;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

const IV_BYTES: usize = 16;
const MAC_BYTES: usize = 16;
/// So much longer is what is sealed.
pub(crate) const OVERHEAD: usize = IV_BYTES + MAC_BYTES;

/// The three keys of a repository, or those that a password gives.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Keys {
    pub(crate) encrypt: [u8; 32],
    pub(crate) mac_k: [u8; 16],
    pub(crate) mac_r: [u8; 16],
}

impl Keys {
    /// Of 64 bytes that a password was turned into.
    pub(crate) fn from_derived(derived: &[u8; 64]) -> Self {
        let part = |from: usize| derived[from..from + 16].try_into().expect("16 bytes");
        Self {
            encrypt: derived[..32].try_into().expect("32 bytes"),
            mac_k: part(32),
            mac_r: part(48),
        }
    }

    /// Opens what was sealed. `None` if it was not sealed with these keys, or was changed since.
    pub(crate) fn open(&self, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let end = sealed.len().checked_sub(MAC_BYTES).filter(|end| *end >= IV_BYTES)?;
        let iv: [u8; IV_BYTES] = sealed[..IV_BYTES].try_into().expect("16 bytes");
        if !is_equal(&self.mac(&iv, &sealed[IV_BYTES..end]), &sealed[end..]) {
            return None;
        }
        Ctr128BE::<Aes256>::new(&self.encrypt.into(), &iv.into()).apply_keystream(&mut sealed[IV_BYTES..end]);
        sealed.truncate(end);
        sealed.drain(..IV_BYTES);
        Some(sealed)
    }

    fn mac(&self, iv: &[u8; IV_BYTES], ciphertext: &[u8]) -> [u8; MAC_BYTES] {
        let mut nonce = (*iv).into();
        Aes128::new(&self.mac_k.into()).encrypt_block(&mut nonce);
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.mac_r);
        key[16..].copy_from_slice(&nonce);
        let tag = Poly1305::new(&key.into()).compute_unpadded(ciphertext);
        key.zeroize();
        tag.into()
    }
}

/// Looks at all bytes, wherever the first difference is.
fn is_equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(byte)
    }

    /// The first example of the paper's appendix B.
    #[test]
    fn the_mac_is_that_of_the_paper() {
        let keys = Keys {
            encrypt: [0; 32],
            mac_k: bytes("ec074c835580741701425b623235add6"),
            mac_r: bytes("851fc40c3467ac0be05cc20404f3f700"),
        };
        let iv = bytes("fb447350c4e868c52ac3275cf9d4327e");
        assert_eq!(keys.mac(&iv, &[0xf3, 0xf6]), bytes("f4c633c3044fc145f84f335cb81953de"));
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let keys = Keys::from_derived(&[7; 64]);
        let mut sealed = [&[1; 16][..], b"some ciphertext"].concat();
        sealed.extend(keys.mac(&[1; 16], b"some ciphertext"));
        assert_eq!(keys.open(sealed.clone()).unwrap().len(), 15);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(keys.open(changed), None, "byte {at}");
            assert_eq!(keys.open(sealed[..at].to_vec()), None, "length {at}");
        }
    }
}
