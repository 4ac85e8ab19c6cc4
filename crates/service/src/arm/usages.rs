//! How much there is in a vault, in the clients' categories.

use serde_json::{Value, json};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::reply::Reply;
use super::vault;

/// `GET …/usages`.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let figures = vault::find(call).await?.info.figures;
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
        usage("Count", "MABProtectedItemCount", "File-Folders", figures.containers),
        usage("Count", "ProtectedItemCount", "Backup items", figures.containers),
        usage("Count", "IaaSVMProtectedItemCount", "Azure Virtual Machines", 0),
        usage("Count", "RecoveryPointCount", "Recovery points", figures.points),
        usage("Bytes", "GRSStorageUsage", "Stored bytes", figures.stored_bytes),
    ] })))
}

/// `GET …/backupUsageSummaries`.
pub(crate) async fn summaries(call: &Call) -> ArmResult<Reply> {
    let figures = vault::find(call).await?.info.figures;
    let mut filter = call.filter()?;
    let kind = filter.take("type").unwrap_or_default();
    filter.finish()?;
    let count = |name: &str, value: u64| json!({ "name": { "value": name }, "currentValue": value, "limit": -1, "unit": "Count" });
    let items = [("MAB", figures.containers), ("AzureIaasVM", 0), ("AzureWorkload", 0)];
    let value: Vec<Value> = match kind.as_str() {
        "BackupProtectedItemCountSummary" | "BackupProtectionContainerCountSummary" => {
            items.into_iter().map(|(name, value)| count(name, value)).collect()
        }
        _ => {
            return Err(ArmError::bad(
                "InvalidFilterInQueryString",
                "Filter by type: BackupProtectedItemCountSummary or BackupProtectionContainerCountSummary.",
            ));
        }
    };
    Ok(Reply::ok(json!({ "value": value })))
}
