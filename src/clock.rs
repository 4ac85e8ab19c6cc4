//! The one place of the product that reads the system's clock.

use jiff::Timestamp;
use strongroom_model::Clock;

/// The system's clock.
pub(crate) fn system() -> Clock {
    Clock::from_fn(Timestamp::now)
}
