//! `backupSecurityPIN`: what a person types at a machine that wants to take something away.

use serde_json::{Value, json};
use strongroom_api::SecurityPin;

use super::call::Call;
use super::error::ArmResult;
use super::reply::Reply;
use super::{access, times, vault};
use crate::security_pins::issue_for;

/// `POST …/backupSecurityPIN`.
pub(crate) async fn issue(call: &Call) -> ArmResult<Reply> {
    let by = access::actor(call)?;
    let vault = vault::find(call).await?;
    let pin = issue_for(&call.shared, &vault.info.vault, &by).await?;
    Ok(Reply::ok(view(&pin)))
}

fn view(given: &SecurityPin) -> Value {
    let pin = given.pin.reveal();
    json!({ "token": pin, "securityPIN": pin, "expiryTimeInUtcTicks": times::ticks(given.expires) })
}
