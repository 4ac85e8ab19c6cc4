//! `strongroom item settings`: what another machine backs up.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_agent::{AgentError, Opener, Unlock, open_settings, seal_settings};
use strongroom_api::{Client, ClientError, Code, KeptSettings, SealedSettings};
use strongroom_format::keyset::KeySetObject;
use strongroom_model::{KeySetId, MachineName, MachineSettings, VaultName};
use strongroom_seal::DataKeys;

use super::Which;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::passphrase;
use crate::settings_flags::{SettingsFlags, lines};
use crate::terminal::Terminal;

/// Show or change what a machine backs up on schedule
///
/// The settings are kept in the vault, sealed with the machine's passphrase, which is asked for: the service can neither read
/// nor change them. The machine takes over what is changed here as soon as it hears of it. At the machine itself,
/// `strongroom agent settings` does the same.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom item settings web-1 --passphrase-file web.passphrase
  strongroom item settings web-1 --path /srv --exclude '*.iso' --passphrase-file web.passphrase")]
pub(crate) struct Settings {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    flags: SettingsFlags,
    /// A file whose first line is the machine's passphrase
    ///
    /// Without it, the environment variable STRONGROOM_PASSPHRASE or a prompt gives it.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    settings: MachineSettings,
    /// In the vault.
    generation: u64,
}

/// A key set that was opened.
struct Opened {
    id: KeySetId,
    keys: DataKeys,
}

impl Settings {
    pub(super) fn run(self, client: &Client, terminal: &Terminal) -> Result<Outcome, Failure> {
        if let Some(path) = self.flags.relative_path() {
            return Err(Failure::new(format!(
                "\"{}\" is no path of that machine: begin it with a slash",
                path.display()
            )));
        }
        let unlock = Unlock::Passphrase(passphrase::read(self.passphrase_file.as_deref(), false, terminal)?);
        let (view, changed) = block_on(async {
            let vault = self.which.vault(client).await?;
            self.change(client, &vault, &unlock).await
        })?;
        match changed {
            true => terminal.done(&view, shown)?,
            false => terminal.result(&view, shown)?,
        }
        Ok(Outcome::Done)
    }

    async fn change(&self, client: &Client, vault: &VaultName, unlock: &Unlock) -> Result<(View, bool), Failure> {
        let item = &self.which.item;
        let mut opened = None;
        loop {
            let kept = client.item_settings(vault, item).await?;
            let Some(sealed) = &kept.settings else {
                return Err(Failure::new(format!(
                    "{item} has not sent its settings yet: they come with its first `strongroom agent run` or `strongroom agent settings`"
                )));
            };
            // Opening takes a second, and is good for the next round too.
            let keys = match opened.take().filter(|opened: &Opened| opened.id == sealed.key_set) {
                Some(opened) => opened,
                None => open(&kept, sealed, unlock)?,
            };
            let settings =
                open_settings(sealed, kept.item, (keys.id, &keys.keys)).map_err(|why| unreadable(item, &why))?;
            let after = self.flags.over(settings.clone())?;
            let view = |settings, generation| View { settings, generation };
            if after == settings {
                return Ok((view(after, sealed.generation), false));
            }
            if let Some(why) = after.refused() {
                return Err(AgentError::Settings(why).into());
            }
            let generation = sealed.generation.saturating_add(1);
            let new = seal_settings(&after, kept.item, generation, (keys.id, &keys.keys))?;
            match client.change_item_settings(vault, item, &new, sealed.generation).await {
                Ok(_) => return Ok((view(after, generation), true)),
                // Somebody else has changed them at this very moment: then theirs are changed.
                Err(ClientError::Refused(problem)) if problem.code == Code::VersionMismatch => opened = Some(keys),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn open(kept: &KeptSettings, sealed: &SealedSettings, unlock: &Unlock) -> Result<Opened, Failure> {
    if kept.key_set_object.is_empty() {
        return Err(Failure::new(
            "the vault cannot read the machine's key set, for its object is damaged: change the settings at the machine itself",
        ));
    }
    let object = KeySetObject::decode(&kept.key_set_object).map_err(|error| AgentError::KeySet(error.to_string()))?;
    let master = Opener::new(unlock).open(&object)?;
    let master =
        master.ok_or_else(|| Failure::new("the passphrase is wrong: it does not open this machine's settings"))?;
    Ok(Opened {
        id: sealed.key_set,
        keys: master.keys(),
    })
}

fn unreadable(item: &MachineName, why: &str) -> Failure {
    Failure::new(format!(
        "the settings of {item} cannot be read: {why}. Set them at the machine itself, with `strongroom agent settings`"
    ))
}

fn shown(view: &View) -> String {
    match view.settings.paths.is_empty() {
        true => "Nothing is selected: --path PATH selects something.".to_owned(),
        false => lines(&view.settings),
    }
}
