//! Security PINs: what a machine needs besides its own credential before it may take something away.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Secret;

/// The header in which a machine shows a PIN, whatever else the request carries.
pub const SECURITY_PIN_HEADER: &str = "strongroom-security-pin";

/// A PIN of a vault; told once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecurityPin {
    /// Six digits.
    pub pin: Secret,
    /// Until when it is good, unless it is used before.
    pub expires: Timestamp,
}
