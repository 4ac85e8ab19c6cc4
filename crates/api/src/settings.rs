//! The settings that guard a vault's data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::VaultSettings;

/// The settings of a vault, as they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsView {
    /// The settings.
    #[serde(flatten)]
    pub settings: VaultSettings,
    /// Grows with each change; also in the header `ETag`.
    pub version: u64,
}
