//! `strongroom agent settings`: what this machine backs up when nobody says what.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_agent::{AgentError, Commands, Machine, Synced, Wanted};
use strongroom_api::{ClientError, RetryPolicy};
use strongroom_model::MachineSettings;
use strongroom_sources::files::VolumeError;

use crate::cli::Global;
use crate::command_flags::{self, CommandFlags};
use crate::commands::{agent, block_on};
use crate::failure::{Failure, Outcome};
use crate::network_flags::{NetworkFlags, NetworkView};
use crate::settings_flags::{SettingsFlags, limits, line, lines, text};
use crate::terminal::Terminal;

/// Show or change what this machine backs up on schedule
///
/// The scheduled backups of `strongroom agent run`, and `strongroom backup` without a PATH, take what is selected here.
/// It is kept in the vault, sealed: the service does not learn names. Whoever has the passphrase can change it from
/// elsewhere (`strongroom item settings`). Without flags it is shown.
///
/// A limit of the line holds for all that this machine sends or receives, within seconds also for what is running. How the
/// service is reached is kept on this machine only.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom agent settings --path /etc --path /home --exclude '*.iso' --preset caches
  strongroom agent settings --path / --preset caches,system --exclude-larger-than 4G
  strongroom agent settings --remove-path /home
  strongroom agent settings --snapshot always
  strongroom agent settings --pre-command /usr/bin/systemctl stop shop ';' --post-command /usr/bin/systemctl start shop
  strongroom agent settings --pre-command /bin/sh -c 'pg_dumpall >/srv/dump.sql' ';' --pre-limit 900
  strongroom agent settings --upload-work 20mbit --work-hours 8:00-17:30 --work-days mon-fri --zone Europe/Berlin
  strongroom agent settings --upload-work unlimited
  strongroom agent settings --proxy http://proxy.example.org:3128 --proxy-user web-1 --proxy-password-file /root/proxy
  strongroom agent settings --scratch /srv/strongroom-scratch
  strongroom agent settings")]
pub(crate) struct Settings {
    #[command(flatten)]
    flags: SettingsFlags,
    /// Move the scratch folder there: a folder of its own, on a disk of this machine
    ///
    /// It is what this machine remembers between backups: some 150 MB for a million files and 1 MB for each GiB of large
    /// ones, twice that while a backup ends. Its loss costs one slower backup.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    commands: CommandFlags,
    #[command(flatten)]
    network: NetworkFlags,
}

#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    settings: MachineSettings,
    /// In the vault; 0: it keeps none.
    generation: u64,
    /// What was not as it should be when the copy here met the vault's.
    news: Option<String>,
    /// Those of this machine alone: the vault does not know them.
    commands: Commands,
    scratch: PathBuf,
    #[serde(flatten)]
    network: NetworkView,
}

impl Settings {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let mut machine = agent::open(global, RetryPolicy::NONE)?;
        let reached = machine.network()?;
        let network = self.network.over(reached.clone())?;
        if network != reached {
            machine.keep_network(&network)?;
            // The vault is asked that way already.
            machine = agent::open(global, RetryPolicy::NONE)?;
        }
        if let Some(scratch) = &self.scratch {
            machine.move_scratch(text(scratch)?.into())?;
        }
        let before = machine.commands()?;
        let after = self.commands.over(before.clone())?;
        if after != before {
            machine.keep_commands(&after)?;
        }
        let (synced, changed) = block_on(self.change(&machine))?;
        let view = View {
            commands: after,
            settings: synced.settings,
            generation: synced.generation,
            news: synced.news,
            scratch: machine.scratch_path()?,
            network: NetworkView::from(&network),
        };
        if let Some(news) = &view.news {
            terminal.say(&format!("note: {news}"));
        }
        match changed {
            true => terminal.done(&view, shown)?,
            false => terminal.result(&view, shown)?,
        }
        Ok(Outcome::Done)
    }

    /// The settings with the changes that are asked for, kept in the vault and here, and whether there were any.
    async fn change(&self, machine: &Machine) -> Result<(Synced, bool), Failure> {
        loop {
            let mut synced = match machine.sync_settings().await {
                Ok(synced) => synced,
                Err(AgentError::Client(error)) => return self.shown_while_away(machine, &error),
                Err(error) => return Err(error.into()),
            };
            let after = self.flags.over(synced.settings.clone())?;
            if after == synced.settings {
                return Ok((synced, false));
            }
            check(&after)?;
            // Somebody else may have changed them at this very moment: then theirs are changed.
            if let Some(generation) = machine.change_settings(&synced, &after).await? {
                (synced.settings, synced.generation) = (after, generation);
                return Ok((synced, true));
            }
        }
    }

    /// The copy here. It can be looked at, not changed: the vault's would be another then.
    fn shown_while_away(&self, machine: &Machine, error: &ClientError) -> Result<(Synced, bool), Failure> {
        let copy = machine.settings()?;
        if self.flags.over(copy.settings.clone())? != copy.settings {
            return Err(Failure::new(format!(
                "the settings are kept in the vault, and cannot be changed without it: {error}"
            )));
        }
        let synced = Synced {
            settings: copy.settings,
            generation: copy.generation,
            news: Some(format!(
                "as the vault had it the last time, for it does not answer: {error}"
            )),
        };
        Ok((synced, false))
    }
}

/// Refused now, rather than at night. What is absent now may be there then.
fn check(settings: &MachineSettings) -> Result<(), Failure> {
    if let Some(why) = settings.refused() {
        return Err(AgentError::Settings(why).into());
    }
    if settings.paths.is_empty() {
        return Ok(());
    }
    let backup = Wanted::from(settings.clone()).backup()?;
    match backup.selection.check_volumes() {
        Ok(()) | Err(VolumeError::Absent(_)) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}

fn shown(view: &View) -> String {
    let network = view.network.lines().map(|(name, value)| line(name, value));
    let rest =
        command_flags::lines(&view.commands) + &line("scratch", view.scratch.display()) + &network.collect::<String>();
    match view.settings.paths.is_empty() {
        true => format!(
            "Nothing is selected: `strongroom agent settings --path PATH` selects something.\n{}{rest}",
            limits(&view.settings)
        ),
        false => lines(&view.settings) + &rest,
    }
}
