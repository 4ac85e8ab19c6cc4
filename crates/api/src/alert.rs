//! Alerts, and who is told of them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::{
    AlertEvent, AlertId, AlertKind, AlertSeverity, AlertState, Channel, DeliveryId, ItemId, JobId,
    NotificationSettings, VaultName,
};

use crate::Secret;

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertView {
    /// Names it.
    pub id: AlertId,
    /// What it is about.
    pub kind: AlertKind,
    /// The same as people call it.
    pub title: String,
    /// How much it matters.
    pub severity: AlertSeverity,
    /// The same as Azure Monitor counts, 0 being the worst.
    pub sev: u8,
    /// Whether it still stands.
    pub state: AlertState,
    /// For programs: the error's code, or the change that was made.
    pub code: String,
    /// The name of the item, the policy or the setting.
    pub subject: String,
    /// The item, if it is about one.
    pub item: Option<ItemId>,
    /// The job that raised it, the last of them; if one did.
    pub job: Option<JobId>,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    pub recommendation: String,
    /// How often it happened.
    pub count: u64,
    /// When it happened first.
    pub raised: Timestamp,
    /// When it happened last.
    pub last: Timestamp,
    /// Since when it does not stand any more.
    pub ended: Option<Timestamp>,
    /// Who saw to it, if somebody did.
    pub ended_by: Option<String>,
    /// What they said about it.
    pub note: Option<String>,
}

/// Alerts of a vault, newest first: a page of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertList {
    /// The alerts.
    pub alerts: Vec<AlertView>,
    /// What to say as `before` for the next page; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Which alerts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertFilter {
    /// Those of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// At most so many, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AlertState>,
    /// Only those of this severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<AlertSeverity>,
    /// Only those of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AlertKind>,
    /// Only those about this item: its id, or the name of its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Only those that happened then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only those that were raised before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Says that somebody saw to an alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InactivateAlert {
    /// What they say about it, at most 1000 characters.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub note: String,
}

/// Who is told of a vault's alerts, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationsView {
    /// Who, and how.
    pub settings: NotificationSettings,
    /// Whether there is a secret that signs webhooks. It is not shown again.
    pub has_webhook_secret: bool,
    /// The secret, if it was made just now: keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Secret>,
    /// Grows with each change; also in the header `ETag`.
    pub version: u64,
}

/// Changes who is told of a vault's alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeNotifications {
    /// Who, and how.
    pub settings: NotificationSettings,
    /// The secret that signs webhooks, 16 to 200 characters. Without it the one that there is stays, or the service makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Secret>,
}

/// How a test message went, to each of those who are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationTest {
    /// One for each.
    pub results: Vec<TestResult>,
}

/// How a test message to one of them went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestResult {
    /// How it went out.
    pub channel: Channel,
    /// Where to.
    pub target: String,
    /// Why it did not get there, if it did not.
    pub error: Option<String>,
}

/// What a webhook is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookBody {
    /// Names the message: it may come twice.
    pub delivery: DeliveryId,
    /// What happened; none in a test.
    pub event: Option<AlertEvent>,
    /// The vault.
    pub vault: VaultName,
    /// The alert; none in a test.
    pub alert: Option<AlertView>,
}

/// The header of a webhook's signature: `t=SECONDS,v1=HEX`, the HMAC-SHA256 of `SECONDS.BODY` under the vault's secret.
pub const SIGNATURE_HEADER: &str = "Strongroom-Signature";
