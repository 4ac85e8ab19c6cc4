//! Soft delete and immutability: the vault's promises about its own data, in ARM's words.

use serde_json::{Value, json};
use strongroom_model::{Immutability, SoftDelete, VaultSettings};

use super::error::ArmResult;
use super::loose::Loose;

/// Least retentions are always on.
pub(crate) const ENHANCED: &str = "Enabled";

/// What a vault's settings become if the body of a vault is taken over; what it does not mention stays.
pub(crate) fn taken(settings: &VaultSettings, body: &Loose<'_>) -> ArmResult<VaultSettings> {
    let mut next = settings.clone();
    let said = body
        .get("properties")
        .and_then(|properties| properties.get("securitySettings"));
    let Some(said) = said else {
        return Ok(next);
    };
    if let Some(state) = said
        .get("immutabilitySettings")
        .and_then(|settings| settings.get("state"))
    {
        next.immutability = word(&state, Immutability::ALL, Immutability::as_str)?;
    }
    if let Some(soft_delete) = said.get("softDeleteSettings") {
        let days = soft_delete.get("softDeleteRetentionPeriodInDays");
        take_soft_delete(&mut next, soft_delete.get("softDeleteState"), days)?;
    }
    Ok(next)
}

/// Takes over whether soft delete is on, and for how many days.
pub(crate) fn take_soft_delete(
    next: &mut VaultSettings,
    state: Option<Loose<'_>>,
    days: Option<Loose<'_>>,
) -> ArmResult<()> {
    if let Some(state) = state {
        next.soft_delete = word(&state, SoftDelete::ALL, SoftDelete::as_str)?;
    }
    if let Some(days) = days {
        next.soft_delete_days = days.number()?;
    }
    Ok(())
}

/// A word of ours in any case: Azure itself writes `AlwaysON` and `AlwaysOn`.
fn word<T: Copy>(said: &Loose<'_>, known: &[T], spelled: fn(T) -> &'static str) -> ArmResult<T> {
    let text = said.text()?;
    let found = known
        .iter()
        .copied()
        .find(|one| spelled(*one).eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|one| spelled(*one)).collect();
        said.wrong(&format!("use {}", words.join(", ")))
    })
}

/// Azure's word for whether soft delete is on.
pub(crate) fn soft_delete(settings: &VaultSettings) -> &'static str {
    match settings.soft_delete {
        SoftDelete::AlwaysOn => "AlwaysON",
        other => other.as_str(),
    }
}

/// The `securitySettings` of a vault.
pub(crate) fn view(settings: &VaultSettings, is_guarded: bool) -> Value {
    json!({
        "softDeleteSettings": {
            "softDeleteState": soft_delete(settings),
            "softDeleteRetentionPeriodInDays": settings.soft_delete_days,
            "enhancedSecurityState": ENHANCED,
        },
        "immutabilitySettings": { "state": settings.immutability.as_str() },
        "multiUserAuthorization": if is_guarded { "Enabled" } else { "Disabled" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case() {
        let body = json!({ "properties": { "securitySettings": {
            "softDeleteSettings": { "softDeleteState": "AlwaysON", "softDeleteRetentionPeriodInDays": 30 },
            "immutabilitySettings": { "state": "unlocked" },
        } } });
        let settings = taken(&VaultSettings::default(), &Loose::new(&body)).unwrap();
        assert_eq!(settings.soft_delete, SoftDelete::AlwaysOn);
        assert_eq!(
            (settings.soft_delete_days, settings.immutability),
            (30, Immutability::Unlocked)
        );
        assert_eq!(
            view(&settings, false)["softDeleteSettings"]["softDeleteState"],
            "AlwaysON"
        );
        let same = taken(&settings, &Loose::new(&json!({ "tags": {} }))).unwrap();
        assert_eq!(same, settings);
        let wrong = json!({ "properties": { "securitySettings": { "immutabilitySettings": { "state": "Perhaps" } } } });
        let refused = taken(&settings, &Loose::new(&wrong)).unwrap_err();
        assert!(
            refused.message.contains("Disabled, Unlocked, Locked"),
            "{}",
            refused.message
        );
    }
}
