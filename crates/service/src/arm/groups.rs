//! Resource groups.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use strongroom_db::{ResourceGroupDeleted, ResourceGroupRow};
use strongroom_model::{Permission, Place, ResourceGroupName};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::record::tags;
use super::reply::Reply;
use super::{access, page, vaults};
use crate::vault_refusal::refuse;

/// The group of the path.
pub(crate) async fn find(call: &Call) -> ArmResult<ResourceGroupRow> {
    let asked = call.parameter("resourceGroupName");
    let absent = || {
        ArmError::not_found(
            "ResourceGroupNotFound",
            format!("Resource group '{asked:.120}' could not be found."),
        )
    };
    let name: ResourceGroupName = asked.parse().map_err(|_| absent())?;
    let found = call.shared.db.resource_group(&name).await;
    found.map_err(|error| refuse(error.into()))?.ok_or_else(absent)
}

/// `GET /subscriptions/{subscriptionId}/resourceGroups`.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let groups = call
        .shared
        .db
        .resource_groups()
        .await
        .map_err(|error| refuse(error.into()))?;
    let roles = access::of(call);
    let seen = groups
        .iter()
        .filter(|group| roles.permits(Permission::ResourceGroupsRead, &Place::resource_group(&group.name)));
    page::list(
        call,
        seen.map(|group| (group.name.folded(), view(call, group))).collect(),
    )
}

/// `GET` of a group.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    Ok(Reply::ok(view(call, &find(call).await?)))
}

/// `HEAD` of a group: whether it exists.
pub(crate) async fn head(call: &Call) -> ArmResult<Reply> {
    find(call).await.map(|_| Reply::no_content())
}

/// `PUT` of a group: makes it, or replaces its tags.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let body = Loose::new(&body);
    let name = call
        .parameter("resourceGroupName")
        .parse()
        .map_err(|error| ArmError::bad("InvalidResourceGroupName", format!("{error}.")))?;
    let row = ResourceGroupRow {
        name,
        region: vaults::region(&body)?,
        tags: texts(tags(&body)?.unwrap_or_default()),
        created: call.shared.clock.now(),
    };
    let db = &call.shared.db;
    if db
        .insert_resource_group(&row)
        .await
        .map_err(|error| refuse(error.into()))?
    {
        tracing::info!(name = %row.name, "created a resource group");
        return Ok(Reply::created(view(call, &row)));
    }
    let known = find(call).await?;
    if known.region != row.region {
        return Err(ArmError::conflict(
            "InvalidResourceGroupLocation",
            format!(
                "The resource group is in {} already, and cannot be moved to {}.",
                known.region, row.region
            ),
        ));
    }
    let tagged = db.tag_resource_group(&row.name, &row.tags).await;
    tagged.map_err(|error| refuse(error.into()))?;
    get(call).await
}

fn texts(tags: serde_json::Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    tags.into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// `DELETE` of a group, which must be empty: vaults are never deleted by the way.
pub(crate) async fn delete(call: &Call) -> ArmResult<Reply> {
    let blocked = |message: String| ArmError::conflict("ResourceGroupDeletionBlocked", message);
    let group = find(call).await?;
    if group.name.folded() == ResourceGroupName::default().folded() {
        return Err(blocked(
            "This resource group is for vaults that are made without one, and stays.".to_owned(),
        ));
    }
    let deleted = call.shared.db.delete_resource_group(&group.name).await;
    match deleted.map_err(|error| refuse(error.into()))? {
        ResourceGroupDeleted::NotEmpty(things) => Err(blocked(format!(
            "The resource group holds {things} vaults and resource guards: delete them first."
        ))),
        ResourceGroupDeleted::Deleted | ResourceGroupDeleted::Absent => Ok(Reply::empty(StatusCode::OK)),
    }
}

/// `GET …/resources`: the vaults of a group, in short.
pub(crate) async fn resources(call: &Call) -> ArmResult<Reply> {
    let members = vaults::of_group(call, Some(call.parameter("resourceGroupName"))).await?;
    let members = members.iter().map(|vault| {
        let mut view = vault.view();
        if let Some(members) = view.as_object_mut() {
            members.remove("properties");
        }
        (vault.info.vault.name.folded(), view)
    });
    page::list(call, members.collect())
}

fn view(call: &Call, group: &ResourceGroupRow) -> Value {
    json!({
        "id": call.tenancy.group_id(group.name.as_str()),
        "name": group.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.region,
        "tags": group.tags,
        "properties": { "provisioningState": "Succeeded" },
    })
}
