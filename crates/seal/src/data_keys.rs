//! The sub-keys that a client's data path works with.

use std::fmt;

use zeroize::Zeroizing;

use crate::Fingerprint;
use crate::envelope::EnvelopeKeys;
use crate::subkey::{BLOB_CIPHER, BLOB_TAG, BOUNDARY, CHUNKER, FINGERPRINT, MEMBERSHIP, derive};

/// The sub-keys of one key set. Cheap to clone for each thread; every copy is wiped when dropped.
#[derive(Clone)]
pub struct DataKeys {
    fingerprint: Zeroizing<[u8; 32]>,
    chunker: Zeroizing<[u8; 32]>,
    boundary: Zeroizing<[u8; 32]>,
    membership: Zeroizing<[u8; 32]>,
    blobs: EnvelopeKeys,
}

impl DataKeys {
    pub(crate) fn derive(master: &[u8; 32]) -> DataKeys {
        DataKeys {
            fingerprint: derive(FINGERPRINT, master),
            chunker: derive(CHUNKER, master),
            boundary: derive(BOUNDARY, master),
            membership: derive(MEMBERSHIP, master),
            blobs: EnvelopeKeys::new(derive(BLOB_TAG, master), derive(BLOB_CIPHER, master)),
        }
    }

    /// Private name of a plain payload: keyed BLAKE3, the first 16 bytes.
    ///
    /// 128 bits suffice because fingerprints only recognise what this key set stored before: among 2^40 distinct
    /// payloads (an exbibyte of chunks) two share one with a chance of 2^-49, and nobody without the key can look for
    /// such a pair. Half the length halves the index that a client keeps.
    pub fn fingerprint(&self, plain: &[u8]) -> Fingerprint {
        let hash = blake3::keyed_hash(&self.fingerprint, plain);
        Fingerprint::from_bytes(hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes"))
    }

    /// Key of the content-defined cutter, so that lengths of chunks do not betray known files.
    pub fn chunker_key(&self) -> [u8; 32] {
        *self.chunker
    }

    /// Uniform keyed hash of a path, by which pages and bundles decide where to end: the first 8 bytes of a keyed
    /// BLAKE3, read as little-endian.
    pub fn boundary(&self, path: &[u8]) -> u64 {
        let hash = blake3::keyed_hash(&self.boundary, path);
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
    }

    /// Secret that a machine shows the service to prove that it opened the key set; no other key follows from it.
    pub fn membership(&self) -> [u8; 32] {
        *self.membership
    }

    pub(crate) fn blobs(&self) -> &EnvelopeKeys {
        &self.blobs
    }
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKeys(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use crate::MasterKey;

    #[test]
    fn results_depend_on_key_and_input() {
        let (one, two) = (
            MasterKey::from_bytes([1; 32]).keys(),
            MasterKey::from_bytes([2; 32]).keys(),
        );
        assert_eq!(
            one.fingerprint(b"a"),
            MasterKey::from_bytes([1; 32]).keys().fingerprint(b"a")
        );
        assert_ne!(one.fingerprint(b"a"), one.fingerprint(b"b"));
        assert_ne!(one.fingerprint(b"a"), two.fingerprint(b"a"));
        assert_ne!(one.boundary(b"a"), one.boundary(b"b"));
        assert_ne!(one.boundary(b"a"), two.boundary(b"a"));
        assert_ne!(one.chunker_key(), two.chunker_key());
        assert_ne!(one.membership(), two.membership());
    }

    #[test]
    fn debug_hides_the_keys() {
        assert_eq!(
            format!("{:?}", MasterKey::from_bytes([1; 32]).keys()),
            "DataKeys(hidden)"
        );
    }
}
