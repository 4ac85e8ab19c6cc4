//! `vault.json`: what a vault is, beside its objects, so that they explain themselves without a database.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_model::{Redundancy, Region, VaultId, VaultName};

use crate::keyset::{Hex, SALT_BYTES, format_number};

/// No vault file is larger.
pub const VAULT_FILE_BYTES_MAX: usize = 64 << 10;

/// The contents of `vault.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultFile {
    /// Version of this format: 1.
    pub format: u32,
    /// The vault.
    pub id: VaultId,
    /// Its name.
    pub name: VaultName,
    /// When it was made.
    pub created: Timestamp,
    /// Where its objects are kept.
    pub region: Region,
    /// In how many places.
    pub redundancy: Redundancy,
    /// The salt for passphrases: 32 bytes in hexadecimal. It is no secret.
    pub salt: Hex,
}

/// Why bytes are no vault file.
#[derive(Debug, thiserror::Error)]
pub enum VaultFileError {
    /// More than [`VAULT_FILE_BYTES_MAX`] bytes.
    #[error("vault.json is above the largest size")]
    TooLarge,
    /// A newer program wrote it.
    #[error("vault.json has format version {0}; this program reads version 1: use a newer strongroom")]
    Version(u32),
    /// The salt has another length than [`SALT_BYTES`].
    #[error("vault.json is damaged: its salt has not 32 bytes")]
    Salt,
    /// Not the JSON of a vault.
    #[error("vault.json is damaged: {0}")]
    Json(#[from] serde_json::Error),
}

impl VaultFile {
    /// The format version that this program writes.
    pub const FORMAT: u32 = 1;

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a vault file has no map with odd keys")
    }

    /// Reads the bytes of the file.
    pub fn decode(bytes: &[u8]) -> Result<Self, VaultFileError> {
        if bytes.len() > VAULT_FILE_BYTES_MAX {
            return Err(VaultFileError::TooLarge);
        }
        match format_number(bytes)? {
            Self::FORMAT => {}
            newer => return Err(VaultFileError::Version(newer)),
        }
        let file: Self = serde_json::from_slice(bytes)?;
        if file.salt.0.len() == SALT_BYTES {
            Ok(file)
        } else {
            Err(VaultFileError::Salt)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vault_files_round_trip() {
        let file = VaultFile {
            format: 1,
            id: VaultId::from_bytes([1; 16]),
            name: "main".parse().unwrap(),
            created: "2026-11-21T04:00:00Z".parse().unwrap(),
            region: Region::default(),
            redundancy: Redundancy::LocallyRedundant,
            salt: Hex(vec![2; 32]),
        };
        assert_eq!(VaultFile::decode(&file.encode()).unwrap(), file);
        let newer = VaultFile {
            format: 2,
            ..file.clone()
        };
        for newer in [&newer.encode()[..], b"{\"format\": 2, \"else\": [1]}"] {
            assert!(matches!(VaultFile::decode(newer), Err(VaultFileError::Version(2))));
        }
        let short = VaultFile {
            salt: Hex(vec![2; 31]),
            ..file
        };
        assert!(matches!(VaultFile::decode(&short.encode()), Err(VaultFileError::Salt)));
    }
}
