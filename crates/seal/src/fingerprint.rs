//! The private name of a plain payload.

use std::fmt;

/// Keyed hash of a plain payload, 16 bytes; see [`crate::DataKeys::fingerprint`]. Only clients ever see one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// A fingerprint that was stored before.
    pub const fn from_bytes(bytes: [u8; 16]) -> Fingerprint {
        Fingerprint(bytes)
    }

    /// Its bytes, to store them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_as_hex_and_orders_by_bytes() {
        let small = Fingerprint::from_bytes([0x0a; 16]);
        assert_eq!(small.to_string(), "0a".repeat(16));
        assert_eq!(format!("{small:?}"), format!("Fingerprint({})", "0a".repeat(16)));
        assert!(small < Fingerprint::from_bytes([0x0b; 16]));
    }
}
