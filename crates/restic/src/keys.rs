//! What a password opens: the repository's own keys.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use scrypt::{Params, scrypt};
use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

use crate::cipher::Keys;

/// restic asks for 32 to 64 MiB; a key that wants more than this is made to harm.
const SCRYPT_BYTES_MAX: u64 = 512 << 20;
/// restic takes 1 to 16.
const SCRYPT_P_MAX: u32 = 64;

/// A file of the folder `keys`.
#[derive(Deserialize)]
pub(crate) struct KeyFile {
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
    #[serde(deserialize_with = "base64_bytes")]
    salt: Vec<u8>,
    #[serde(deserialize_with = "base64_bytes")]
    data: Vec<u8>,
}

#[derive(Deserialize)]
struct MasterKey {
    mac: MacKey,
    #[serde(deserialize_with = "base64_bytes")]
    encrypt: Vec<u8>,
}

#[derive(Deserialize)]
struct MacKey {
    #[serde(deserialize_with = "base64_bytes")]
    k: Vec<u8>,
    #[serde(deserialize_with = "base64_bytes")]
    r: Vec<u8>,
}

impl KeyFile {
    /// The repository's keys. `None` if the password is another one's.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub(crate) fn open(self, password: &[u8]) -> Result<Option<Keys>, String> {
        let params = self.params()?;
        let mut derived = Zeroizing::new([0; 64]);
        scrypt(password, &self.salt, &params, &mut *derived).map_err(|error| error.to_string())?;
        let Some(opened) = Keys::from_derived(&derived).open(self.data) else {
            return Ok(None);
        };
        let opened = Zeroizing::new(opened);
        let master: MasterKey = serde_json::from_slice(&opened).map_err(|error| error.to_string())?;
        let (encrypt, k, r) = (Zeroizing::new(master.encrypt), master.mac.k, master.mac.r);
        let keys = (encrypt[..].try_into(), k.try_into(), r.try_into());
        match keys {
            (Ok(encrypt), Ok(mac_k), Ok(mac_r)) => Ok(Some(Keys { encrypt, mac_k, mac_r })),
            _ => Err("a key in it has another length than it should have".to_owned()),
        }
    }

    fn params(&self) -> Result<Params, String> {
        if self.kdf != "scrypt" {
            return Err(format!(
                "it wants the key derivation {:?}; restic knows scrypt",
                self.kdf
            ));
        }
        let bytes = self.n.saturating_mul(128).saturating_mul(u64::from(self.r));
        if !self.n.is_power_of_two() || bytes > SCRYPT_BYTES_MAX || self.p > SCRYPT_P_MAX {
            return Err(format!(
                "it asks scrypt for N = {}, r = {}, p = {}, which no restic does",
                self.n, self.r, self.p
            ));
        }
        Params::new(self.n.trailing_zeros() as u8, self.r, self.p).map_err(|error| error.to_string())
    }
}

/// Bytes as Go writes them into JSON.
pub(crate) fn base64_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
    BASE64_STANDARD.decode(text.as_bytes()).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by restic 0.14.0 with the password `pw`; the keys are what `restic cat masterkey` said.
    const KEY_FILE: &str = r#"{"created":"2026-11-21T18:45:38.689337981Z","username":"root","hostname":"vm","kdf":"scrypt",
        "N":32768,"r":8,"p":3,
        "salt":"v36V2LGP/bWcaCKPy3HwAowSTwQa5scmO/HKwH00qeOlRynfwFoo++efzsyoQY0MHxlgUxk5jSKgcibW72l3rw==",
        "data":"bZKA/D+S6PszgFqlAz+/BrluwYmv1ltVq2NA+GwHbnY4APiN/1hVnCsDABkeBM+RPGaj7xp2boagrTr583WFsZfkE5TpCEGONFgIvVy9lKwHh41cyKOvW9vsaFhXSKAaLP+IO0cfSGTK5iChgB+vXEdTGzLmv0ILGMDOBAy18+a6SH6Beg6GpOcmMwEBpIGJ2giqmzzfm9t9fBP0HzacvQ=="}"#;

    fn key_file(change: impl FnOnce(&mut KeyFile)) -> KeyFile {
        let mut file = serde_json::from_str(KEY_FILE).unwrap();
        change(&mut file);
        file
    }

    #[test]
    fn a_key_of_restic_opens_with_its_password_alone() {
        let keys = key_file(|_| ()).open(b"pw").unwrap().unwrap();
        assert_eq!(
            BASE64_STANDARD.encode(keys.encrypt),
            "VlLh9HWOLJoe20yly3ehipUDlSAB3af6ksiEBJvoYR0="
        );
        assert_eq!(BASE64_STANDARD.encode(keys.mac_k), "+Bo8q51wJMJzhKQhax1pzg==");
        assert_eq!(BASE64_STANDARD.encode(keys.mac_r), "kV+BBezSuAdwENoHwNSkDA==");
        assert!(key_file(|_| ()).open(b"pW").unwrap().is_none());
        assert!(key_file(|file| file.data[20] ^= 1).open(b"pw").unwrap().is_none());
    }

    #[test]
    fn a_key_that_would_cost_too_much_is_refused() {
        let changes: [fn(&mut KeyFile); 6] = [
            |file| file.n = 1 << 40,
            |file| file.n = 0,
            |file| file.n = 32767,
            |file| file.r = u32::MAX,
            |file| file.r = 0,
            |file| file.p = 1 << 20,
        ];
        for change in changes {
            assert!(key_file(change).open(b"pw").is_err());
        }
        let other = key_file(|file| file.kdf = "argon2".to_owned())
            .open(b"pw")
            .err()
            .unwrap();
        assert!(other.contains("argon2"), "{other}");
    }
}
