//! Vaults: list, create, change, delete.

use axum::http::StatusCode;
use serde_json::json;
use strongroom_model::{Permission, Redundancy, Region, VaultName, VaultSettings};
use strongroom_vault::{NewVault, VaultError};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::names::VAULT_KIND;
use super::record::Record;
use super::reply::Reply;
use super::tracked::{self, Outcome};
use super::vault::{self, Vault};
use super::{access, groups, page, security};
use crate::vault_refusal::refuse;

/// `GET` of all vaults of the subscription.
pub(crate) async fn list_all(call: &Call) -> ArmResult<Reply> {
    listed(call, of_group(call, None).await?)
}

/// `GET` of a group's vaults.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    if access::sees_group(call) {
        groups::find(call).await?;
    }
    listed(call, of_group(call, Some(call.parameter("resourceGroupName"))).await?)
}

fn listed(call: &Call, vaults: Vec<Vault>) -> ArmResult<Reply> {
    let members = vaults
        .iter()
        .map(|vault| (vault.info.vault.name.folded(), vault.view()));
    page::list(call, members.collect())
}

/// The vaults of a group, or all, as far as the caller sees them.
pub(crate) async fn of_group(call: &Call, group: Option<&str>) -> ArmResult<Vec<Vault>> {
    let roles = access::of(call);
    let mut vaults = Vec::new();
    for info in call.shared.vaults.list().await.map_err(refuse)? {
        let inside = group.is_none_or(|group| info.vault.resource_group.as_str().eq_ignore_ascii_case(group));
        if inside && roles.permits_on(Permission::VaultsRead, &info.vault) {
            vaults.push(vault::with_record(call, info).await?);
        }
    }
    Ok(vaults)
}

/// `GET` of a vault.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    Ok(Reply::ok(vault::find(call).await?.view()))
}

/// `PUT` of a vault: makes it, or changes what can be changed.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let body = Loose::new(&body);
    match vault::find(call).await {
        Ok(vault) => change(call, vault, &body).await,
        Err(error) if error.status == StatusCode::NOT_FOUND => create(call, &body).await,
        Err(error) => Err(error),
    }
}

async fn create(call: &Call, body: &Loose<'_>) -> ArmResult<Reply> {
    let group = groups::find(call).await?;
    let name: VaultName = call
        .parameter("vaultName")
        .parse()
        .map_err(|error| ArmError::bad("InvalidResourceName", format!("{error}.")))?;
    let region = region(body)?;
    let redundancy = redundancy(body)?.unwrap_or_default();
    let mut record = Record::default();
    record.take(body)?;
    record.text()?;
    let settings = security::taken(&VaultSettings::default(), body)?;
    if let Some(why) = VaultSettings::default().refuses(&settings) {
        return Err(VaultError::SettingsRefused { why }.into());
    }
    let new = NewVault {
        name,
        resource_group: group.name,
        region,
        redundancy,
    };
    let created = call.shared.vaults.create(&new).await;
    let info = created.map_err(refuse)?;
    tracing::info!(vault = %info.vault.name, id = %info.vault.id, "created a vault");
    let mut vault = vault::with_record(call, info).await?;
    vault.record = record;
    vault.write_record(call).await?;
    vault.change_settings(call, settings).await?;
    let vault = vault::find(call).await?;
    Ok(Reply::created(vault.view()))
}

/// `PATCH` of a vault.
pub(crate) async fn patch(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let vault = vault::find(call).await?;
    change(call, vault, &Loose::new(&body)).await
}

async fn change(call: &Call, mut vault: Vault, body: &Loose<'_>) -> ArmResult<Reply> {
    if body.get("location").is_some() && region(body)? != vault.info.vault.region {
        return Err(ArmError::conflict(
            "InvalidResourceLocation",
            format!(
                "The vault is in {} already, and cannot be moved.",
                vault.info.vault.region
            ),
        ));
    }
    if let Some(wanted) = redundancy(body)? {
        same_redundancy(&vault, wanted)?;
    }
    let settings = security::taken(&vault.info.vault.settings, body)?;
    vault.record.take(body)?;
    vault.record.text()?;
    vault.change_settings(call, settings).await?;
    vault.write_record(call).await?;
    Ok(Reply::ok(vault.view()))
}

/// `DELETE` of a vault. The operation is there to be asked for when the vault is gone.
pub(crate) async fn delete(call: &Call) -> ArmResult<Reply> {
    let begun = call.shared.clock.now();
    let vault = match vault::find(call).await {
        Err(error) if error.status == StatusCode::NOT_FOUND => return Ok(Reply::no_content()),
        found => found?,
    };
    let name = vault.info.vault.name.clone();
    call.shared.vaults.delete(&name).await.map_err(|error| {
        let refused = ArmError::from(refuse(error));
        match refused.code {
            // With the native interface it is a conflict; Azure says so.
            "ServiceResourceNotEmptyWithBackendMessage" => ArmError::bad(refused.code, refused.message),
            _ => refused,
        }
    })?;
    tracing::info!(vault = %name, id = %vault.info.vault.id, "deleted a vault");
    let id = tracked::keep(call, &vault.path, begun, Outcome::default()).await?;
    Ok(tracked::accepted(
        call,
        &vault.path.0,
        Some("operationStatus"),
        "operationResults",
        id,
    ))
}

/// `GET` of the result of an operation on a vault: the vault, or nothing if it is gone.
pub(crate) async fn result(call: &Call) -> ArmResult<Reply> {
    tracked::find(call).await?;
    match vault::find(call).await {
        Err(error) if error.status == StatusCode::NOT_FOUND => Ok(Reply::ok(json!({}))),
        found => Ok(Reply::ok(found?.view())),
    }
}

/// `POST …/checkNameAvailability`.
pub(crate) async fn check_name(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let name = Loose::new(&body).need("name")?.text()?;
    let unavailable =
        |reason: &str, message: String| json!({ "nameAvailable": false, "reason": reason, "message": message });
    Ok(Reply::ok(match name.parse::<VaultName>() {
        Err(error) => unavailable("Invalid", format!("{error}.")),
        Ok(parsed) => match call.shared.vaults.show(&parsed).await {
            Ok(_) => unavailable("AlreadyExists", format!("{VAULT_KIND}/{name} exists.")),
            Err(VaultError::VaultNotFound) => json!({ "nameAvailable": true }),
            Err(error) => return Err(refuse(error).into()),
        },
    }))
}

/// The location of a body, as Azure writes it: in small letters and without spaces.
pub(crate) fn region(body: &Loose<'_>) -> ArmResult<Region> {
    let Some(location) = body.get("location") else {
        return Err(ArmError::bad(
            "LocationRequired",
            "The location property is required for this definition.",
        ));
    };
    let small = location.text()?.to_ascii_lowercase().replace(' ', "");
    small
        .parse()
        .map_err(|error| ArmError::bad("LocationNotAvailableForResourceType", format!("{error}.")))
}

/// The redundancy that a body asks for, if it does.
fn redundancy(body: &Loose<'_>) -> ArmResult<Option<Redundancy>> {
    let settings = body
        .get("properties")
        .and_then(|properties| properties.get("redundancySettings"));
    let Some(settings) = settings else {
        return Ok(None);
    };
    if let Some(other) = settings
        .get("crossRegionRestore")
        .filter(|other| other.text() == Ok("Enabled"))
    {
        return Err(other.wrong("Strongroom does not restore from a second region yet"));
    }
    let wanted = settings.get("standardTierStorageRedundancy");
    wanted.map(|wanted| redundancy_of(&wanted)).transpose()
}

/// A redundancy by Azure's name.
pub(crate) fn redundancy_of(text: &Loose<'_>) -> ArmResult<Redundancy> {
    text.text()?.parse().map_err(|error| text.wrong(&format!("{error}")))
}

/// Refuses another redundancy than the vault's, which is chosen when it is made.
pub(crate) fn same_redundancy(vault: &Vault, wanted: Redundancy) -> ArmResult<()> {
    let has = vault.info.vault.redundancy;
    match has == wanted {
        true => Ok(()),
        false => Err(ArmError::bad(
            "CloudErrorStorageTypeLocked",
            format!("The vault is {has} since it was made: for {wanted}, make another vault."),
        )),
    }
}
