//! Backup sessions: the part of the data plane that takes in.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use strongroom_api::routes::RouteId;
use strongroom_api::{
    BeginSession, Code, Committed, IDENTITIES_MAX, LatestPoint, PackStored, Session, bitmap_from_bools, ids_from_body,
};
use strongroom_model::{BlobId, ContainerId, PackId, SessionId};

use crate::incoming::Incoming;
use crate::location::{Located, located};
use crate::parse::parse;
use crate::principal::Machine;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `POST /api/v1/sessions`.
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<Session>)> {
    let BeginSession { job } = incoming.read_json(&shared, RouteId::BeginSession).await?;
    let begun = shared.vaults.begin_session(machine.container, job).await;
    let begun = begun.map_err(refuse)?;
    shared.metrics.sessions_begun.inc();
    Ok((StatusCode::CREATED, Json(session_view(begun))))
}

pub(crate) fn session_view(begun: strongroom_vault::Session) -> Session {
    Session {
        id: begun.id,
        lease_seconds: u64::try_from(begun.lease.as_secs()).unwrap_or(0),
        server_time: begun.server_time,
        latest: begun.latest.map(|(point, digest)| LatestPoint { point, digest }),
    }
}

/// `DELETE /api/v1/sessions/{session}`.
pub(crate) async fn end(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path(session): Path<String>,
) -> Answer<StatusCode> {
    let session: SessionId = parse(&session)?;
    shared
        .vaults
        .end_session(machine.container, session)
        .await
        .map_err(refuse)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/sessions/{session}/missing`.
pub(crate) async fn missing(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path(session): Path<String>,
    incoming: Incoming,
) -> Answer<impl IntoResponse> {
    let session: SessionId = parse(&session)?;
    let ids = read_identities(&shared, incoming, RouteId::Missing).await?;
    let missing = shared
        .vaults
        .missing(machine.container, session, &ids)
        .await
        .map_err(refuse)?;
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, bitmap_from_bools(&missing)))
}

/// `PUT /api/v1/sessions/{session}/packs/{pack}`.
pub(crate) async fn put_pack(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path((session, pack)): Path<(String, String)>,
    incoming: Incoming,
) -> Answer<Json<PackStored>> {
    let (session, pack): (SessionId, PackId) = (parse(&session)?, parse(&pack)?);
    let bytes = incoming.read_announced(&shared, RouteId::PutPack).await?;
    take_pack(&shared, machine.container, session, pack, bytes).await
}

/// Takes a pack in, whoever brought it.
pub(crate) async fn take_pack(
    shared: &Shared,
    machine: ContainerId,
    session: SessionId,
    pack: PackId,
    bytes: Bytes,
) -> Answer<Json<PackStored>> {
    let length = bytes.len() as u64;
    let _place = shared.unfinished.object().await;
    let put = shared.vaults.put_pack(machine, session, pack, bytes).await;
    let outcome = put.map_err(refuse)?;
    shared.metrics.packs_stored.inc();
    shared.metrics.bytes_received.inc_by(length);
    shared.metrics.blobs_stored.inc_by(outcome.new_blobs);
    Ok(Json(PackStored {
        new_blobs: outcome.new_blobs,
        duplicate_blobs: outcome.duplicate_blobs,
    }))
}

/// `POST /api/v1/sessions/{session}/commit`.
pub(crate) async fn commit(
    State(shared): State<Arc<Shared>>,
    machine: Machine,
    Path(session): Path<String>,
    incoming: Incoming,
) -> Answer<(StatusCode, Located<Json<Committed>>)> {
    let session: SessionId = parse(&session)?;
    let object = incoming.read(&shared, RouteId::Commit).await?;
    let _place = shared.unfinished.object().await;
    let committed = shared
        .vaults
        .commit(machine.container, session, object)
        .await
        .map_err(refuse)?;
    shared.metrics.points_committed.inc();
    let point = committed.point;
    let location = located(RouteId::ShowPoint, &[&point], Json(Committed { point }));
    Ok((StatusCode::CREATED, location))
}

/// Reads a body that lists identities.
pub(crate) async fn read_identities(shared: &Shared, incoming: Incoming, route: RouteId) -> Answer<Vec<BlobId>> {
    let body = incoming.read(shared, route).await?;
    ids_from_body(&body).ok_or_else(|| {
        let detail = format!("The request must list at most {IDENTITIES_MAX} identities of 32 bytes each");
        Refusal::new(Code::InvalidRequest, detail)
    })
}
