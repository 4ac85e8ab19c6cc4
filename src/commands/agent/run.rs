//! `strongroom agent run`: the long-running client.

use std::sync::Arc;

use clap::Args;
use sd_notify::NotifyState;
use strongroom_agent::{Event, run};
use strongroom_api::{Protection, RetryPolicy};

use crate::cli::Global;
use crate::commands::{agent, block_on};
use crate::failure::{Failure, Outcome};
use crate::interrupt;
use crate::systemd;
use crate::terminal::moment;

/// Wait for work from the service, and do it
///
/// Scheduled backups of this machine, and those that somebody asks for at the service, are done while this runs. Nothing
/// on this machine listens: it asks. What it backs up is set with `strongroom agent settings`, and how far scheduled backups
/// stand back behind other programs. On battery and on a metered connection they wait, unless the settings say otherwise.
///
/// It needs no more of what root may than reading what belongs to others (CAP_DAC_READ_SEARCH), and tells systemd when it is
/// ready and how it is (Type=notify). Ctrl-C or SIGTERM ends it; a job that is under way then
/// goes on where it was when it is started again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  systemctl enable --now strongroom-agent       with the unit that the package brings
  strongroom agent run                          in a terminal, as whoever has registered the machine")]
pub(crate) struct Run {}

impl Run {
    pub(crate) fn run(self, global: &Global) -> Result<Outcome, Failure> {
        let machine = Arc::new(agent::open(global, RetryPolicy::PATIENT)?);
        let state = machine.state();
        tracing::info!(machine = %state.name, vault = %state.vault_name, service = state.url, "waiting for work");
        block_on(async {
            run(machine, interrupt::requested(), told).await;
            Ok(())
        })?;
        systemd::tell(&[NotifyState::Stopping]);
        tracing::info!("stopped");
        Ok(Outcome::Done)
    }
}

/// Writes into the log what a client tells.
pub(crate) fn told(event: Event) {
    match event {
        Event::Linked(protection) => {
            let status = status(&protection);
            systemd::tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
            tracing::info!("{status}");
        }
        Event::Away { why, again } => {
            systemd::tell(&[NotifyState::Status("the service does not answer")]);
            tracing::warn!("{why}; asking again in {} s", again.as_secs());
        }
        Event::Held(job, waits_for) => {
            let what = format!("{} waits for {}", job.operation, waits_for.as_str());
            systemd::tell(&[NotifyState::Status(&what)]);
            tracing::info!(job = %job.id, trigger = %job.trigger, "{what}");
        }
        Event::Settings(news) => tracing::warn!("{news}"),
        Event::Began(job) => {
            let what = format!("{} began", job.operation);
            systemd::tell(&[NotifyState::Status(&what)]);
            tracing::info!(job = %job.id, trigger = %job.trigger, "{what}");
        }
        Event::Ended { job, how, succeeded } => {
            systemd::tell(&[NotifyState::Status("waiting for work")]);
            match succeeded {
                true => tracing::info!(%job, "done: {how}"),
                false => tracing::error!(%job, "not done: {how}"),
            }
        }
    }
}

fn status(protection: &Protection) -> String {
    let Protection {
        state,
        policy,
        next_backup,
    } = protection;
    let policy = policy
        .as_ref()
        .map_or("no policy".to_owned(), |policy| format!("policy {policy}"));
    let next = next_backup.map_or("none planned".to_owned(), moment);
    format!("linked: {state}, {policy}, next backup {next}")
}
