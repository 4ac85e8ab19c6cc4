//! Whether a guest's file systems can be frozen, and freezing them.

use std::time::Duration;

use crate::guest_agent::{ANSWER_LIMIT, AgentError, FreezeState, GuestAgent};
use crate::machine::State;
use crate::qmp::{Monitor, MonitorError};

/// Thawing runs the guest's hooks, and waits for a freeze that is still at work.
pub(super) const THAW_LIMIT: Duration = Duration::from_secs(60);

/// Why a point is not more consistent than it is; each is the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNotBetter {
    /// Nobody asked for more.
    #[error("it was not asked for")]
    NotAsked,
    /// The guest was paused before, so nothing in it can write what it knows.
    #[error("the guest is paused")]
    Paused,
    /// The description names no agent.
    #[error("the host knows of no agent in the guest")]
    NoAgent,
    /// Nobody in the guest listens.
    #[error("no agent runs in the guest: install and start qemu-guest-agent there")]
    AgentAbsent,
    /// The agent is there and does not answer.
    #[error("the guest's agent does not answer: {0}")]
    AgentSilent(String),
    /// Somebody else froze the guest, and may thaw it at any moment.
    #[error("somebody else has frozen the guest")]
    FrozenByOthers,
    /// The agent or a hook of the guest refused.
    #[error("the guest refused to freeze its file systems: {0}")]
    Refused(String),
    /// Freezing took too long.
    #[error("freezing the guest's file systems took over {0:?}")]
    TooSlow(Duration),
    /// The guest has no file system that can be frozen.
    #[error("the guest has no file system that can be frozen")]
    NothingToFreeze,
    /// Some were thawed before the point was made, by the guest or by somebody.
    #[error("only {thawed} of {frozen} file systems were still frozen afterwards")]
    ThawedEarly {
        /// How many were frozen.
        frozen: u64,
        /// How many still were.
        thawed: u64,
    },
}

/// Why the guest is not frozen now.
pub(super) enum NotFrozen {
    /// It is certainly thawed.
    Thawed(WhyNotBetter),
    /// That is not certain.
    Unknown(AgentError),
}

/// Whether the guest could be frozen. Nothing is changed by it.
pub(super) async fn can_freeze(
    agent: Option<&mut GuestAgent>,
    monitor: &mut Monitor,
    state: State,
) -> Result<Result<(), WhyNotBetter>, MonitorError> {
    if state != State::Running {
        return Ok(Err(WhyNotBetter::Paused));
    }
    let Some(agent) = agent else {
        return Ok(Err(WhyNotBetter::NoAgent));
    };
    if agent.is_listening(monitor).await? == Some(false) {
        return Ok(Err(WhyNotBetter::AgentAbsent));
    }
    Ok(match agent.freeze_state(ANSWER_LIMIT).await {
        Ok(FreezeState::Thawed) => Ok(()),
        Ok(FreezeState::Frozen) => Err(WhyNotBetter::FrozenByOthers),
        Err(error @ AgentError::Command { .. }) => Err(WhyNotBetter::Refused(error.to_string())),
        Err(error) => Err(WhyNotBetter::AgentSilent(error.to_string())),
    })
}

/// Freezes, and returns how many file systems. If it fails the guest is thawed.
pub(super) async fn freeze(agent: &mut GuestAgent, limit: Duration) -> Result<u64, NotFrozen> {
    let why = match agent.freeze(limit).await {
        Ok(0) => WhyNotBetter::NothingToFreeze,
        Ok(count) => return Ok(count),
        Err(error @ AgentError::Command { .. }) => WhyNotBetter::Refused(error.to_string()),
        // Freezing goes on in the guest, and is done at any later moment.
        Err(AgentError::Silent { .. }) => WhyNotBetter::TooSlow(limit),
        Err(error) => WhyNotBetter::AgentSilent(error.to_string()),
    };
    match agent.make_thawed(THAW_LIMIT).await {
        Ok(_) => Err(NotFrozen::Thawed(why)),
        Err(error) => Err(NotFrozen::Unknown(error)),
    }
}
