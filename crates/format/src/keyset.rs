//! A key set object: a wrapped master key, and what a passphrase needs to open it. JSON, at `keys/<id>`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_model::{Digest, KeySetId};

/// No key set object is larger.
pub const KEY_SET_BYTES_MAX: usize = 64 << 10;

/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;

const FORMAT: u32 = 1;

/// Who can unwrap the master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// Whoever knows the passphrase.
    Customer,
}

/// The cost of Argon2id, version 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argon2Params {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// Why bytes are no key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// More than [`KEY_SET_BYTES_MAX`] bytes.
    #[error("the key set is above the largest size")]
    TooLarge,
    /// A newer program wrote it.
    #[error("the key set has format version {0}; this program reads version 1: use a newer strongroom")]
    Version(u32),
    /// The salt has another length than [`SALT_BYTES`].
    #[error("the key set is damaged: its salt has not 32 bytes")]
    Salt,
    /// Not the JSON of a key set.
    #[error("the key set is damaged: {0}")]
    Json(#[from] serde_json::Error),
}

/// A key set as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySetObject {
    /// Version of this format: 1.
    pub format: u32,
    /// Its name.
    pub id: KeySetId,
    /// When it was made.
    pub created: Timestamp,
    /// Who can unwrap it.
    pub holder: Holder,
    /// What the passphrase is put through.
    pub kdf: Argon2Params,
    /// 32 bytes, in hexadecimal, chosen by whoever made the set.
    pub salt: Hex,
    /// The master key, sealed with the key made from the passphrase; in hexadecimal.
    pub wrapped_master: Hex,
    /// BLAKE3 of the membership secret, a sub-key of the master key. A machine that shows the secret has opened the set.
    pub verifier: Digest,
}

/// Bytes that are written as hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex(pub Vec<u8>);

impl std::fmt::Debug for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from(self.clone()))
    }
}

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        hex.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        let digit = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
        let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        match bytes.collect() {
            Some(bytes) if odd.is_empty() => Ok(Self(bytes)),
            _ => Err("it must be an even number of hexadecimal digits"),
        }
    }
}

/// The version of a JSON object: looked at before the other members, which a newer version may have changed.
pub(crate) fn format_number(bytes: &[u8]) -> Result<u32, serde_json::Error> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    serde_json::from_slice(bytes).map(|Version { format }| format)
}

impl KeySetObject {
    /// The format version that this program writes.
    pub const FORMAT: u32 = FORMAT;

    /// The bytes of the object.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a key set has no map with odd keys")
    }

    /// Reads the bytes of the object.
    pub fn decode(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetError::TooLarge);
        }
        match format_number(bytes)? {
            FORMAT => {}
            newer => return Err(KeySetError::Version(newer)),
        }
        let object: Self = serde_json::from_slice(bytes)?;
        if object.salt.0.len() == SALT_BYTES {
            Ok(object)
        } else {
            Err(KeySetError::Salt)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_set() -> KeySetObject {
        KeySetObject {
            format: FORMAT,
            id: KeySetId::from_bytes([7; 16]),
            created: "2026-11-21T04:00:00Z".parse().unwrap(),
            holder: Holder::Customer,
            kdf: Argon2Params {
                memory_kib: 65536,
                passes: 3,
                lanes: 1,
            },
            salt: Hex(vec![1; 32]),
            wrapped_master: Hex(vec![0, 255]),
            verifier: Digest::from_bytes([9; 32]),
        }
    }

    #[test]
    fn key_sets_round_trip() {
        assert_eq!(KeySetObject::decode(&key_set().encode()).unwrap(), key_set());
    }

    #[test]
    fn others_are_refused() {
        let text = String::from_utf8(key_set().encode()).unwrap();
        let newer = text.replace("\"format\": 1", "\"format\": 2");
        assert!(
            KeySetObject::decode(newer.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("newer strongroom")
        );
        let odd = text.replace("00ff", "00f");
        assert!(KeySetObject::decode(odd.as_bytes()).is_err());
        let short = text.replace(&"01".repeat(32), &"01".repeat(31));
        assert!(matches!(KeySetObject::decode(short.as_bytes()), Err(KeySetError::Salt)));
        let extra = text.replacen('{', "{\"more\": 1,", 1);
        assert!(KeySetObject::decode(extra.as_bytes()).is_err());
    }
}
