//! A vault's extended information: what the clients' vault credentials once were made with. It is kept and given back.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::reply::Reply;
use super::vault::{self, Vault};

const MEMBERS: [&str; 4] = ["integrityKey", "encryptionKey", "encryptionKeyThumbprint", "algorithm"];

/// `GET …/extendedInformation/vaultExtendedInfo`.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    match &vault.record.extended {
        Some(_) => Ok(view(&vault)),
        None => Err(ArmError::not_found(
            "ResourceExtendedInfoNotFound",
            "Nobody has given the vault extended information.",
        )),
    }
}

/// `PUT` and `PATCH` of it.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let mut vault = vault::find(call).await?;
    let properties = Loose::new(&body).need("properties")?;
    let mut extended = vault.record.extended.take().unwrap_or_default();
    for name in MEMBERS {
        if let Some(text) = properties.text_of(name)? {
            extended.insert(name.to_owned(), text.into());
        }
    }
    extended.entry("algorithm").or_insert_with(|| "None".into());
    vault.record.extended = Some(extended);
    vault.write_record(call).await?;
    Ok(view(&vault))
}

fn view(vault: &Vault) -> Reply {
    let properties: Map<String, Value> = vault.record.extended.clone().unwrap_or_default();
    Reply::ok(json!({
        "id": format!("{}/extendedInformation/vaultExtendedInfo", vault.path.0),
        "name": "vaultExtendedInfo",
        "type": "Microsoft.RecoveryServices/vaults/extendedInformation",
        "etag": vault.etag(),
        "properties": properties,
    }))
}
