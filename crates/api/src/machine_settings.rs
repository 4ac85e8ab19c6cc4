//! What a machine backs up, as it travels: sealed with the keys of its key set.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{ItemId, KeySetId, SEALED_SETTINGS_BYTES_MAX};

/// As base64.
const SEALED_TEXT_MAX: usize = SEALED_SETTINGS_BYTES_MAX.div_ceil(3) * 4;

/// The settings of a machine, sealed. The service cannot read them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedSettings {
    /// The key set that they are sealed with.
    pub key_set: KeySetId,
    /// Grows with each change; sealed with them, so that an older state cannot pass for a newer one.
    #[schemars(range(min = 1))]
    pub generation: u64,
    /// The sealed blob, base64 in JSON.
    #[serde(with = "crate::base64_bytes")]
    #[schemars(with = "String", length(max = SEALED_TEXT_MAX), extend("contentEncoding" = "base64", "pattern" = crate::base64_bytes::PATTERN))]
    pub sealed: Vec<u8>,
}

/// What the vault keeps of a machine's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptSettings {
    /// The item that they are of.
    pub item: ItemId,
    /// The settings, if the machine has sent any.
    pub settings: Option<SealedSettings>,
    /// When they came.
    pub changed: Option<Timestamp>,
    /// For people: the object of the key set, which its passphrase opens; base64 in JSON.
    #[serde(default, with = "crate::base64_bytes", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "String", extend("contentEncoding" = "base64"))]
    pub key_set_object: Vec<u8>,
}

impl KeptSettings {
    /// The generation; 0: nothing is kept.
    pub fn generation(&self) -> u64 {
        self.settings.as_ref().map_or(0, |settings| settings.generation)
    }
}
