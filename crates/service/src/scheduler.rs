//! What the service does by itself: turns due schedules into jobs, calls machines, and looks after what is over.
//!
//! Every node does all of it. Each step is a statement that states its own condition, so that of several nodes one does
//! it; nothing is remembered between two looks but what is in the database, and how long this node has been listening.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use strongroom_model::ClockStep;
use strongroom_vault::{Dispatched, VaultError};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::listening::Listening;
use crate::shared::Shared;

/// Calls of other nodes are looked for so far back: their clocks may differ.
const LOOK_BACK: SignedDuration = SignedDuration::from_secs(30);

/// Runs until the service ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut ending = shared.ending.clone();
    let mut ticks = interval(shared.upkeep.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_round: Option<Instant> = None;
    let mut listening = Listening::from(shared.clock.now());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = ending.wait_for(|&ending| ending) => return,
        }
        let now = shared.clock.now();
        let is_round = last_round.is_none_or(|last| last.elapsed() >= shared.upkeep.round);
        if is_round {
            report("look after the service", round(&shared, &mut listening).await);
            last_round = Some(Instant::now());
        }
        report("turn due schedules into jobs", tick(&shared).await);
        if is_round {
            shared.metrics.clock_seen.set(now.as_second());
        }
    }
}

/// A failure is for the log; the next look finds what was left.
fn report(what: &str, result: Result<(), VaultError>) {
    if let Err(error) = result {
        tracing::error!(%error, "could not {what}: trying again");
    }
}

async fn tick(shared: &Shared) -> Result<(), VaultError> {
    for (item, outcome) in shared.vaults.dispatch().await? {
        match outcome {
            Dispatched::Made => {
                shared.metrics.jobs_scheduled.inc();
                shared.calls.call(item.container);
            }
            Dispatched::Waiting => {
                tracing::warn!(item = %item.item, "a backup did not run: the machine has not asked for work");
            }
            Dispatched::Busy => tracing::warn!(item = %item.item, "a backup was due while another one was under way"),
            Dispatched::Gone => {}
        }
    }
    let linked = shared.calls.count();
    shared.metrics.machines_linked.set(linked as i64);
    // Jobs that came through another node.
    if linked > 0 {
        let since = shared.clock.now().checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        for container in shared.vaults.machines_called(since).await? {
            shared.calls.call(container);
        }
    }
    Ok(())
}

/// Looks after what is over. What fails does not keep the rest from being done.
async fn round(shared: &Shared, listening: &mut Listening) -> Result<(), VaultError> {
    let now = shared.clock.now();
    let believed = look_at_clock(shared).await?;
    if listening.lasts(now, shared.upkeep.job_silence) {
        report("end silent jobs", end_silent_jobs(shared).await);
    }
    report("raise alerts", raise_alerts(shared).await);
    let forgotten = shared.vaults.forget_jobs(believed, shared.upkeep.job_history).await;
    report("forget old jobs", forgotten.map(drop));
    let forgotten = shared.vaults.forget_alerts(believed, shared.upkeep.job_history).await;
    report("forget old alerts", forgotten);
    report("let recovery points expire", expire(shared, believed).await);
    report("purge soft-deleted items", purge(shared, believed).await);
    report("purge soft-deleted vaults", purge_vaults(shared, believed).await);
    let figures = shared.db.state_figures(now).await?;
    shared.metrics.state.set(&figures, now);
    Ok(())
}

/// The time that is believed: what was over then may go.
async fn look_at_clock(shared: &Shared) -> Result<Timestamp, VaultError> {
    let look = shared.vaults.look_at_clock().await?;
    match look.step {
        ClockStep::Steady => {}
        ClockStep::Ahead(step) => tracing::warn!(
            "the service was off, or its clock jumped ahead, by {} minutes: nothing expires by that time until it has run for a day more",
            step.as_mins()
        ),
        ClockStep::Back(step) => tracing::warn!(
            "the clock was set back by {} minutes: schedules are planned anew",
            step.as_mins()
        ),
    }
    Ok(look.believed)
}

async fn raise_alerts(shared: &Shared) -> Result<(), VaultError> {
    let waiting = shared.vaults.raise_overdue(shared.notify.missed_after).await?;
    if waiting > 0 {
        tracing::warn!(
            waiting,
            "scheduled backups did not run: their machines have not asked for work"
        );
    }
    Ok(())
}

async fn end_silent_jobs(shared: &Shared) -> Result<(), VaultError> {
    for job in shared.vaults.fail_silent_jobs(shared.upkeep.job_silence).await? {
        tracing::warn!(machine = %job.name, job = %job.id, state = %job.state, "nothing was heard of a job: it is over");
        shared.metrics.job_ended(job.operation, job.state);
    }
    Ok(())
}

async fn expire(shared: &Shared, believed: Timestamp) -> Result<(), VaultError> {
    let pass = shared.vaults.expire(believed).await?;
    for (item, point) in &pass.gone {
        tracing::info!(%item, %point, "a recovery point has expired");
    }
    shared.metrics.points_expired.inc_by(pass.gone.len() as u64);
    for (item, error) in &pass.failed {
        tracing::error!(%item, %error, "could not let an item's recovery points expire: trying again");
    }
    Ok(())
}

async fn purge_vaults(shared: &Shared, believed: Timestamp) -> Result<(), VaultError> {
    let pass = shared.vaults.purge_vaults(believed).await?;
    for vault in &pass.gone {
        tracing::warn!(id = %vault.id, name = %vault.name, "a soft-deleted vault is gone: its days are over");
    }
    for (id, error) in &pass.failed {
        tracing::error!(%id, %error, "could not purge a soft-deleted vault: trying again");
    }
    Ok(())
}

async fn purge(shared: &Shared, believed: Timestamp) -> Result<(), VaultError> {
    let pass = shared.vaults.purge(believed).await?;
    for item in &pass.gone {
        tracing::warn!(item = %item.id, name = %item.name, "a soft-deleted item is gone: its days are over");
    }
    for (item, error) in &pass.failed {
        tracing::error!(%item, %error, "could not purge a soft-deleted item: trying again");
    }
    Ok(())
}
