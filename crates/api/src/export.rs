//! Exports: recovery points that are given out for a disk, sealed as they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::KeySetId;

use crate::Damage;

/// The objects of a recovery point beside its blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointExport {
    /// The recovery point's object, byte for byte, base64 in JSON.
    #[serde(with = "crate::base64_bytes")]
    #[schemars(with = "String", extend("contentEncoding" = "base64"))]
    pub point: Vec<u8>,
    /// The vault's `vault.json`, base64 in JSON; empty when it is damaged.
    #[serde(with = "crate::base64_bytes")]
    #[schemars(with = "String", extend("contentEncoding" = "base64"))]
    pub vault_file: Vec<u8>,
    /// The key sets that hold the master key which opens the point: one for each of its passphrases.
    pub key_sets: Vec<ExportedKeySet>,
    /// Those of these objects that are damaged, and so not here.
    pub damages: Vec<Damage>,
}

/// A key set, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedKeySet {
    /// Names it.
    pub id: KeySetId,
    /// The stored object, byte for byte, base64 in JSON.
    #[serde(with = "crate::base64_bytes")]
    #[schemars(with = "String", extend("contentEncoding" = "base64"))]
    pub object: Vec<u8>,
}

/// Sizes as four bytes each, little-endian.
pub fn sizes_to_body(sizes: &[u32]) -> Vec<u8> {
    sizes.iter().flat_map(|size| size.to_le_bytes()).collect()
}

/// The sizes in a body, if there are `count` of them.
pub fn sizes_from_body(body: &[u8], count: usize) -> Option<Vec<u32>> {
    let (sizes, rest) = body.as_chunks::<4>();
    let is_whole = rest.is_empty() && sizes.len() == count;
    is_whole.then(|| sizes.iter().copied().map(u32::from_le_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_trip() {
        let sizes = [0, 1, 8 << 20, u32::MAX];
        let body = sizes_to_body(&sizes);
        assert_eq!(sizes_from_body(&body, 4).as_deref(), Some(&sizes[..]));
        assert_eq!(sizes_from_body(&body, 3), None);
        assert_eq!(sizes_from_body(&body[1..], 4), None);
    }
}
