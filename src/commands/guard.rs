//! `strongroom guard`: resource guards, which want a second person for what takes protection away.

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_api::{CreateGuard, GuardView};
use strongroom_model::{GuardName, GuardedOperation, ResourceGroupName};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Table, Terminal, moment};

/// Create, list, show and delete resource guards
///
/// A vault that is under a guard (`strongroom vault guard set`) needs the approval of whoever owns the guard's resource
/// group for what takes protection away: deleting data, shortening retention, weakening soft delete and more. So the guard
/// should lie in a resource group of its own that belongs to somebody else than the vault.
#[derive(Debug, Subcommand)]
pub(crate) enum Guard {
    Create(Create),
    List(List),
    /// Show one resource guard
    #[command(after_long_help = "\
Example:
  strongroom guard show two-people --resource-group security")]
    Show(Named),
    /// Delete a resource guard that no vault is under
    #[command(after_long_help = "\
Example:
  strongroom guard delete two-people --resource-group security")]
    Delete(Named),
}

/// Create a resource guard
///
/// It guards everything that it can, but for what is excepted. DisableSoftDelete and RemoveGuard cannot be.
#[derive(Debug, Args)]
#[command(after_long_help = "\
What can be guarded: DisableSoftDelete, RemoveGuard, LowerPolicy, LowerProtection, DeleteData, StopProtection,
ReduceImmutability, GetSecurityPin.

Example:
  strongroom resource-group create security
  strongroom role assign Owner --to eve --scope resource-group/security
  strongroom guard create two-people --resource-group security --except StopProtection")]
pub(crate) struct Create {
    #[command(flatten)]
    guard: Named,
    /// What it leaves alone; may be given several times
    #[arg(long, value_name = "OPERATION")]
    except: Vec<GuardedOperation>,
}

/// List the resource guards of a resource group
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom guard list --resource-group security")]
pub(crate) struct List {
    /// The resource group
    #[arg(long, value_name = "NAME", default_value_t = ResourceGroupName::default())]
    resource_group: ResourceGroupName,
}

/// One resource guard.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its name
    name: GuardName,
    /// The resource group that it lies in
    #[arg(long, value_name = "NAME", default_value_t = ResourceGroupName::default())]
    resource_group: ResourceGroupName,
}

#[derive(Serialize)]
struct DeletedView {
    deleted: GuardName,
}

impl Guard {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let client = AdminSession::client(global)?;
        match self {
            Self::Create(Create { guard, except }) => {
                let create = CreateGuard {
                    name: guard.name,
                    except,
                };
                let made = block_on(async { Ok(client.create_guard(&guard.resource_group, &create).await?) })?;
                terminal.done(&made, |made| {
                    format!(
                        "Made the resource guard {}. Put vaults under it: strongroom vault guard set VAULT --guard {} --resource-group {}",
                        made.name, made.name, made.resource_group
                    )
                })?;
            }
            Self::List(List { resource_group }) => {
                let list = block_on(async { Ok(client.guards(&resource_group).await?) })?;
                terminal.result(&list, |list| match list.guards.is_empty() {
                    true => "There are no resource guards in this resource group.".to_owned(),
                    false => table(&list.guards),
                })?;
            }
            Self::Show(guard) => {
                let shown = block_on(async { Ok(client.guard(&guard.resource_group, &guard.name).await?) })?;
                terminal.result(&shown, shown_text)?;
            }
            Self::Delete(guard) => {
                block_on(async { Ok(client.delete_guard(&guard.resource_group, &guard.name).await?) })?;
                terminal.done(&DeletedView { deleted: guard.name }, |view| {
                    format!("Deleted the resource guard {}.", view.deleted)
                })?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn table(guards: &[GuardView]) -> String {
    let mut table = Table::new(&["NAME", "RESOURCE GROUP", "VAULTS", "CREATED"]);
    for guard in guards {
        table.row([
            guard.name.to_string(),
            guard.resource_group.to_string(),
            words(&guard.vaults),
            moment(guard.created),
        ]);
    }
    table.to_text()
}

fn shown_text(guard: &GuardView) -> String {
    let line = |name: &str, value: String| format!("{name:<12}{value}\n");
    [
        line("name", guard.name.to_string()),
        line("group", guard.resource_group.to_string()),
        line("guards", words(&guard.operations)),
        line("vaults", words(&guard.vaults)),
        line("created", moment(guard.created)),
    ]
    .concat()
}

/// Several things in one cell.
pub(crate) fn words<T: ToString>(things: &[T]) -> String {
    let words: Vec<String> = things.iter().map(ToString::to_string).collect();
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join(", ")
    }
}
