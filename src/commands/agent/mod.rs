//! `strongroom agent`: this machine and its vault.

mod cancel;
mod passphrase;
pub(crate) mod run;
mod settings;
pub(crate) mod status;
mod stop_protection;
mod ui;
mod unregister;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_agent::{Machine, MachineState, Registering, StateFolder, register};
use strongroom_api::{CREDENTIALS_BYTES_MAX, RetryPolicy, VaultCredentials};
use strongroom_model::MachineName;

use crate::cli::Global;
use crate::clock;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::folders;
use crate::terminal::Terminal;
use crate::unlock::UnlockOptions;

/// Register this machine in a vault, say what it backs up, and let it work
#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    Register(Register),
    Passphrase(passphrase::Passphrase),
    Run(run::Run),
    Settings(Box<settings::Settings>),
    Status(status::Status),
    Cancel(cancel::Cancel),
    Ui(ui::Ui),
    StopProtection(stop_protection::StopProtection),
    Unregister(unregister::Unregister),
}

/// Register this machine in a vault
///
/// Needs a vault credentials file, which an administrator makes with `strongroom vault credentials`, and a passphrase. The
/// passphrase never leaves this machine. Machines with the same passphrase can restore each other's data; with another one
/// they cannot. Whoever loses the passphrase and the machine has lost the data, unless there is a recovery sheet (`strongroom
/// key sheet`): nobody can help then, the service neither.
///
/// A machine that was renamed, or is to move to another vault, is registered with `--again`: it keeps its settings, and needs
/// no passphrase in the same vault. What it backed up under its old name stays there, as that of another machine. Under a name
/// that is registered already, it takes over that machine's future: the agent there cannot sign in any more.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom agent register --credentials main.credentials --passphrase-file /root/passphrase
  STRONGROOM_PASSPHRASE=… strongroom agent register --credentials main.credentials --name web-1
  strongroom agent register --credentials main.credentials --name web-1-new --recovery-key-file -
  strongroom agent register --credentials main.credentials --again --name web-2")]
pub(crate) struct Register {
    /// The vault credentials file
    #[arg(long, value_name = "FILE")]
    credentials: PathBuf,
    #[command(flatten)]
    unlock: UnlockOptions,
    /// How this machine is called in the vault [default: its host name]
    #[arg(long, value_name = "NAME")]
    name: Option<MachineName>,
    /// Register this machine anew, though it is registered: it was renamed, or goes to another vault
    ///
    /// Without a passphrase it keeps the key that it has.
    #[arg(long)]
    again: bool,
}

#[derive(Serialize)]
struct RegisteredView {
    machine: MachineName,
    vault: String,
    service: String,
    key_set: String,
    joined_key_set: bool,
    /// How it was called before, if it was registered anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<MachineName>,
}

impl Agent {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::Register(register) => register.run(global, terminal),
            Self::Passphrase(passphrase) => passphrase.run(global, terminal),
            Self::Run(run) => run.run(global),
            Self::Settings(settings) => settings.run(global, terminal),
            Self::Status(status) => status.run(global, terminal),
            Self::Cancel(cancel) => cancel.run(global, terminal),
            Self::Ui(ui) => ui.run(global, terminal),
            Self::StopProtection(stop) => stop.run(global, terminal),
            Self::Unregister(unregister) => unregister.run(global, terminal),
        }
    }
}

impl Register {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let credentials = read_credentials(&self.credentials)?;
        let name = match self.name {
            Some(name) => name,
            None => host_name()?,
        };
        let folder = StateFolder::new(folders::state(global)?);
        let keeps_key = self.again && !self.unlock.is_given() && folder.machine()?.is_some();
        let unlock = match keeps_key {
            true => None,
            false => Some(self.unlock.read(true, terminal)?),
        };
        let registering = Registering {
            credentials: &credentials,
            name: &name,
            unlock,
            again: self.again,
        };
        let registration = block_on(async { Ok(register(&folder, registering, clock::system()).await?) })?;
        let MachineState {
            name,
            vault_name,
            url,
            key_set,
            ..
        } = registration.machine;
        let view = RegisteredView {
            machine: name,
            vault: vault_name.to_string(),
            service: url,
            key_set: key_set.to_string(),
            joined_key_set: registration.joined,
            before: registration.before.map(|before| before.name),
        };
        terminal.done(&view, |view| registered_text(view, registration.key_sets))?;
        Ok(Outcome::Done)
    }
}

fn registered_text(view: &RegisteredView, key_sets: usize) -> String {
    let keys = match (view.joined_key_set, key_sets) {
        (true, _) => "The passphrase is one that the vault knows: machines that use it can restore each other's data.",
        (false, 0) => "Its passphrase is the first of this vault.",
        (false, _) => {
            "The passphrase is new to this vault: no other machine can restore this one's data, nor the other way."
        }
    };
    let before = match view
        .before
        .as_ref()
        .filter(|before| before.folded() != view.machine.folded())
    {
        Some(before) => format!("\nWhat it backed up as {before} stays: strongroom points --machine {before}"),
        None => String::new(),
    };
    format!(
        "Machine {} is registered in vault {} at {}.{before}\n{keys}\nKeep the passphrase where this machine's loss does not reach it. \
         Next: strongroom backup PATH, or strongroom agent settings --path PATH and strongroom agent run",
        view.machine, view.vault, view.service
    )
}

/// The machine that is registered with the state folder that the options name; `usual` is how patient it is unless the
/// options say otherwise.
pub(crate) fn open(global: &Global, usual: RetryPolicy) -> Result<Machine, Failure> {
    let folder = StateFolder::new(folders::state(global)?);
    Ok(Machine::open(folder, clock::system(), global.retry(usual))?)
}

fn read_credentials(file: &Path) -> Result<VaultCredentials, Failure> {
    let failed = |why: String| {
        Failure::new(format!(
            "cannot read the vault credentials file {}: {why}",
            file.display()
        ))
    };
    let length = std::fs::metadata(file)
        .map_err(|error| failed(error.to_string()))?
        .len();
    if length > CREDENTIALS_BYTES_MAX as u64 {
        return Err(failed("it is too large to be one".to_owned()));
    }
    let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    Ok(VaultCredentials::parse(&bytes)?)
}

/// The machine's own name.
pub(crate) fn host_name() -> Result<MachineName, Failure> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = name.parse::<MachineName>();
    name.map_err(|error| {
        Failure::new(format!(
            "this machine's host name cannot be used: {error}. Give another with --name"
        ))
    })
}
