//! Whether the clock can be believed. A clock that jumps ahead by a year would let every recovery point expire.
//!
//! The service writes down the time that it sees. A time much later than the last one means that the service was off, or
//! that the clock jumped: nobody can tell. So nothing expires for a day then, in which somebody can set it right. A time
//! before the last one means that it was wrong before: what was planned for a future that does not come is planned anew.

use jiff::{SignedDuration, Timestamp};
use strongroom_vault::VaultError;

use crate::shared::Shared;

/// The time that was seen last.
const SEEN: &str = "clock.seen";
/// Nothing expires before.
const EXPIRE_FROM: &str = "clock.expire_from";

/// A step larger than this is a jump.
const JUMP: SignedDuration = SignedDuration::from_hours(1);
/// How long nothing expires after a jump.
const PAUSE: SignedDuration = SignedDuration::from_hours(24);

/// What a look at the clock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It goes on.
    Steady,
    /// It jumped ahead, or the service was off.
    Ahead(SignedDuration),
    /// It was set back.
    Back(SignedDuration),
}

fn compare(last: Option<Timestamp>, now: Timestamp) -> Seen {
    let Some(last) = last else { return Seen::Steady };
    let step = now.duration_since(last);
    match step {
        _ if step > JUMP => Seen::Ahead(step),
        _ if step < -JUMP => Seen::Back(-step),
        _ => Seen::Steady,
    }
}

/// Looks at the clock. Returns whether recovery points may expire.
pub(crate) async fn look(shared: &Shared) -> Result<bool, VaultError> {
    let now = shared.clock.now();
    let last = read(shared, SEEN).await?;
    match compare(last, now) {
        Seen::Steady => {}
        Seen::Ahead(step) => {
            let from = now.checked_add(PAUSE).unwrap_or(Timestamp::MAX);
            write(shared, EXPIRE_FROM, from).await?;
            shared.vaults.raise_clock_jumped(step, from).await?;
            tracing::warn!(
                "the service was off, or its clock jumped ahead, by {} minutes: no recovery point expires before {from}",
                step.as_mins()
            );
        }
        Seen::Back(step) => {
            write(shared, EXPIRE_FROM, Timestamp::UNIX_EPOCH).await?;
            tracing::warn!(
                "the clock was set back by {} minutes: schedules are planned anew",
                step.as_mins()
            );
            shared.vaults.plan_anew().await?;
            shared.vaults.deliver_anew().await?;
        }
    }
    write(shared, SEEN, now).await?;
    match read(shared, EXPIRE_FROM).await? {
        None => Ok(true),
        Some(from) if from <= now => {
            shared.vaults.resolve_clock_jumped().await?;
            Ok(true)
        }
        Some(_) => Ok(false),
    }
}

async fn read(shared: &Shared, name: &str) -> Result<Option<Timestamp>, VaultError> {
    Ok(shared.db.setting(name).await?.and_then(|text| text.parse().ok()))
}

async fn write(shared: &Shared, name: &str, moment: Timestamp) -> Result<(), VaultError> {
    Ok(shared.db.set_setting(name, &moment.to_string()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_told_from_steps() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let now = at("2026-11-21T12:00:00Z");
        assert_eq!(compare(None, now), Seen::Steady);
        assert_eq!(compare(Some(at("2026-11-21T11:30:00Z")), now), Seen::Steady);
        assert_eq!(compare(Some(at("2026-11-21T12:30:00Z")), now), Seen::Steady);
        let year = SignedDuration::from_hours(365 * 24);
        assert_eq!(compare(Some(at("2025-11-21T12:00:00Z")), now), Seen::Ahead(year));
        assert_eq!(compare(Some(at("2027-11-21T12:00:00Z")), now), Seen::Back(year));
    }
}
