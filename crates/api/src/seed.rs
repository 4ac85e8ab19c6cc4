//! Seeds: first backups that travel on a disk. A machine signs what it made, so that whoever carries the disk and imports it
//! can neither make one up nor alter it.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use strongroom_model::{ContainerId, Digest, ItemId, KeySetId, PointId, VaultId};

use crate::MachineKey;

/// The header in which whoever imports a seed shows its statement.
pub const SEED_HEADER: &str = "strongroom-seed";

const AUDIENCE: &str = "strongroom-seed";

/// What a machine says of a seed that it made: one recovery point, which it would have committed itself over the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedStatement {
    /// The machine.
    pub iss: ContainerId,
    /// What it is for.
    aud: String,
    /// The machine's vault.
    pub vault: VaultId,
    /// The machine's item.
    pub item: ItemId,
    /// The key set that opens the seed.
    pub key_set: KeySetId,
    /// The recovery point.
    pub point: PointId,
    /// BLAKE3 of the recovery point's object.
    pub digest: Digest,
    /// The recovery point that was the item's newest when the seed was begun.
    pub predecessor: Option<Digest>,
}

/// Why a statement does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// It is none.
    #[error("this is not a machine's statement about a seed")]
    Malformed,
    /// It was signed with another key than that of the machine.
    #[error(
        "it is not signed with the machine's key: it was altered, or the machine was registered again since it made the seed"
    )]
    Signature,
}

impl SeedStatement {
    /// A statement of `machine`.
    pub fn new(
        machine: ContainerId,
        vault: VaultId,
        item: ItemId,
        key_set: KeySetId,
        point: (PointId, Digest),
        predecessor: Option<Digest>,
    ) -> Self {
        Self {
            iss: machine,
            aud: AUDIENCE.to_owned(),
            vault,
            item,
            key_set,
            point: point.0,
            digest: point.1,
            predecessor,
        }
    }

    /// Signs it.
    pub fn sign(&self, key: &MachineKey) -> String {
        let encoding = EncodingKey::from_ed_der(key.as_pkcs8());
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), self, &encoding);
        signed.expect("a key pair that was parsed can sign")
    }

    /// What a statement claims. Nothing is checked.
    ///
    /// # Errors
    /// When it is no statement.
    pub fn claimed(signed: &str) -> Result<Self, SeedError> {
        jsonwebtoken::dangerous::insecure_decode_claims(signed).map_err(|_| SeedError::Malformed)
    }

    /// Checks that the machine with this key signed it. It is good for ever, as the recovery point that it is about is made
    /// once.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify(signed: &str, public_key: &[u8; 32]) -> Result<Self, SeedError> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["aud", "iss"]);
        validation.set_audience(&[AUDIENCE]);
        let key = DecodingKey::from_ed_der(public_key);
        jsonwebtoken::decode(signed, &key, &validation)
            .map(|token| token.claims)
            .map_err(|_| SeedError::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AssertionClaims;

    fn statement() -> SeedStatement {
        SeedStatement::new(
            ContainerId::from_bytes([1; 16]),
            VaultId::from_bytes([2; 16]),
            ItemId::from_bytes([3; 16]),
            KeySetId::from_bytes([4; 16]),
            (PointId::from_bytes([5; 16]), Digest::from_bytes([6; 32])),
            None,
        )
    }

    #[test]
    fn a_statement_holds_for_its_key_only() {
        let (key, other) = (MachineKey::generate(), MachineKey::generate());
        let signed = statement().sign(&key);
        assert_eq!(SeedStatement::claimed(&signed), Ok(statement()));
        assert_eq!(SeedStatement::verify(&signed, &key.public_key()), Ok(statement()));
        let verify = |text: &str, key: &MachineKey| SeedStatement::verify(text, &key.public_key());
        assert_eq!(verify(&signed, &other), Err(SeedError::Signature));
        assert_eq!(verify("a.b.c", &key), Err(SeedError::Signature));
        assert_eq!(SeedStatement::claimed("a.b.c"), Err(SeedError::Malformed));
    }

    /// What signs a machine in imports nothing, and the other way round.
    #[test]
    fn a_statement_is_no_assertion() {
        let (key, now) = (MachineKey::generate(), jiff::Timestamp::UNIX_EPOCH);
        let assertion = AssertionClaims::new(statement().iss, now).sign(&key);
        assert!(SeedStatement::verify(assertion.reveal(), &key.public_key()).is_err());
        let signed = statement().sign(&key);
        assert!(AssertionClaims::verify(&signed, &key.public_key(), now).is_err());
    }
}
