//! Resource groups.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use strongroom_model::{Region, ResourceGroupName};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::page;
use super::record::tags;
use super::reply::Reply;
use super::vaults;
use crate::vault_refusal::refuse;

/// Where they are kept.
const SETTING: &str = "resource_groups";

/// A resource group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: ResourceGroupName,
    pub(crate) region: Region,
    pub(crate) tags: Map<String, Value>,
    pub(crate) created: Timestamp,
}

/// All groups; the default one is always among them.
async fn all(call: &Call) -> ArmResult<Vec<Group>> {
    let kept = call
        .shared
        .db
        .setting(SETTING)
        .await
        .map_err(|error| refuse(error.into()))?;
    let mut groups: Vec<Group> = kept
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let default = ResourceGroupName::default();
    if !groups.iter().any(|group| group.name.folded() == default.folded()) {
        groups.push(Group {
            name: default,
            region: Region::default(),
            tags: Map::new(),
            created: Timestamp::UNIX_EPOCH,
        });
    }
    Ok(groups)
}

async fn write(call: &Call, groups: &[Group]) -> ArmResult<()> {
    let text = serde_json::to_string(groups).expect("plain fields always serialise");
    let written = call.shared.db.set_setting(SETTING, &text).await;
    Ok(written.map_err(|error| refuse(error.into()))?)
}

/// The group of the path.
pub(crate) async fn find(call: &Call) -> ArmResult<Group> {
    let asked = call.parameter("resourceGroupName");
    let found = all(call)
        .await?
        .into_iter()
        .find(|group| group.name.as_str().eq_ignore_ascii_case(asked));
    found.ok_or_else(|| {
        ArmError::not_found(
            "ResourceGroupNotFound",
            format!("Resource group '{asked:.120}' could not be found."),
        )
    })
}

/// `GET /subscriptions/{subscriptionId}/resourceGroups`.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let groups = all(call).await?;
    let members = groups.iter().map(|group| (group.name.folded(), view(call, group)));
    page::list(call, members.collect())
}

/// `GET` of a group.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    Ok(Reply::ok(view(call, &find(call).await?)))
}

/// `HEAD` of a group: whether it exists.
pub(crate) async fn head(call: &Call) -> ArmResult<Reply> {
    find(call).await.map(|_| Reply::no_content())
}

/// `PUT` of a group.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let body = Loose::new(&body);
    let asked = call.parameter("resourceGroupName");
    let name: ResourceGroupName = asked
        .parse()
        .map_err(|error| ArmError::bad("InvalidResourceGroupName", format!("{error}.")))?;
    let region = vaults::region(&body)?;
    let mut groups = all(call).await?;
    let known = groups.iter_mut().find(|group| group.name.folded() == name.folded());
    let (status, group) = match known {
        Some(group) if group.region != region => {
            return Err(ArmError::conflict(
                "InvalidResourceGroupLocation",
                format!(
                    "The resource group is in {} already, and cannot be moved to {region}.",
                    group.region
                ),
            ));
        }
        Some(group) => {
            group.tags = tags(&body)?.unwrap_or_default();
            (StatusCode::OK, group.clone())
        }
        None => {
            let group = Group {
                name,
                region,
                tags: tags(&body)?.unwrap_or_default(),
                created: call.shared.clock.now(),
            };
            groups.push(group.clone());
            (StatusCode::CREATED, group)
        }
    };
    write(call, &groups).await?;
    Ok(Reply::of(status, view(call, &group)))
}

/// `DELETE` of a group, which must be empty: vaults are never deleted by the way.
pub(crate) async fn delete(call: &Call) -> ArmResult<Reply> {
    let group = find(call).await?;
    let inside = vaults::of_group(call, Some(group.name.as_str())).await?;
    if let Some(vault) = inside.first() {
        return Err(ArmError::conflict(
            "ResourceGroupDeletionBlocked",
            format!(
                "The resource group holds the vault '{}': delete its vaults first.",
                vault.info.vault.name
            ),
        ));
    }
    if group.name.folded() == ResourceGroupName::default().folded() {
        return Err(ArmError::conflict(
            "ResourceGroupDeletionBlocked",
            "This resource group is for vaults that are made without one, and stays.",
        ));
    }
    let mut groups = all(call).await?;
    groups.retain(|known| known.name.folded() != group.name.folded());
    write(call, &groups).await?;
    Ok(Reply::empty(StatusCode::OK))
}

/// `GET …/resources`: the vaults of a group, in short.
pub(crate) async fn resources(call: &Call) -> ArmResult<Reply> {
    let group = find(call).await?;
    let inside = vaults::of_group(call, Some(group.name.as_str())).await?;
    let members = inside.iter().map(|vault| {
        let mut view = vault.view();
        if let Some(members) = view.as_object_mut() {
            members.remove("properties");
        }
        (vault.info.vault.name.folded(), view)
    });
    page::list(call, members.collect())
}

fn view(call: &Call, group: &Group) -> Value {
    json!({
        "id": call.tenancy.group_id(group.name.as_str()),
        "name": group.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.region,
        "tags": group.tags,
        "properties": { "provisioningState": "Succeeded" },
    })
}
