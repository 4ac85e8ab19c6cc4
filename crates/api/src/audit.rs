//! The audit log: who did what, and what came of it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_model::PrincipalId;
use uuid::Uuid;

use crate::PrincipalKind;

/// The most lines in one page.
pub const AUDIT_LINES_MAX: u32 = 1000;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditLine {
    /// Its number: later lines have higher ones.
    pub number: i64,
    /// When.
    pub time: Timestamp,
    /// What acted; missing if nobody was signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PrincipalKind>,
    /// Who acted; missing if nobody was signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalId>,
    /// The name of whoever acted at that time, or the one that was claimed at a sign-in that failed;
    /// of a wrong security PIN, the id of the machine that showed it.
    pub name: String,
    /// What: an action such as `Microsoft.RecoveryServices/Vaults/write`.
    pub action: String,
    /// The method of the request.
    pub method: String,
    /// The path of the request.
    pub path: String,
    /// Where the action had to be allowed; a vault by its id, which lasts.
    pub scope: String,
    /// The status of the answer.
    pub status: u16,
    /// The address of the other side.
    pub peer: String,
    /// The id of the request, as its answer's header `x-request-id` had it.
    pub request: Uuid,
}

/// Which lines to read; sent as a query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only of this principal: a name or an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Only this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Lines behind this one: what `next` of the last page said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// At most so many lines, up to [`AUDIT_LINES_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = AUDIT_LINES_MAX))]
    pub limit: Option<u32>,
}

/// A page of the log, oldest line first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// The lines.
    pub lines: Vec<AuditLine>,
    /// Asks for the next page; missing if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}
