//! Key sets, as they travel: the objects stay as the machine that made them wrote them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{KeySetId, MachineName};

/// The header in which a machine proves, for one request, that it opened a key set that it has not joined.
pub const MEMBERSHIP_HEADER: &str = "strongroom-membership";

/// One key set of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeySetView {
    /// Names it.
    pub id: KeySetId,
    /// The stored object, byte for byte, base64 in JSON; empty when it is damaged.
    #[serde(with = "crate::base64_bytes")]
    #[schemars(with = "String", extend("contentEncoding" = "base64"))]
    pub object: Vec<u8>,
    /// What is wrong with the object, if it is damaged. The other key sets are usable all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// Whether the calling machine is a member, of this one or of one that holds the same master key.
    pub joined: bool,
    /// When it was added.
    pub added: Timestamp,
    /// The machine that added it, if the calling one is a member and that one is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_by: Option<MachineName>,
    /// Its members by name, if the calling machine is one of them.
    pub machines: Vec<MachineName>,
}

/// The key sets of the machine's vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeySetList {
    /// The key sets, oldest first.
    pub key_sets: Vec<KeySetView>,
}

/// Joins a key set.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The membership secret, a sub-key of the master key: only who opened the set knows it. Base64 in JSON.
    #[serde(with = "crate::base64_bytes")]
    #[schemars(with = "String", extend("contentEncoding" = "base64", "pattern" = crate::base64_bytes::PATTERN_32))]
    pub membership: [u8; 32],
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinRequest(…)")
    }
}
