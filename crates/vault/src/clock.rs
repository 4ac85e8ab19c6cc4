//! Whether the clock can be believed. A clock that jumps ahead by a year would let every recovery point expire.
//!
//! The service writes down the time that it sees. A time much later than the last one means that the service was off, or
//! that the clock jumped: nobody can tell. So nothing expires for a day then, in which somebody can set it right. A time
//! before the last one means that it was wrong before: what was planned for a future that does not come is planned anew.

use jiff::{SignedDuration, Timestamp};

use crate::{VaultError, Vaults};

/// The time that was seen last.
const SEEN: &str = "clock.seen";
/// Nothing expires before.
const EXPIRE_FROM: &str = "clock.expire_from";

/// How long nothing expires after a jump.
const PAUSE: SignedDuration = SignedDuration::from_hours(24);

/// How the clock went on since the last look, on whichever node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockStep {
    /// As it should.
    Steady,
    /// It jumped ahead, or the service was off.
    Ahead(SignedDuration),
    /// It was set back.
    Back(SignedDuration),
}

/// What a look at the clock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockLook {
    /// What became of the time since the last look.
    pub step: ClockStep,
    /// The time that it showed, when that can be believed: what was over then may go. `None`: nothing may. Whoever
    /// lets things go looks no second time, as the clock may jump between the two.
    pub believed: Option<Timestamp>,
}

impl Vaults {
    /// Looks at the clock, and plans everything anew that was planned by a wrong one. A time without a
    /// look that is longer than [`crate::Options::clock_jump`] is taken for one in which the service was off.
    pub async fn look_at_clock(&self) -> Result<ClockLook, VaultError> {
        let now = self.now();
        let step = compare(self.moment(SEEN).await?, now, self.0.options.clock_jump);
        match step {
            ClockStep::Steady => {}
            ClockStep::Ahead(step) => {
                let from = now.checked_add(PAUSE).unwrap_or(Timestamp::MAX);
                self.note_moment(EXPIRE_FROM, from).await?;
                self.raise_clock_jumped(step, from).await?;
            }
            ClockStep::Back(_) => {
                self.note_moment(EXPIRE_FROM, Timestamp::UNIX_EPOCH).await?;
                self.plan_anew().await?;
                self.deliver_anew().await?;
            }
        }
        self.note_moment(SEEN, now).await?;
        let from = self.moment(EXPIRE_FROM).await?;
        let believed = from.is_none_or(|from| from <= now).then_some(now);
        if from.is_some() && believed.is_some() {
            self.resolve_clock_jumped().await?;
        }
        Ok(ClockLook { step, believed })
    }

    async fn moment(&self, name: &str) -> Result<Option<Timestamp>, VaultError> {
        Ok(self.db().setting(name).await?.and_then(|text| text.parse().ok()))
    }

    async fn note_moment(&self, name: &str, moment: Timestamp) -> Result<(), VaultError> {
        Ok(self.db().set_setting(name, &moment.to_string()).await?)
    }
}

fn compare(last: Option<Timestamp>, now: Timestamp, jump: SignedDuration) -> ClockStep {
    let Some(last) = last else { return ClockStep::Steady };
    let step = now.duration_since(last);
    match step {
        _ if step > jump => ClockStep::Ahead(step),
        _ if step < -jump => ClockStep::Back(-step),
        _ => ClockStep::Steady,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_told_from_steps() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let hour = SignedDuration::from_hours(1);
        let now = at("2026-11-21T12:00:00Z");
        assert_eq!(compare(None, now, hour), ClockStep::Steady);
        assert_eq!(compare(Some(at("2026-11-21T11:30:00Z")), now, hour), ClockStep::Steady);
        assert_eq!(compare(Some(at("2026-11-21T12:30:00Z")), now, hour), ClockStep::Steady);
        let year = SignedDuration::from_hours(365 * 24);
        assert_eq!(
            compare(Some(at("2025-11-21T12:00:00Z")), now, hour),
            ClockStep::Ahead(year)
        );
        assert_eq!(
            compare(Some(at("2027-11-21T12:00:00Z")), now, hour),
            ClockStep::Back(year)
        );
    }
}
