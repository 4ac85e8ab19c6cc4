//! How much there is in a vault, in the clients' categories.

use serde_json::{Value, json};
use strongroom_model::ItemState;

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::items;
use super::reply::Reply;
use super::vault::{self, Vault};

/// `GET …/usages`.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let (figures, items) = (vault.info.figures, protected(call, &vault).await?);
    let usage = |unit: &str, name: &str, words: &str, value: u64| {
        json!({
            "unit": unit,
            "currentValue": value,
            "limit": -1,
            "name": { "value": name, "localizedValue": words },
        })
    };
    Ok(Reply::ok(json!({ "value": [
        usage("Count", "MABContainersCount", "Registered machines", figures.containers),
        usage("Count", "MABProtectedItemCount", "File-Folders", items),
        usage("Count", "ProtectedItemCount", "Backup items", items),
        usage("Count", "IaaSVMProtectedItemCount", "Azure Virtual Machines", 0),
        usage("Count", "RecoveryPointCount", "Recovery points", figures.points),
        usage("Bytes", "GRSStorageUsage", "Stored bytes", figures.stored_bytes),
    ] })))
}

/// `GET …/backupUsageSummaries`.
pub(crate) async fn summaries(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let mut filter = call.filter()?;
    let kind = filter.take("type").unwrap_or_default();
    filter.finish()?;
    let count = |name: &str, value: u64| json!({ "name": { "value": name }, "currentValue": value, "limit": -1, "unit": "Count" });
    let value: Vec<Value> = match kind.as_str() {
        "BackupProtectedItemCountSummary" => vec![count("MAB", protected(call, &vault).await?)],
        "BackupProtectionContainerCountSummary" => vec![count("MAB", vault.info.figures.containers)],
        _ => {
            return Err(ArmError::bad(
                "InvalidFilterInQueryString",
                "Filter by type: BackupProtectedItemCountSummary or BackupProtectionContainerCountSummary.",
            ));
        }
    };
    Ok(Reply::ok(json!({ "value": value })))
}

/// How many items of a vault are or were protected.
async fn protected(call: &Call, vault: &Vault) -> ArmResult<u64> {
    let items = items::all(call, vault).await?;
    let protected = items.iter().filter(|item| item.state != ItemState::NotProtected);
    Ok(protected.count() as u64)
}
