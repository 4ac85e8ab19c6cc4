//! `strongroom vm`: the virtual machines that the hosts of a vault have found.

use clap::{Args, Subcommand};
use strongroom_api::{Client, ContainerFilter, VirtualMachineList, VirtualMachineView};
use strongroom_model::{MachineName, VaultName};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::commands::host::remark;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Table, Terminal, bytes, moment};
use crate::which_vault::WhichVault;

/// List the virtual machines that the hosts of a vault have found, and have them look again
#[derive(Debug, Subcommand)]
pub(crate) enum Vm {
    List(List),
    Show(Show),
    Discover(Discover),
}

/// List the virtual machines that the hosts of a vault have found
///
/// Each is an item of the vault, which `strongroom item protect NAME` puts under a policy for virtual machines.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    vault: WhichVault,
}

/// Show a virtual machine
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its name
    machine: MachineName,
    #[command(flatten)]
    vault: WhichVault,
}

/// Have the hosts of a vault look for virtual machines
///
/// They look once an hour by themselves.
#[derive(Debug, Args)]
pub(crate) struct Discover {
    #[command(flatten)]
    vault: WhichVault,
}

impl Vm {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let client = AdminSession::client(global)?;
        match self {
            Self::List(List { vault }) => {
                let list = block_on(async { all(&client, &vault.name(&client).await?).await })?;
                terminal.result(&list, |list| match list.virtual_machines.is_empty() {
                    true => {
                        "No virtual machine is known: `strongroom host register` makes a machine a host.".to_owned()
                    }
                    false => table(&list.virtual_machines),
                })?;
            }
            Self::Show(Show { machine, vault }) => {
                let found = block_on(async {
                    let vault = vault.name(&client).await?;
                    Ok(client.virtual_machine(&vault, &machine).await?)
                })?;
                terminal.result(&found, shown)?;
            }
            Self::Discover(Discover { vault }) => {
                let asked = block_on(async {
                    let vault = vault.name(&client).await?;
                    Ok(client.discover(&vault).await?)
                })?;
                terminal.done(&asked, |asked| match asked.hosts {
                    0 => "No host is registered: `strongroom host register` makes a machine one.".to_owned(),
                    hosts => format!("Asked {hosts} hosts; `strongroom vm list` shows what they find."),
                })?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// All pages.
async fn all(client: &Client, vault: &VaultName) -> Result<VirtualMachineList, Failure> {
    let mut filter = ContainerFilter {
        limit: Some(1000),
        after: None,
    };
    let mut virtual_machines = Vec::new();
    loop {
        let page = client.virtual_machines(vault, &filter).await?;
        virtual_machines.extend(page.virtual_machines);
        if page.next.is_none() {
            return Ok(VirtualMachineList {
                virtual_machines,
                next: None,
            });
        }
        filter.after = page.next;
    }
}

fn host_of(machine: &VirtualMachineView) -> String {
    machine.host.as_ref().map_or("none".to_owned(), ToString::to_string)
}

fn table(machines: &[VirtualMachineView]) -> String {
    let mut table = Table::new(&["NAME", "HOST", "POWER", "AGENT", ">DISKS", ">SIZE", "PROTECTION"]);
    for machine in machines {
        let size: u64 = machine.facts.disks.iter().map(|disk| disk.bytes).sum();
        table.row([
            machine.name.to_string(),
            host_of(machine),
            match machine.is_gone {
                true => "gone".to_owned(),
                false => machine.facts.power.to_string(),
            },
            machine.facts.agent.to_string(),
            machine.facts.disks.len().to_string(),
            bytes(size),
            machine.state.to_string(),
        ]);
    }
    table.to_text()
}

fn shown(machine: &VirtualMachineView) -> String {
    let facts = &machine.facts;
    let line = |name: &str, value: String| format!("{name:<12}{value}\n");
    let mut lines = vec![
        line("name", machine.name.to_string()),
        line("host", host_of(machine)),
        line("uuid", facts.uuid.map_or("none".to_owned(), |uuid| uuid.to_string())),
        line("power", facts.power.to_string()),
        line("agent", facts.agent.to_string()),
        line("hypervisor", facts.hypervisor.clone()),
        line("seen", moment(machine.seen)),
        line("protection", machine.state.to_string()),
        line("item", machine.item.to_string()),
    ];
    for disk in &facts.disks {
        lines.push(line(
            "disk",
            format!("{}  {}  {}", disk.name, bytes(disk.bytes), disk.format),
        ));
    }
    let remark = remark(facts);
    if machine.is_gone {
        lines.push(line("remark", "its host did not find it the last time".to_owned()));
    } else if !remark.is_empty() {
        lines.push(line("remark", remark));
    }
    lines.concat()
}
