//! Which key serves what: one context string each.
//!
//! Every sub-key is `BLAKE3::derive_key(context, parent)`. The strings are part of the format: they never change, and a
//! new use gets a new string, so that no key ever serves two purposes.

use zeroize::Zeroizing;

/// Master key → key of [`crate::DataKeys::fingerprint`].
pub(crate) const FINGERPRINT: &str = "Strongroom 2026-11-21 format 1: fingerprints of plain payloads";
/// Master key → key of the tag of sealed blobs.
pub(crate) const BLOB_TAG: &str = "Strongroom 2026-11-21 format 1: tags of sealed blobs";
/// Master key → key from which each sealed blob's AES key is made.
pub(crate) const BLOB_CIPHER: &str = "Strongroom 2026-11-21 format 1: AES keys of sealed blobs";
/// Master key → key of the content-defined cutter.
pub(crate) const CHUNKER: &str = "Strongroom 2026-11-21 format 1: cuts inside file contents";
/// Master key → key of [`crate::DataKeys::boundary`].
pub(crate) const BOUNDARY: &str = "Strongroom 2026-11-21 format 1: ends of pages and bundles";
/// Master key → the secret that proves to the service that a machine opened the key set.
pub(crate) const MEMBERSHIP: &str = "Strongroom 2026-11-21 format 1: proof of membership in a key set";
/// Key-encryption key → key of the tag of wrapped master keys.
pub(crate) const KEK_TAG: &str = "Strongroom 2026-11-21 format 1: tags of wrapped master keys";
/// Key-encryption key → key from which each wrapped master key's AES key is made.
pub(crate) const KEK_CIPHER: &str = "Strongroom 2026-11-21 format 1: AES keys of wrapped master keys";
/// Not of a key: what checks the rows of a recovery key that somebody types.
pub(crate) const RECOVERY_CHECK: &str = "Strongroom 2026-11-21 format 1: check symbols of recovery keys";

/// The sub-key of `parent` for one of the contexts above.
pub(crate) fn derive(context: &'static str, parent: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(blake3::derive_key(context, parent))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_uses_share_a_key() {
        let contexts = [
            FINGERPRINT,
            BLOB_TAG,
            BLOB_CIPHER,
            CHUNKER,
            BOUNDARY,
            MEMBERSHIP,
            KEK_TAG,
            KEK_CIPHER,
            RECOVERY_CHECK,
        ];
        let keys: BTreeSet<[u8; 32]> = contexts.iter().map(|context| *derive(context, &[9; 32])).collect();
        assert_eq!(keys.len(), contexts.len());
    }
}
