//! Recovery points: listed, shown, given out, checked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use strongroom_api::{Code, Damage, MEMBERSHIP_HEADER, PointList, PointQuery, PointView, ScrubReport};
use strongroom_format::point::Consistency;
use strongroom_model::{Digest, PointId};
use strongroom_vault::{PointFilter, PointRow, Viewer};

use crate::parse::parse;
use crate::principal::Machine;
use crate::query::Filter;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// A machine that reads recovery points, with what it proves in this request.
pub(crate) struct Reader(Viewer);

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let machine = Machine::from_request_parts(parts, state).await;
        let container = machine.map_err(IntoResponse::into_response)?.container;
        let shown = parts.headers.get(MEMBERSHIP_HEADER).map(secret).transpose();
        let shown = shown.map_err(IntoResponse::into_response)?;
        let shown = shown.map(|secret| Digest::from_bytes(*blake3::hash(&secret).as_bytes()));
        Ok(Self(Viewer { container, shown }))
    }
}

fn secret(header: &HeaderValue) -> Answer<[u8; 32]> {
    // Written like any hash.
    let digest: Option<Digest> = header.to_str().ok().and_then(|text| text.parse().ok());
    let detail = format!("The header {MEMBERSHIP_HEADER} must be a membership secret: 64 hexadecimal digits");
    let digest = digest.ok_or_else(|| Refusal::new(Code::InvalidRequest, detail))?;
    Ok(*digest.as_bytes())
}

/// `GET /api/v1/points`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    reader: Reader,
    Filter(query): Filter<PointQuery>,
) -> Answer<Json<PointList>> {
    let filter = match (query.machine, query.all) {
        (Some(name), _) => PointFilter::Machine(name),
        (None, Some(true)) => PointFilter::All,
        (None, _) => PointFilter::Own,
    };
    let rows = shared.vaults.points(reader.0, &filter).await.map_err(refuse)?;
    Ok(Json(point_list(rows)))
}

/// `GET /api/v1/points/{point}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    reader: Reader,
    Path(id): Path<String>,
) -> Answer<Json<PointView>> {
    let id: PointId = parse(&id)?;
    let row = shared.vaults.point(reader.0, id).await.map_err(refuse)?;
    Ok(Json(view(row)))
}

/// `GET /api/v1/points/{point}/object`.
pub(crate) async fn object(
    State(shared): State<Arc<Shared>>,
    reader: Reader,
    Path(id): Path<String>,
) -> Answer<impl IntoResponse> {
    let id: PointId = parse(&id)?;
    let bytes = shared.vaults.point_object(reader.0, id).await.map_err(refuse)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes))
}

/// `GET /api/v1/points/{point}/check`.
pub(crate) async fn check(
    State(shared): State<Arc<Shared>>,
    reader: Reader,
    Path(id): Path<String>,
) -> Answer<Json<ScrubReport>> {
    let id: PointId = parse(&id)?;
    let found = shared.vaults.check_point(reader.0, id).await.map_err(refuse)?;
    Ok(Json(report(found)))
}

/// `POST /api/v1/points/{point}/scrub`.
pub(crate) async fn scrub(
    State(shared): State<Arc<Shared>>,
    reader: Reader,
    Path(id): Path<String>,
) -> Answer<Json<ScrubReport>> {
    let id: PointId = parse(&id)?;
    let found = shared.vaults.scrub_point(reader.0, id).await.map_err(refuse)?;
    Ok(Json(report(found)))
}

fn report(found: Vec<strongroom_vault::Damage>) -> ScrubReport {
    ScrubReport {
        damages: found.into_iter().map(damage).collect(),
    }
}

pub(crate) fn damage(found: strongroom_vault::Damage) -> Damage {
    Damage {
        object: found.object,
        why: found.why,
    }
}

/// The list, newest last.
pub(crate) fn point_list(rows: Vec<PointRow>) -> PointList {
    PointList {
        points: rows.into_iter().map(view).collect(),
    }
}

pub(crate) fn view(row: PointRow) -> PointView {
    PointView {
        id: row.id,
        vault: row.vault,
        item: row.item,
        machine: row.machine,
        key_set: row.key_set,
        root: row.root,
        created: row.created,
        committed: row.committed,
        consistency: consistency(row.consistency),
        total_bytes: row.total_bytes,
        new_bytes: row.new_bytes,
        files: row.files,
        digest: row.digest,
        predecessor: row.predecessor,
    }
}

fn consistency(number: u8) -> String {
    use Consistency::*;
    let known = [FileByFile, CrashConsistent, FileSystemConsistent, ApplicationConsistent];
    match known.into_iter().find(|&known| known as u8 == number) {
        Some(consistency) => format!("{consistency:?}"),
        None => format!("Unknown{number}"),
    }
}
