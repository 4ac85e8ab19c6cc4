//! Questions to the provider about things outside of any vault.

use serde_json::json;

use super::call::Call;
use super::error::ArmResult;
use super::loose::Loose;
use super::reply::Reply;

/// `POST …/backupValidateFeatures`.
pub(crate) fn features(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    Loose::new(&body).need("featureType")?.text()?;
    Ok(Reply::ok(json!({ "supportStatus": "NotSupported" })))
}

/// `POST …/backupPreValidateProtection`.
pub(crate) fn validate(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    Loose::new(&body).need("resourceId")?.text()?;
    Ok(Reply::ok(json!({
        "status": "Failed",
        "errorCode": "UserErrorResourceNotFound",
        "errorMessage": "The resource is not registered here.",
        "recommendation": "Register its machine with a vault: `strongroom agent register`.",
        "containerName": "",
        "protectedItemName": "",
    })))
}
