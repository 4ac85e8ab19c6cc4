//! Bytes as base64 text in JSON, for `#[serde(with)]`. Works for `Vec<u8>` and for arrays.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serializer};

/// What any bytes look like, one at least.
pub(crate) const PATTERN: &str =
    "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)$";

/// What 32 bytes look like.
pub(crate) const PATTERN_32: &str = "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$";

pub(crate) fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, B: TryFrom<Vec<u8>>>(deserializer: D) -> Result<B, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
    let length = bytes.len();
    B::try_from(bytes).map_err(|_| serde::de::Error::custom(format!("{length} bytes are not the right number")))
}
