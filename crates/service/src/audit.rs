//! The audit log: what people and service principals did, and what they were refused. It is only ever appended to.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::stream;
use strongroom_api::routes::{Method, Route, RouteId};
use strongroom_api::{AUDIT_LINES_MAX, AuditLine, AuditPage, AuditQuery, PrincipalKind};
use strongroom_db::{Actor, AuditFilter, AuditRow, NewAuditRow};
use uuid::Uuid;

use crate::principal::Principal;
use crate::query::{Filter, page};
use crate::refusal::Answer;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// What signing in is called in the log.
pub(crate) const SIGN_IN: &str = "Strongroom.Directory/signIn/action";

/// What changing one's own account is called in the log.
pub(crate) const OWN_ACCOUNT: &str = "Strongroom.Directory/ownAccount/write";

/// How many lines about strangers, who are bound by nothing else, are written in a minute. More are only counted.
const STRANGERS_A_MINUTE: u32 = 120;

/// The longest path or name that is written down, in characters.
const TEXT_MAX: usize = 300;

/// Writes lines.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    strangers: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    lines: u32,
}

impl Audit {
    /// Writes a line. What it tells of has happened by then: if it cannot be written, the service's log has it.
    pub(crate) async fn write(&self, shared: &Shared, line: NewAuditRow) {
        let stranger = matches!(line.actor, Actor::Nobody { .. });
        if stranger && !self.admits(line.time.as_second().div_euclid(60)) {
            tracing::warn!(
                peer = line.peer,
                action = line.action,
                "not in the audit log: too much of this"
            );
            return;
        }
        if let Err(error) = shared.db.append_audit(&line).await {
            tracing::error!(%error, ?line, "a line is missing from the audit log");
        }
    }

    fn admits(&self, number: i64) -> bool {
        let mut minute = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != number {
            *minute = Minute { number, lines: 0 };
        }
        minute.lines += 1;
        minute.lines <= STRANGERS_A_MINUTE
    }
}

/// What a request is called in the log; `None` if it does not belong there: reading does not, and machines keep to their own.
pub(crate) fn action_of(route: &'static Route, caller: Option<&Principal>, status: StatusCode) -> Option<&'static str> {
    let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let action = route.permission.action();
    // A seed has thousands of packs; that it was begun and that it was committed is written down. Of an export all that
    // gives something out is.
    let is_part = matches!(
        route.id,
        RouteId::MissingOfSeed | RouteId::PutSeedPack | RouteId::ExportSizes
    );
    match caller {
        Some(Principal::Account(_)) if is_part && !refused => None,
        Some(Principal::Account(_)) if refused || route.method != Method::GET => Some(action.unwrap_or(OWN_ACCOUNT)),
        Some(_) => None,
        None if refused && route.method != Method::GET => action,
        None => None,
    }
}

/// Who is written down; machines are not.
pub(crate) fn actor_of(principal: &Principal) -> Option<Actor> {
    match principal {
        Principal::Account(account) => Some(account.actor()),
        _ => None,
    }
}

/// A text from outside, cut to what is written down.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// `GET /api/v1/audit`.
pub(crate) async fn read(
    State(shared): State<Arc<Shared>>,
    Filter(query): Filter<AuditQuery>,
) -> Answer<Json<AuditPage>> {
    let limit = page(query.limit)?;
    let rows = shared
        .db
        .audit(&filter(&query), query.after.unwrap_or(0), limit)
        .await
        .map_err(|error| refuse(error.into()))?;
    let full = rows.len() == limit as usize;
    let next = rows.last().map(|row| row.number).filter(|_| full);
    let lines = rows.into_iter().map(line).collect();
    Ok(Json(AuditPage { lines, next }))
}

/// `GET /api/v1/audit/export`: page after page, as fast as the other side reads.
pub(crate) async fn export(
    State(shared): State<Arc<Shared>>,
    Filter(query): Filter<AuditQuery>,
) -> Answer<impl IntoResponse> {
    let asked = query.limit.map(|limit| page(Some(limit))).transpose()?;
    let from = Some(query.after.unwrap_or(0));
    let filter = filter(&query);
    let pages = stream::try_unfold((shared, filter, asked, from), async |(shared, filter, asked, from)| {
        let Some(after) = from else {
            return Ok::<_, strongroom_db::DbError>(None);
        };
        let rows = shared
            .db
            .audit(&filter, after, asked.unwrap_or(AUDIT_LINES_MAX))
            .await?;
        let full = asked.is_none() && rows.len() == AUDIT_LINES_MAX as usize;
        let next = rows.last().map(|row| row.number).filter(|_| full);
        let mut text = String::new();
        for row in rows {
            text += &serde_json::to_string(&line(row)).expect("plain fields always serialise");
            text.push('\n');
        }
        Ok(Some((Bytes::from(text), (shared, filter, asked, next))))
    });
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], Body::from_stream(pages)))
}

fn filter(query: &AuditQuery) -> AuditFilter {
    AuditFilter {
        since: query.since,
        until: query.until,
        actor: query.principal.clone(),
        action: query.action.clone(),
    }
}

fn line(row: AuditRow) -> AuditLine {
    let AuditRow { number, line } = row;
    let (kind, principal, name) = match line.actor {
        Actor::Nobody { name } => (None, None, name),
        Actor::User { id, name } => (Some(PrincipalKind::User), Some(id), name),
        Actor::Application { id, name } => (Some(PrincipalKind::ServicePrincipal), Some(id), name),
    };
    AuditLine {
        number,
        time: line.time,
        kind,
        principal,
        name,
        action: line.action,
        method: line.method,
        path: line.path,
        scope: line.scope.to_string(),
        status: line.status,
        peer: line.peer,
        request: Uuid::from_bytes(line.request),
    }
}
