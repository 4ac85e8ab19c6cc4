//! The file systems of a guest are frozen and thawed. Frozen ones take no writes, so a guest must never be left so.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{ANSWER_LIMIT, AgentError, GuestAgent};

/// Between attempts to thaw.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What the agent says of the guest's file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FreezeState {
    /// They take writes.
    Thawed,
    /// They do not.
    Frozen,
}

impl GuestAgent {
    /// Whether the guest's file systems are frozen.
    pub async fn freeze_state(&mut self, limit: Duration) -> Result<FreezeState, AgentError> {
        self.ask("guest-fsfreeze-status", json!({}), limit).await
    }

    /// Freezes all, and returns how many. If it takes longer than `limit` they may be frozen at any later moment:
    /// whoever gives up has to thaw.
    pub async fn freeze(&mut self, limit: Duration) -> Result<u64, AgentError> {
        self.ask("guest-fsfreeze-freeze", json!({}), limit).await
    }

    /// Thaws all, and returns how many. None are if none were frozen.
    pub async fn thaw(&mut self, limit: Duration) -> Result<u64, AgentError> {
        self.ask("guest-fsfreeze-thaw", json!({}), limit).await
    }

    /// Thaws, again and again until the agent says that it is so, and returns how many were thawed. An agent that is still
    /// busy with freezing answers when it is done with that.
    pub(crate) async fn make_thawed(&mut self, limit: Duration) -> Result<u64, AgentError> {
        let deadline = Instant::now() + limit;
        let mut thawed = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(ANSWER_LIMIT);
            let ended = match self.thaw(left).await {
                Ok(count) => {
                    thawed += count;
                    self.freeze_state(left.min(ANSWER_LIMIT)).await
                }
                Err(error) => Err(error),
            };
            match ended {
                Ok(FreezeState::Thawed) => return Ok(thawed),
                Err(error) if error.nobody_listens() || Instant::now() >= deadline => return Err(error),
                Ok(FreezeState::Frozen) if Instant::now() >= deadline => {
                    let command = "guest-fsfreeze-thaw";
                    return Err(AgentError::Silent { command, limit });
                }
                Ok(FreezeState::Frozen) | Err(_) => sleep(AGAIN_AFTER).await,
            }
        }
    }
}
