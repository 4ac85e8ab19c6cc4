//! Looks at the clock, which may jump. What it shows is believed as [`ClockWatch`](strongroom_model::ClockWatch) says.

use jiff::Timestamp;
use strongroom_model::ClockStep;

use crate::{VaultError, Vaults};

/// What a look at the clock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockLook {
    /// What became of the time since the last look.
    pub step: ClockStep,
    /// The time that is believed, never later than the one that the clock showed: what was over then may go. Whoever lets
    /// things go looks no second time, as the clock may jump between the two.
    pub believed: Timestamp,
}

impl Vaults {
    /// Looks at the clock, and plans everything anew that was planned by a wrong one. A time without a
    /// look that is longer than [`crate::Options::clock_jump`] is taken for one in which the service was off.
    pub async fn look_at_clock(&self) -> Result<ClockLook, VaultError> {
        let (watch, step) = self.db().look_at_clock(self.now(), self.0.options.clock_jump).await?;
        if watch.is_settled() {
            self.resolve_clock_jumped().await?;
        }
        let believed = watch.believed();
        Ok(ClockLook { step, believed })
    }
}
