//! Taking a point, so that whatever ends the attempt the guest goes on as before.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::time::Instant;

use super::bitmaps::Plan;
use super::journal::{Entry, EntryDisk, Journal, Owned, Phase};
use super::layers::{self, Switched};
use super::point::{Point, PointDisk};
use super::quiet::{self, NotFrozen, THAW_LIMIT, WhyNotBetter};
use super::reaper::{settle, settle_apart};
use super::{Consistency, Places, Request, SnapshotError};
use crate::block;
use crate::description::Description;
use crate::discovery::check_uuid;
use crate::disk::{Disk, LeftOut};
use crate::guest_agent::GuestAgent;
use crate::machine::{self, OURS, State};
use crate::qmp::Monitor;

/// How long whoever drops an attempt waits for the guest to be awake. After that a thread of its own goes on trying.
const AWAKE_LIMIT: Duration = Duration::from_secs(15);

/// Takes a point of a machine that runs.
///
/// When the returned future is dropped, the attempt is undone by a thread of its own; the drop waits some seconds for the
/// guest to be awake, if it was not.
pub async fn take(places: &Places, description: &Description, request: Request) -> Result<Point, SnapshotError> {
    let mut monitor = Monitor::connect(&description.qmp).await?;
    let uuid = machine::uuid(&mut monitor).await?;
    check_uuid(description, uuid)?;
    if !machine::capabilities(&mut monitor).await?.suffice() {
        return Err(SnapshotError::TooOld(monitor.version().clone()));
    }
    let state = machine::state(&mut monitor).await?;
    let (disks, left_out) = machine::disks(&mut monitor).await?;
    let plans = plan(&mut monitor, &request, disks).await?;
    let entry = first_entry(places, description, &request, state, &plans);
    let attempt = Attempt {
        agent: description.agent.as_deref().map(GuestAgent::new),
        monitor,
        left: Leftovers(Some(Journal::new(&places.state).begin(entry)?)),
    };
    attempt.run(&request, state, plans, left_out).await
}

async fn plan(monitor: &mut Monitor, request: &Request, disks: Vec<Disk>) -> Result<Vec<Plan>, SnapshotError> {
    let nodes = block::nodes(monitor).await?;
    let ours = nodes
        .iter()
        .filter_map(|node| node.name())
        .find(|name| name.as_str().starts_with(OURS));
    let mut plans = Vec::new();
    for disk in disks {
        let (Some(device), Some(name)) = (disk.device.clone(), &disk.node) else {
            continue;
        };
        if request.excluded.contains(&device) {
            continue;
        }
        let Some(node) = nodes.iter().find(|node| node.is(name)) else {
            continue;
        };
        plans.push(Plan::new(request.point, device, &disk, node, request.base.as_ref()));
    }
    match ours {
        Some(name) => Err(SnapshotError::LeftBehind(name.to_string())),
        None if plans.is_empty() => Err(SnapshotError::NoDisks),
        None => Ok(plans),
    }
}

fn first_entry(places: &Places, description: &Description, request: &Request, state: State, plans: &[Plan]) -> Entry {
    let disk = |plan: &Plan| EntryDisk {
        device: plan.mark.device.clone(),
        node: plan.node.clone(),
    };
    Entry {
        version: Entry::VERSION,
        point: request.point,
        machine: description.name.clone(),
        qmp: description.qmp.clone(),
        agent: description.agent.clone(),
        folder: places.points.join(request.point.short()),
        was_running: state == State::Running,
        disks: plans.iter().map(disk).collect(),
        phase: Phase::Preparing,
    }
}

/// Fields are dropped in this order: whoever undoes the attempt needs the monitor and the agent.
struct Attempt {
    monitor: Monitor,
    agent: Option<GuestAgent>,
    left: Leftovers,
}

/// What was reached of what was wanted.
struct Quiet {
    frozen: Option<(u64, Instant)>,
    why_not_better: Option<WhyNotBetter>,
}

impl Attempt {
    async fn run(
        mut self,
        request: &Request,
        state: State,
        plans: Vec<Plan>,
        left_out: Vec<LeftOut>,
    ) -> Result<Point, SnapshotError> {
        match self.attempt(request, state, &plans).await {
            Ok((quiet, frozen, stopped)) => Ok(self.point(request, plans, left_out, quiet, frozen, stopped)),
            Err(error) => {
                let Self {
                    monitor,
                    agent,
                    mut left,
                } = self;
                drop((monitor, agent));
                let owned = left.0.take().expect("it is taken once");
                if let Err(unsettled) = settle_apart(owned).await {
                    tracing::error!("a point that failed is still to be undone: {unsettled}");
                }
                Err(error)
            }
        }
    }

    async fn attempt(
        &mut self,
        request: &Request,
        state: State,
        plans: &[Plan],
    ) -> Result<(Quiet, Option<Duration>, Option<Duration>), SnapshotError> {
        layers::prepare(&mut self.monitor, &self.left.owned().entry, plans).await?;
        for plan in plans {
            layers::remove_bitmaps(&mut self.monitor, &plan.node, &plan.useless).await?;
        }
        let mut quiet = self.quieten(request, state).await?;
        let deadline = Instant::now() + request.limits.frozen;
        let switched = layers::switch(&mut self.monitor, &self.left.owned().entry, plans, deadline).await;
        let Switched { done, resumed, stopped } = switched;
        resumed.map_err(SnapshotError::NotResumed)?;
        let frozen = self.thaw(&mut quiet).await?;
        done?;
        self.left.owned().advance(Phase::Live)?;
        layers::export(&mut self.monitor, &self.left.owned().entry, plans).await?;
        let stopped = (state == State::Running).then_some(stopped);
        Ok((quiet, frozen, stopped))
    }

    /// Freezes the guest, if that is wanted and can be. From here on it may have to be made to run.
    async fn quieten(&mut self, request: &Request, state: State) -> Result<Quiet, SnapshotError> {
        let begun = Instant::now();
        let mut why = WhyNotBetter::NotAsked;
        if request.wanted == Consistency::FileSystem {
            let agent = self.agent.as_mut();
            match (
                quiet::can_freeze(agent, &mut self.monitor, state).await?,
                self.agent.as_mut(),
            ) {
                (Ok(()), Some(agent)) => {
                    self.left.owned().advance(Phase::Freezing)?;
                    match quiet::freeze(agent, request.limits.freeze).await {
                        Ok(count) => {
                            return Ok(Quiet {
                                frozen: Some((count, begun)),
                                why_not_better: None,
                            });
                        }
                        Err(NotFrozen::Thawed(reason)) => why = reason,
                        Err(NotFrozen::Unknown(error)) => return Err(SnapshotError::NotThawed(error)),
                    }
                }
                (Ok(()), None) => why = WhyNotBetter::NoAgent,
                (Err(reason), _) => why = reason,
            }
            if request.insist {
                return Err(SnapshotError::NotConsistent(why));
            }
        }
        self.left.owned().advance(Phase::Stopping)?;
        Ok(Quiet {
            frozen: None,
            why_not_better: Some(why),
        })
    }

    /// Thaws the guest, and returns for how long it was frozen.
    async fn thaw(&mut self, quiet: &mut Quiet) -> Result<Option<Duration>, SnapshotError> {
        let (Some((frozen, since)), Some(agent)) = (quiet.frozen, self.agent.as_mut()) else {
            return Ok(None);
        };
        let thawed = agent.make_thawed(THAW_LIMIT).await.map_err(SnapshotError::NotThawed)?;
        // A guest that was thawed by somebody may have written before the moment of the point.
        if thawed < frozen {
            quiet.why_not_better = Some(WhyNotBetter::ThawedEarly { frozen, thawed });
        }
        Ok(Some(since.elapsed()))
    }

    fn point(
        mut self,
        request: &Request,
        plans: Vec<Plan>,
        left_out: Vec<LeftOut>,
        quiet: Quiet,
        frozen: Option<Duration>,
        stopped: Option<Duration>,
    ) -> Point {
        let owned = self.left.0.take().expect("it is taken once");
        let (mut disks, mut older) = (Vec::new(), Vec::new());
        for (at, plan) in plans.into_iter().enumerate() {
            disks.push(PointDisk {
                export: request.point.layer(super::point_id::Layer::Export, at),
                changed: plan.changed,
                mark: plan.mark,
            });
            older.push((plan.node, plan.older));
        }
        Point {
            id: request.point,
            disks,
            left_out,
            consistency: match quiet.why_not_better {
                None => Consistency::FileSystem,
                Some(_) => Consistency::Crash,
            },
            why_not_better: quiet.why_not_better,
            frozen,
            stopped,
            socket: layers::socket(&owned.entry),
            owned,
            older,
        }
    }
}

/// What an attempt leaves if nobody undoes it: by a panic, or as nobody waits for it any more.
struct Leftovers(Option<Owned>);

impl Leftovers {
    fn owned(&mut self) -> &mut Owned {
        self.0.as_mut().expect("it is taken only at the end")
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        let Some(owned) = self.0.take() else { return };
        let asleep = matches!(owned.entry.phase, Phase::Stopping | Phase::Freezing);
        let (awake, wait) = mpsc::channel();
        // Not on the runtime that this is called on, which may be going as well.
        let undoing = thread::Builder::new().name("undo a point".into()).spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            // It is heard only while somebody waits.
            let awake = move || {
                let _ = awake.send(());
            };
            if let Err(unsettled) = runtime.block_on(settle(owned, awake)) {
                tracing::error!("a point that was dropped is still to be undone: {unsettled}");
            }
        });
        if undoing.is_ok() && asleep {
            // The sender goes when it is done or has failed.
            let _ = wait.recv_timeout(AWAKE_LIMIT);
        }
    }
}
