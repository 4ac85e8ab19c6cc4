//! Seeds: a person imports what a machine made on a disk. It is taken in as from the machine itself, whose statement says for
//! which recovery point.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use strongroom_api::routes::RouteId;
use strongroom_api::{Code, Committed, PackStored, SEED_HEADER, SeedError, SeedStatement, Session, bitmap_from_bools};
use strongroom_format::point::point_digest;
use strongroom_model::{ContainerId, PackId, SessionId};

use crate::incoming::Incoming;
use crate::parse::parse;
use crate::refusal::{Answer, Refusal};
use crate::sessions::{read_identities, session_view, take_pack};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `POST /api/v1/vaults/{vault}/seeds`.
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    headers: HeaderMap,
) -> Answer<(StatusCode, Json<Session>)> {
    let seed = stated(&shared, &vault, &headers).await?;
    let begun = shared.vaults.begin_session(seed.iss, None).await.map_err(refuse)?;
    let latest = begun.latest.map(|(_, digest)| digest);
    if latest != Some(seed.digest) && latest != seed.predecessor {
        let why = "Another recovery point of the machine came after this seed was begun: it can be imported no more. \
                   Have the machine back up over the line, or make the seed anew";
        return Err(Refusal::new(Code::PredecessorMismatch, why));
    }
    tracing::info!(machine = %seed.iss, point = %seed.point, "importing a seed");
    Ok((StatusCode::CREATED, Json(session_view(begun))))
}

/// `POST /api/v1/vaults/{vault}/seeds/{session}/missing`.
pub(crate) async fn missing(
    State(shared): State<Arc<Shared>>,
    Path((vault, session)): Path<(String, String)>,
    headers: HeaderMap,
    incoming: Incoming,
) -> Answer<impl IntoResponse> {
    let (session, machine) = of_session(&shared, &vault, &session, &headers).await?;
    let ids = read_identities(&shared, incoming, RouteId::MissingOfSeed).await?;
    let missing = shared.vaults.missing(machine, session, &ids).await.map_err(refuse)?;
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, bitmap_from_bools(&missing)))
}

/// `PUT /api/v1/vaults/{vault}/seeds/{session}/packs/{pack}`.
pub(crate) async fn put_pack(
    State(shared): State<Arc<Shared>>,
    Path((vault, session, pack)): Path<(String, String, String)>,
    headers: HeaderMap,
    incoming: Incoming,
) -> Answer<Json<PackStored>> {
    let (session, machine) = of_session(&shared, &vault, &session, &headers).await?;
    let pack: PackId = parse(&pack)?;
    let bytes = incoming.read_announced(&shared, RouteId::PutSeedPack).await?;
    take_pack(&shared, machine, session, pack, bytes).await
}

/// `POST /api/v1/vaults/{vault}/seeds/{session}/commit`.
pub(crate) async fn commit(
    State(shared): State<Arc<Shared>>,
    Path((vault, session)): Path<(String, String)>,
    headers: HeaderMap,
    incoming: Incoming,
) -> Answer<(StatusCode, Json<Committed>)> {
    let session: SessionId = parse(&session)?;
    let seed = stated(&shared, &vault, &headers).await?;
    let object = incoming.read(&shared, RouteId::CommitSeed).await?;
    if point_digest(&object) != seed.digest {
        return Err(invalid("its recovery point is not the one that the machine made"));
    }
    let _place = shared.unfinished.object().await;
    let committed = shared.vaults.commit(seed.iss, session, object).await.map_err(refuse)?;
    shared.metrics.points_committed.inc();
    tracing::info!(machine = %seed.iss, point = %committed.point, "imported a seed");
    Ok((StatusCode::CREATED, Json(Committed { point: committed.point })))
}

async fn of_session(
    shared: &Shared,
    vault: &str,
    session: &str,
    headers: &HeaderMap,
) -> Answer<(SessionId, ContainerId)> {
    let session: SessionId = parse(session)?;
    Ok((session, stated(shared, vault, headers).await?.iss))
}

/// The statement that the request shows, if it is one of a machine of this vault.
async fn stated(shared: &Shared, vault: &str, headers: &HeaderMap) -> Answer<SeedStatement> {
    let signed = headers.get(SEED_HEADER).and_then(|value| value.to_str().ok());
    let signed = signed.ok_or_else(|| invalid(SeedError::Malformed))?;
    let claimed = SeedStatement::claimed(signed).map_err(invalid)?;
    let vault = shared.vault(vault).await?;
    if claimed.vault != vault.id {
        return Err(invalid(format!("it is for another vault than {}", vault.name)));
    }
    let found = shared.machine_key(claimed.iss).await?;
    let Some((machine, public_key)) = found.filter(|(machine, _)| machine.vault == vault.id) else {
        return Err(invalid(
            "the machine that made it is not registered here, or not any more",
        ));
    };
    let statement = SeedStatement::verify(signed, &public_key).map_err(invalid)?;
    if statement.item != machine.item {
        return Err(invalid("it is of another item than the machine's"));
    }
    let joined = shared.db.joined_key_sets(machine.container).await;
    match joined
        .map_err(|error| refuse(error.into()))?
        .contains(&statement.key_set)
    {
        true => Ok(statement),
        false => Err(invalid("it was made with a key set that the machine has not joined")),
    }
}

fn invalid(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::InvalidSeed, format!("The seed cannot be imported: {why}"))
}
