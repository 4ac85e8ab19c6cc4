//! Exports: recovery points that a person has given out for a disk, sealed as they are.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use strongroom_api::routes::RouteId;
use strongroom_api::{ExportedKeySet, PointExport, sizes_to_body};
use strongroom_model::PointId;

use crate::fetch::stream_out;
use crate::incoming::Incoming;
use crate::parse::parse;
use crate::points::damage;
use crate::refusal::Answer;
use crate::sessions::read_identities;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// `POST /api/v1/vaults/{vault}/points/{point}/export`.
pub(crate) async fn point(
    State(shared): State<Arc<Shared>>,
    Path((vault, point)): Path<(String, String)>,
) -> Answer<Json<PointExport>> {
    let vault = shared.vault(&vault).await?;
    let point: PointId = parse(&point)?;
    let export = shared.vaults.export_point(vault.id, point).await.map_err(refuse)?;
    tracing::info!(vault = %vault.name, %point, "a recovery point is given out");
    let mut damages = Vec::new();
    let mut key_sets = Vec::new();
    for (id, object) in export.key_sets {
        match object {
            Ok(object) => key_sets.push(ExportedKeySet {
                id,
                object: object.to_vec(),
            }),
            Err(damaged) => damages.push(damage(damaged)),
        }
    }
    let vault_file = export.vault_file.map(|bytes| bytes.to_vec()).unwrap_or_else(|damaged| {
        damages.push(damage(damaged));
        Vec::new()
    });
    Ok(Json(PointExport {
        point: export.point.to_vec(),
        vault_file,
        key_sets,
        damages,
    }))
}

/// `POST /api/v1/vaults/{vault}/export/sizes`.
pub(crate) async fn sizes(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    incoming: Incoming,
) -> Answer<impl IntoResponse> {
    let vault = shared.vault(&vault).await?;
    let ids = read_identities(&shared, incoming, RouteId::ExportSizes).await?;
    let sizes = shared.vaults.blob_sizes(vault.id, &ids).await.map_err(refuse)?;
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, sizes_to_body(&sizes)))
}

/// `POST /api/v1/vaults/{vault}/export/blobs`.
pub(crate) async fn blobs(
    State(shared): State<Arc<Shared>>,
    Path(vault): Path<String>,
    incoming: Incoming,
) -> Answer<Response> {
    let vault = shared.vault(&vault).await?;
    let ids = read_identities(&shared, incoming, RouteId::ExportBlobs).await?;
    let vaults = shared.vaults.clone();
    stream_out(shared, vaults.fetch_from(vault.id, ids)).await
}
