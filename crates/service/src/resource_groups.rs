//! Resource groups.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use strongroom_api::routes::RouteId;
use strongroom_api::{Code, CreateResourceGroup, ResourceGroupList, ResourceGroupView};
use strongroom_db::{ResourceGroupDeleted, ResourceGroupRow};
use strongroom_model::{Permission, Place, ResourceGroupName};

use crate::incoming::Incoming;
use crate::location::{Located, located};
use crate::parse::parse;
use crate::principal::Account;
use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::target::no_such_group;
use crate::vault_refusal::refuse;

/// The bounds of Azure: so many tags, names and values of so many characters.
const TAGS_MAX: usize = 50;
const TAG_NAME_MAX: usize = 512;
const TAG_VALUE_MAX: usize = 256;

/// `GET /api/v1/resource-groups`.
pub(crate) async fn list(State(shared): State<Arc<Shared>>, account: Account) -> Answer<Json<ResourceGroupList>> {
    let rows = shared
        .db
        .resource_groups()
        .await
        .map_err(|error| refuse(error.into()))?;
    let seen = |row: &ResourceGroupRow| {
        let place = Place::resource_group(&row.name);
        account.access.permits(Permission::ResourceGroupsRead, &place)
    };
    let resource_groups = rows.into_iter().filter(seen).map(view).collect();
    Ok(Json(ResourceGroupList { resource_groups }))
}

/// `POST /api/v1/resource-groups`.
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    incoming: Incoming,
) -> Answer<(StatusCode, Located<Json<ResourceGroupView>>)> {
    let create: CreateResourceGroup = incoming.read_json(&shared, RouteId::CreateResourceGroup).await?;
    let fits = |(name, value): (&String, &String)| {
        name.chars().count() <= TAG_NAME_MAX && value.chars().count() <= TAG_VALUE_MAX
    };
    if create.tags.len() > TAGS_MAX || !create.tags.iter().all(fits) {
        let detail = format!(
            "There are at most {TAGS_MAX} tags, with names of up to {TAG_NAME_MAX} and values of up to {TAG_VALUE_MAX} characters"
        );
        return Err(Refusal::new(Code::InvalidRequest, detail));
    }
    let row = ResourceGroupRow {
        name: create.name,
        region: create.region,
        tags: create.tags,
        created: shared.clock.now(),
    };
    let inserted = shared.db.insert_resource_group(&row).await;
    if !inserted.map_err(|error| refuse(error.into()))? {
        let detail = format!(
            "There is a resource group called {} already (upper and lower case are the same): choose another name",
            row.name
        );
        return Err(Refusal::new(Code::ResourceGroupExists, detail));
    }
    tracing::info!(name = %row.name, "created a resource group");
    let name = row.name.clone();
    Ok((
        StatusCode::CREATED,
        located(RouteId::ShowResourceGroup, &[&name], Json(view(row))),
    ))
}

/// `GET /api/v1/resource-groups/{group}`.
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Answer<Json<ResourceGroupView>> {
    let name: ResourceGroupName = parse(&name)?;
    let found = shared.db.resource_group(&name).await;
    let row = found.map_err(|error| refuse(error.into()))?;
    Ok(Json(view(row.ok_or_else(|| no_such_group(&name))?)))
}

/// `DELETE /api/v1/resource-groups/{group}`.
pub(crate) async fn delete(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer<StatusCode> {
    let name: ResourceGroupName = parse(&name)?;
    if name.folded() == ResourceGroupName::default().folded() {
        let detail = format!("The resource group {name} is always there: it cannot be deleted");
        return Err(Refusal::new(Code::ResourceGroupNotEmpty, detail));
    }
    let deleted = shared.db.delete_resource_group(&name).await;
    match deleted.map_err(|error| refuse(error.into()))? {
        ResourceGroupDeleted::Deleted => {
            tracing::info!(%name, "deleted a resource group");
            Ok(StatusCode::NO_CONTENT)
        }
        ResourceGroupDeleted::Absent => Err(no_such_group(&name)),
        ResourceGroupDeleted::NotEmpty(things) => {
            let detail = format!(
                "{things} vaults and resource guards are in the resource group {name}: delete them first; deleted vaults count until their days are over"
            );
            Err(Refusal::new(Code::ResourceGroupNotEmpty, detail))
        }
    }
}

fn view(row: ResourceGroupRow) -> ResourceGroupView {
    ResourceGroupView {
        name: row.name,
        region: row.region,
        tags: row.tags,
        created: row.created,
    }
}
