//! `backupconfig`, `backupEncryptionConfigs`: how a vault keeps what it has.

use serde_json::{Value, json};
use strongroom_model::SoftDelete;

use super::call::Call;
use super::error::ArmResult;
use super::loose::Loose;
use super::reply::Reply;
use super::security;
use super::vault::{self, Vault};

/// `GET …/backupconfig/vaultconfig`.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    Ok(Reply::ok(view(&vault::find(call).await?)))
}

/// `PUT` and `PATCH` of it.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let mut vault = vault::find(call).await?;
    if let Some(properties) = Loose::new(&body).get("properties") {
        if let Some(enhanced) = properties.get("enhancedSecurityState")
            && enhanced.text()?.eq_ignore_ascii_case("Disabled")
        {
            return Err(enhanced.wrong("least retentions and PINs are always on"));
        }
        let state = properties.get("softDeleteFeatureState");
        let days = properties.get("softDeleteRetentionPeriodInDays");
        let mut next = vault.info.vault.settings.clone();
        security::take_soft_delete(&mut next, state, days)?;
        vault.change_settings(call, next).await?;
    }
    Ok(Reply::ok(view(&vault)))
}

fn view(vault: &Vault) -> Value {
    let settings = &vault.info.vault.settings;
    json!({
        "id": format!("{}/backupconfig/vaultconfig", vault.path.0),
        "name": "vaultconfig",
        "type": "Microsoft.RecoveryServices/vaults/backupconfig",
        "properties": {
            "enhancedSecurityState": security::ENHANCED,
            "softDeleteFeatureState": security::soft_delete(settings),
            "softDeleteRetentionPeriodInDays": settings.soft_delete_days,
            "isSoftDeleteFeatureStateEditable": settings.soft_delete != SoftDelete::AlwaysOn,
            "storageModelType": vault.info.vault.redundancy.to_string(),
            "storageType": vault.info.vault.redundancy.to_string(),
            "storageTypeState": "Locked",
        },
    })
}

/// `GET …/backupEncryptionConfigs/backupResourceEncryptionConfig`: nobody but the machines has keys.
pub(crate) async fn encryption(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    Ok(Reply::ok(json!({
        "id": format!("{}/backupEncryptionConfigs/backupResourceEncryptionConfig", vault.path.0),
        "name": "backupResourceEncryptionConfig",
        "type": "Microsoft.RecoveryServices/vaults/backupEncryptionConfigs",
        "properties": {
            "encryptionAtRestType": "MicrosoftManaged",
            "lastUpdateStatus": "NotEnabled",
            "infrastructureEncryptionState": "Disabled",
        },
    })))
}
