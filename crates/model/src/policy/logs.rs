//! Backups of a database's logs, between its full ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often logs are taken, and how long they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Minutes between two, 15 to 1440.
    pub every_minutes: u32,
    /// Days, 7 to 35.
    pub keep_days: u32,
}
