//! `backupstorageconfig`: in how many places a vault keeps its objects. It is chosen when the vault is made.

use serde_json::json;

use super::call::Call;
use super::error::ArmResult;
use super::loose::Loose;
use super::reply::Reply;
use super::vault::{self, Vault};
use super::vaults::{redundancy_of, same_redundancy};

/// `GET …/backupstorageconfig/vaultstorageconfig`.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    Ok(view(&vault::find(call).await?))
}

/// `PUT` of it.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    Ok(view(&checked(call).await?))
}

/// `PATCH` of it, which is answered without a body.
pub(crate) async fn patch(call: &Call) -> ArmResult<Reply> {
    checked(call).await.map(|_| Reply::no_content())
}

async fn checked(call: &Call) -> ArmResult<Vault> {
    let body = call.json()?;
    let vault = vault::find(call).await?;
    let Some(properties) = Loose::new(&body).get("properties") else {
        return Ok(vault);
    };
    for name in ["storageType", "storageModelType"] {
        if let Some(wanted) = properties.get(name) {
            same_redundancy(&vault, redundancy_of(&wanted)?)?;
        }
    }
    match properties.get("crossRegionRestoreFlag") {
        Some(flag) if flag.flag()? => Err(flag.wrong("Strongroom does not restore from a second region yet")),
        _ => Ok(vault),
    }
}

fn view(vault: &Vault) -> Reply {
    let redundancy = vault.info.vault.redundancy.to_string();
    Reply::ok(json!({
        "id": format!("{}/backupstorageconfig/vaultstorageconfig", vault.path.0),
        "name": "vaultstorageconfig",
        "type": "Microsoft.RecoveryServices/vaults/backupstorageconfig",
        "properties": {
            "storageModelType": redundancy,
            "storageType": redundancy,
            "storageTypeState": "Locked",
            "crossRegionRestoreFlag": false,
        },
    }))
}
