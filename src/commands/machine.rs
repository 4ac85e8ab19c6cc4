//! `strongroom machine`: the machines that are registered in a vault.

use clap::{Args, Subcommand};
use strongroom_api::{Client, ContainerFilter, ContainerList, ContainerView, ItemChange};
use strongroom_model::{MachineName, VaultName};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Table, Terminal, moment};
use crate::which_vault::WhichVault;

/// List the machines that are registered in a vault, and unregister them
#[derive(Debug, Subcommand)]
pub(crate) enum Machine {
    List(List),
    Show(Show),
    Unregister(Unregister),
}

/// List the machines that are registered in a vault
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    vault: WhichVault,
}

/// Show one registered machine
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    which: Which,
}

/// Unregister a machine, and delete its recovery points
///
/// It can neither back up nor restore any more, and its name is free for another machine. For some days the vault can bring
/// its recovery points back: `strongroom item undelete`. A machine with the same passphrase can then restore them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom machine unregister web-1
  strongroom item undelete web-1
  strongroom restore latest --machine web-1 --to /srv/web-1    (on a machine with the same passphrase)")]
pub(crate) struct Unregister {
    #[command(flatten)]
    which: Which,
}

/// The machine that a command is about.
#[derive(Debug, Args)]
struct Which {
    /// Its name, or its id
    machine: MachineName,
    #[command(flatten)]
    vault: WhichVault,
}

impl Machine {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let client = AdminSession::client(global)?;
        match self {
            Self::List(List { vault }) => {
                let list = block_on(async { all(&client, &vault.name(&client).await?).await })?;
                terminal.result(&list, |list| match list.containers.is_empty() {
                    true => "No machine is registered: `strongroom vault credentials` lets one register.".to_owned(),
                    false => table(&list.containers),
                })?;
            }
            Self::Show(Show { which }) => {
                let found = block_on(async {
                    let vault = which.vault.name(&client).await?;
                    Ok(client.container(&vault, &which.machine).await?)
                })?;
                terminal.result(&found, shown)?;
            }
            Self::Unregister(Unregister { which }) => {
                let changed = block_on(async {
                    let vault = which.vault.name(&client).await?;
                    Ok(client.unregister_container(&vault, &which.machine).await?)
                })?;
                terminal.done(&changed, |changed| unregistered(&which.machine, changed))?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// All pages.
async fn all(client: &Client, vault: &VaultName) -> Result<ContainerList, Failure> {
    let mut filter = ContainerFilter {
        limit: Some(1000),
        after: None,
    };
    let mut containers = Vec::new();
    loop {
        let page = client.containers(vault, &filter).await?;
        containers.extend(page.containers);
        if page.next.is_none() {
            return Ok(ContainerList { containers, next: None });
        }
        filter.after = page.next;
    }
}

fn table(machines: &[ContainerView]) -> String {
    let mut table = Table::new(&["NAME", "REGISTERED", "ID"]);
    for machine in machines {
        table.row([
            machine.name.to_string(),
            moment(machine.registered),
            machine.id.to_string(),
        ]);
    }
    table.to_text()
}

fn shown(machine: &ContainerView) -> String {
    let line = |name: &str, value: String| format!("{name:<12}{value}\n");
    [
        line("name", machine.name.to_string()),
        line("id", machine.id.to_string()),
        line("item", machine.item.to_string()),
        line("registered", moment(machine.registered)),
    ]
    .concat()
}

/// What became of a machine that was unregistered.
pub(crate) fn unregistered(machine: &MachineName, changed: &ItemChange) -> String {
    let Some(item) = &changed.item else {
        return format!("Unregistered {machine}; it leaves no recovery points.");
    };
    let gone = item.purged_at.map_or_else(String::new, moment);
    format!(
        "Unregistered {}; its recovery points are soft-deleted, and gone for good on {gone}: until then `strongroom item \
         undelete {}` brings them back.",
        item.name, item.id
    )
}
