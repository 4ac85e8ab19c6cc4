//! Recovery points of an item.

use serde_json::{Value, json};
use strongroom_model::policy::{Keep, Kept, Verdict, Workload};
use strongroom_vault::{ItemRow, PointRow};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::items;
use super::reply::Reply;
use super::vault::{self, Vault};
use super::{page, times};

/// `GET …/recoveryPoints`, newest first.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let item = items::find(call, &vault).await?;
    let mut filter = call.filter()?;
    let (since, until) = (filter.take_moment("startDate")?, filter.take_moment("endDate")?);
    // Which kinds of points: there is one.
    for key in [
        "restorePointQueryType",
        "extendedInfo",
        "moveReadyRPOnly",
        "targetTierType",
    ] {
        let _ = filter.take(key);
    }
    filter.finish()?;
    let points = call.shared.vaults.item_points(&item).await?;
    let fates = call.shared.vaults.verdicts(item.id).await?;
    let wanted = |point: &&PointRow| {
        since.is_none_or(|since| point.created >= since) && until.is_none_or(|until| point.created <= until)
    };
    let members = points.iter().filter(wanted).map(|point| {
        // In the order of the keys the newest is first.
        let key = format!("{:020}{}", i64::MAX - point.created.as_millisecond(), point.id);
        (key, view(&vault, &item, point, &fates))
    });
    page::list(call, members.collect())
}

/// `GET` of a recovery point.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let item = items::find(call, &vault).await?;
    let name = call.parameter("recoveryPointId");
    let points = call.shared.vaults.item_points(&item).await?;
    let point = points
        .iter()
        .find(|point| point.id.to_string().eq_ignore_ascii_case(name));
    let point = point.ok_or_else(|| {
        ArmError::not_found(
            "BMSUserErrorRecoveryPointNotFound",
            format!("The item has no recovery point '{name:.80}'."),
        )
    })?;
    let fates = call.shared.vaults.verdicts(item.id).await?;
    Ok(Reply::ok(view(&vault, &item, point, &fates)))
}

fn view(vault: &Vault, item: &ItemRow, point: &PointRow, fates: &[(Kept, Verdict)]) -> Value {
    let name = point.id.to_string();
    let fate = fates
        .iter()
        .find(|(kept, _)| kept.point == point.id)
        .map(|(_, verdict)| verdict);
    let mut fates_properties = json!({ "isSoftDeleted": item.deleted.is_some() });
    if let Some(Verdict::Keep(Keep::Rule(_, until) | Keep::Asked(until))) = fate {
        fates_properties["expiryTime"] = times::moment(*until).into();
    }
    let names = items::names(vault, item);
    let properties = match item.workload {
        Workload::VirtualMachine => json!({
            "objectType": "IaasVMRecoveryPoint",
            "recoveryPointType": kind(point.consistency),
            "recoveryPointTime": times::moment(point.created),
            "recoveryPointAdditionalInfo": "",
            "isSourceVMEncrypted": false,
            "isInstantIlrSessionActive": false,
            "recoveryPointTierDetails": [{ "type": "HardenedRP", "status": "Valid" }],
            "isManagedVirtualMachine": true,
            "originalStorageAccountOption": false,
            "recoveryPointProperties": fates_properties,
        }),
        _ => json!({
            "objectType": "GenericRecoveryPoint",
            "friendlyName": item.name,
            "recoveryPointType": "FileSystemConsistent",
            "recoveryPointTime": times::moment(point.created),
            "recoveryPointAdditionalInfo": format!("{} files, {} bytes", point.files, point.total_bytes),
            "recoveryPointProperties": fates_properties,
        }),
    };
    json!({
        "id": vault.path.point(&names.container, &names.item, &name),
        "name": name,
        "type": "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints",
        "properties": properties,
    })
}

/// Azure's word for how consistent a point is.
fn kind(consistency: u8) -> &'static str {
    match consistency {
        3 => "AppConsistent",
        2 => "FileSystemConsistent",
        _ => "CrashConsistent",
    }
}
