//! What was left of a point is undone: the guest runs and is thawed, and the layers are gone.

use serde_json::json;
use tokio::task::JoinSet;

use super::Places;
use super::journal::{Entry, Journal, JournalError, Owned, Phase};
use super::layers::{self, LayerError};
use super::point_id::PointId;
use super::quiet::THAW_LIMIT;
use crate::description::MachineName;
use crate::guest_agent::{AgentError, GuestAgent};
use crate::machine;
use crate::qmp::{Monitor, MonitorError, SHORT};

/// Why something of a point is left. It is tried again at the next call.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    /// The guest may be stopped still.
    #[error("cannot make the guest run again: {0}")]
    NotResumed(MonitorError),
    /// The guest may be frozen still.
    #[error("cannot thaw the guest: {0}")]
    NotThawed(AgentError),
    /// Layers or files are left.
    #[error("cannot remove all of a point: {0}")]
    Layers(#[from] LayerError),
    /// The journal cannot be read or kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What was left of a point, and what became of it.
#[derive(Debug)]
pub struct Left {
    /// Whose disks; none if the journal's entry cannot be read.
    pub machine: Option<MachineName>,
    /// Which point; none if the journal's entry cannot be read.
    pub point: Option<PointId>,
    /// Whether all is gone now.
    pub settled: Result<(), Unsettled>,
}

/// Looks for points that nobody looks after any more. It is called at the start, and every few seconds.
pub struct Reaper {
    journal: Journal,
}

impl Reaper {
    /// For the points of a host.
    pub fn new(places: &Places) -> Self {
        Self {
            journal: Journal::new(&places.state),
        }
    }

    /// Undoes what was left. Points that are in use are not touched.
    ///
    /// # Errors
    /// Only when the folder of the journal cannot be read; else each point says what became of it.
    pub async fn recover(&self) -> Result<Vec<Left>, JournalError> {
        let mut all = Vec::new();
        // All at once, as each may be a guest that stands still: there is one for each machine at most.
        let mut settling = JoinSet::new();
        for owned in self.journal.left()? {
            match owned {
                Ok(owned) => drop(settling.spawn(one(owned))),
                Err(error) => all.push(Left {
                    machine: None,
                    point: None,
                    settled: Err(error.into()),
                }),
            }
        }
        while let Some(left) = settling.join_next().await {
            all.push(left.expect("nothing in it panics, and nobody stops it"));
        }
        Ok(all)
    }
}

async fn one(owned: Owned) -> Left {
    Left {
        machine: Some(owned.entry.machine.clone()),
        point: Some(owned.entry.point),
        settled: settle(owned, || ()).await,
    }
}

/// Undoes a point, and goes on with it if nobody waits for that any more.
pub(super) async fn settle_apart(owned: Owned) -> Result<(), Unsettled> {
    let settling = tokio::spawn(settle(owned, || ()));
    settling.await.expect("nothing in it panics, and nobody stops it")
}

/// Undoes a point, from whichever state. `awake` is called when the guest is as it was.
pub(super) async fn settle(mut owned: Owned, awake: impl FnOnce()) -> Result<(), Unsettled> {
    let mut monitor = match Monitor::connect(&owned.entry.qmp).await {
        // QEMU is gone, and with it all that was in its memory: guest and layers.
        Err(MonitorError::Absent { .. }) => {
            layers::remove_files(&owned.entry)?;
            return Ok(owned.finish()?);
        }
        Err(error) => {
            // The guest's agent has a socket of its own, and a frozen guest is the worst that can be.
            if owned.entry.phase == Phase::Freezing && thaw(&owned.entry).await.is_ok() {
                owned.advance(Phase::Stopping)?;
            }
            return Err(Unsettled::Layers(error.into()));
        }
        Ok(monitor) => monitor,
    };
    if matches!(owned.entry.phase, Phase::Stopping | Phase::Freezing) {
        resume(&mut monitor, &owned.entry)
            .await
            .map_err(Unsettled::NotResumed)?;
    }
    // A guest that is not thawed is no reason to leave the layers, but one to try again.
    let thawed = match owned.entry.phase {
        Phase::Freezing => thaw(&owned.entry).await,
        Phase::Preparing | Phase::Stopping | Phase::Live => Ok(()),
    };
    if thawed.is_ok() && owned.entry.phase != Phase::Live {
        owned.advance(Phase::Live)?;
    }
    awake();
    layers::take_away(&mut monitor, &owned.entry).await?;
    layers::remove_files(&owned.entry)?;
    thawed.map_err(Unsettled::NotThawed)?;
    Ok(owned.finish()?)
}

/// Makes the guest run, if it was we who stopped it: it ran before, the same QEMU stands still, and not for an error.
async fn resume(monitor: &mut Monitor, entry: &Entry) -> Result<(), MonitorError> {
    if !entry.was_running || !machine::was_told_to_stop(monitor).await? || !layers::exist(monitor, entry).await? {
        return Ok(());
    }
    monitor.command("cont", json!({}), SHORT).await.map(drop)
}

async fn thaw(entry: &Entry) -> Result<(), AgentError> {
    let Some(path) = &entry.agent else { return Ok(()) };
    match GuestAgent::new(path).make_thawed(THAW_LIMIT).await {
        // Without a socket there is no QEMU, and no guest.
        Err(error) if error.nobody_listens() => Ok(()),
        ended => ended.map(drop),
    }
}
