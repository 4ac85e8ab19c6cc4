//! The long-running host: its own work, and that of each of its virtual machines, side by side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use strongroom_hypervisor::snapshot::Reaper;
use strongroom_model::{ContainerId, MachineName};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Host, Listed};
use crate::error::AgentError;
use crate::run::{Event, Role, run_as};

/// How often is looked for virtual machines when nobody asks for it.
const DISCOVERY: Duration = Duration::from_secs(3600);

/// When it is tried again after it failed.
const DISCOVERY_AGAIN: Duration = Duration::from_secs(60);

/// How often is looked for what was left of snapshots: a guest may stand still.
const REAPING: Duration = Duration::from_secs(5);

/// What a running host tells whoever started it.
#[derive(Debug)]
pub enum HostEvent {
    /// Of the host itself.
    Own(Event),
    /// Of one of its virtual machines.
    Machine(MachineName, Event),
    /// It has looked for virtual machines.
    Discovered(Listed),
    /// It could not.
    NotDiscovered(AgentError),
    /// What an earlier backup has left of a snapshot was undone, or could not be.
    Undone {
        /// Whose disks, if that is known.
        machine: Option<String>,
        /// Why it is to be tried again.
        why_not: Option<String>,
    },
}

/// Works until `stop`, as [`crate::run()`] does for one machine.
pub async fn run_host(host: Arc<Host>, stop: impl Future<Output = ()>, mut tell: impl FnMut(HostEvent)) {
    let (events, mut heard) = mpsc::channel::<HostEvent>(64);
    let (ending, ended) = watch::channel(false);
    let (wanted, mut discovery_wanted) = mpsc::channel::<()>(1);
    let mut work = JoinSet::new();
    let mut machines: BTreeMap<MachineName, (ContainerId, AbortHandle)> = BTreeMap::new();
    work.spawn(reap(host.clone(), ended.clone(), events.clone()));
    work.spawn({
        let (role, events) = (Role::Host { discovery: wanted }, events.clone());
        let (machine, until) = (host.machine().clone(), until(ended.clone()));
        async move { run_as(role, machine, until, |event| say(&events, HostEvent::Own(event))).await }
    });
    let mut next = Instant::now();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(event) = heard.recv() => tell(event),
            Some(()) = discovery_wanted.recv() => next = Instant::now(),
            () = sleep_until(next) => {
                let listed = host.discover().await;
                next = Instant::now() + if listed.is_ok() { DISCOVERY } else { DISCOVERY_AGAIN };
                match listed {
                    Ok(listed) => {
                        for found in &listed.machines {
                            let name = found.name.clone();
                            let machine = match host.virtual_machine(&name) {
                                Ok(machine) => machine,
                                Err(error) => {
                                    tell(HostEvent::NotDiscovered(error));
                                    continue;
                                }
                            };
                            let container = machine.state().container;
                            if machines.get(&name).is_some_and(|(known, _)| *known == container) {
                                continue;
                            }
                            let (role, events) = (Role::VirtualMachine(host.clone()), events.clone());
                            let (until, teller) = (until(ended.clone()), name.clone());
                            let running = work.spawn(async move {
                                let tell = |event| say(&events, HostEvent::Machine(teller.clone(), event));
                                run_as(role, Arc::new(machine), until, tell).await;
                            });
                            // One that was unregistered and found again is another one to the service.
                            if let Some((_, former)) = machines.insert(name, (container, running)) {
                                former.abort();
                            }
                        }
                        tell(HostEvent::Discovered(listed));
                    }
                    Err(error) => tell(HostEvent::NotDiscovered(error)),
                }
            }
        }
    }
    let _all_are_told = ending.send(true);
    drop(events);
    // What they still say is of interest while they end.
    loop {
        tokio::select! {
            over = work.join_next() => if over.is_none() { break },
            Some(event) = heard.recv() => tell(event),
        }
    }
}

/// What is told to nobody is lost: the host's log may lack a line, and its work goes on.
fn say(events: &mpsc::Sender<HostEvent>, event: HostEvent) {
    if let Err(error) = events.try_send(event) {
        tracing::debug!(%error, "an event is not told");
    }
}

async fn until(mut ended: watch::Receiver<bool>) {
    let _it_ends_or_is_gone = ended.wait_for(|&ended| ended).await;
}

async fn reap(host: Arc<Host>, ended: watch::Receiver<bool>, events: mpsc::Sender<HostEvent>) {
    let reaper = Reaper::new(&host.places());
    let end = until(ended);
    tokio::pin!(end);
    loop {
        match reaper.recover().await {
            Ok(left) => {
                for left in left {
                    let event = HostEvent::Undone {
                        machine: left.machine.map(|machine| machine.to_string()),
                        why_not: left.settled.err().map(|why| why.to_string()),
                    };
                    say(&events, event);
                }
            }
            Err(error) => say(
                &events,
                HostEvent::Undone {
                    machine: None,
                    why_not: Some(error.to_string()),
                },
            ),
        }
        tokio::select! {
            () = &mut end => return,
            () = sleep(REAPING) => {}
        }
    }
}
