//! How many places a vault keeps its objects in.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The redundancy of a vault; the names are Azure's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Redundancy {
    /// All copies in the vault's own region.
    #[default]
    LocallyRedundant,
    /// A second copy in the paired region.
    GeoRedundant,
}

/// Why a text names no redundancy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a redundancy: use LRS (LocallyRedundant) or GRS (GeoRedundant)")]
pub struct RedundancyError(String);

impl FromStr for Redundancy {
    type Err = RedundancyError;

    fn from_str(text: &str) -> Result<Self, RedundancyError> {
        match text.to_ascii_lowercase().as_str() {
            "lrs" | "locallyredundant" => Ok(Self::LocallyRedundant),
            "grs" | "georedundant" => Ok(Self::GeoRedundant),
            _ => Err(RedundancyError(text.chars().take(40).collect())),
        }
    }
}

impl fmt::Display for Redundancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::LocallyRedundant => "LocallyRedundant",
            Self::GeoRedundant => "GeoRedundant",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        for (text, expected) in [
            ("LRS", "LocallyRedundant"),
            ("grs", "GeoRedundant"),
            ("GeoRedundant", "GeoRedundant"),
        ] {
            assert_eq!(text.parse::<Redundancy>().unwrap().to_string(), expected);
        }
        assert!("ZRS".parse::<Redundancy>().unwrap_err().to_string().contains("LRS"));
    }
}
