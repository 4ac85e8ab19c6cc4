//! Soft delete and the other promises of a vault about its own data.

use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::record::Record;

/// Least retentions, and a PIN for what is dangerous, are always on.
pub(crate) const ENHANCED: &str = "Enabled";

/// Takes over the security settings of a vault's body.
pub(crate) fn take(record: &mut Record, body: &Loose<'_>) -> ArmResult<()> {
    let settings = body
        .get("properties")
        .and_then(|properties| properties.get("securitySettings"));
    let Some(settings) = settings else {
        return Ok(());
    };
    if let Some(immutability) = settings
        .get("immutabilitySettings")
        .and_then(|settings| settings.get("state"))
        && !immutability.text()?.eq_ignore_ascii_case("Disabled")
    {
        return Err(immutability.wrong("Strongroom has no immutable vaults yet"));
    }
    if let Some(soft_delete) = settings.get("softDeleteSettings") {
        let state = soft_delete.get("softDeleteState");
        soft_delete_is(record, state, soft_delete.get("softDeleteRetentionPeriodInDays"))?;
    }
    Ok(())
}

/// Takes over whether soft delete is on, and for how many days.
pub(crate) fn soft_delete_is(record: &mut Record, state: Option<Loose<'_>>, days: Option<Loose<'_>>) -> ArmResult<()> {
    if let Some(state) = state {
        let known = ["Enabled", "Disabled", "AlwaysON"];
        let text = state.text()?;
        let wanted = known.into_iter().find(|known| known.eq_ignore_ascii_case(text));
        let wanted = wanted.ok_or_else(|| state.wrong("use Enabled, Disabled or AlwaysON"))?;
        if record.soft_delete.as_deref() == Some("AlwaysON") && wanted != "AlwaysON" {
            return Err(ArmError::bad(
                "BMSUserErrorSoftDeleteStateAlwaysOn",
                "Soft delete of this vault is always on, and cannot be turned off any more.",
            ));
        }
        record.soft_delete = Some(wanted.to_owned());
    }
    if let Some(days) = days {
        let count = days.number()?;
        if !(14..=180).contains(&count) {
            return Err(days.wrong("it is 14 to 180 days"));
        }
        record.soft_delete_days = Some(count);
    }
    Ok(())
}
