//! `strongroom approval`: one person asks, another one decides.

use clap::{Args, Subcommand};
use strongroom_api::{ApprovalView, Client, RequestApproval};
use strongroom_model::{ApprovalId, GuardName, GuardedOperation, MachineName, PolicyName, ResourceGroupName};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Table, Terminal, moment};
use crate::which_vault::WhichVault;

/// Ask a second person to allow something, or decide about what others ask
///
/// What needs it is what the vault's resource guard guards: see `strongroom guard`. Whoever owns the guard's resource group
/// decides, within a day; an approval is good for an hour, for that one thing, once, and for whoever asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    Request(Request),
    List(List),
    /// Allow what somebody else asked for
    #[command(after_long_help = "\
Example:
  strongroom approval approve 01a1fe98-c62c-71b5-b60b-5ba65b1ba09d --guard two-people --resource-group security")]
    Approve(Decide),
    /// Do not allow it
    #[command(after_long_help = "\
Example:
  strongroom approval deny 01a1fe98-c62c-71b5-b60b-5ba65b1ba09d --guard two-people --resource-group security")]
    Deny(Decide),
}

/// Ask for approval
///
/// A command that needs it says how to ask.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom approval request DeleteData --vault main --item web-1 --reason 'the machine is scrapped'")]
pub(crate) struct Request {
    /// What is to be done: DeleteData, LowerPolicy …
    operation: GuardedOperation,
    /// The item, if it is done to one
    #[arg(long, value_name = "NAME", conflicts_with = "policy")]
    item: Option<MachineName>,
    /// The policy, if it is done to one
    #[arg(long, value_name = "NAME")]
    policy: Option<PolicyName>,
    /// Why, for whoever decides
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    vault: WhichVault,
}

/// List requests, newest first
///
/// Those for a vault, or with --guard those that are asked of a guard.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom approval list --vault main
  strongroom approval list --guard two-people --resource-group security")]
pub(crate) struct List {
    #[command(flatten)]
    vault: WhichVault,
    /// Those that are asked of this guard
    #[arg(long, value_name = "NAME")]
    guard: Option<GuardName>,
    /// The resource group of the guard
    #[arg(long, value_name = "NAME", default_value_t = ResourceGroupName::default())]
    resource_group: ResourceGroupName,
}

#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// The request's id
    id: ApprovalId,
    /// The guard that it was asked of
    #[arg(long, value_name = "NAME")]
    guard: GuardName,
    /// The resource group of the guard
    #[arg(long, value_name = "NAME", default_value_t = ResourceGroupName::default())]
    resource_group: ResourceGroupName,
}

impl Approval {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let client = AdminSession::client(global)?;
        match self {
            Self::Request(request) => request.run(&client, terminal)?,
            Self::List(list) => list.run(&client, terminal)?,
            Self::Approve(decide) => {
                let decided =
                    block_on(async { Ok(client.approve(&decide.resource_group, &decide.guard, decide.id).await?) })?;
                terminal.done(&decided, |decided| {
                    format!(
                        "Allowed {} {}, once, until {}.",
                        decided.requester,
                        decided.operation.phrase(),
                        moment(decided.ends)
                    )
                })?;
            }
            Self::Deny(decide) => {
                let decided =
                    block_on(async { Ok(client.deny(&decide.resource_group, &decide.guard, decide.id).await?) })?;
                terminal.done(&decided, |decided| {
                    format!("Denied what {} asked for.", decided.requester)
                })?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl Request {
    fn run(self, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
        let request = RequestApproval {
            operation: self.operation,
            item: self.item,
            policy: self.policy,
            reason: self.reason,
        };
        let (asked, guard) = block_on(async {
            let vault = self.vault.name(client).await?;
            let asked = client.request_approval(&vault, &request).await?;
            Ok((asked, client.vault_guard(&vault).await?))
        })?;
        terminal.done(&asked, |asked| {
            format!(
                "Asked for approval; it is {}. Whoever owns the resource group {} decides until {}:\n  \
                 strongroom approval approve {} --guard {} --resource-group {}",
                asked.state,
                guard.resource_group,
                moment(asked.ends),
                asked.id,
                guard.guard,
                guard.resource_group
            )
        })
    }
}

impl List {
    fn run(self, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
        let list = block_on(async {
            match &self.guard {
                Some(guard) => Ok(client.guard_approvals(&self.resource_group, guard).await?),
                None => Ok(client.approvals(&self.vault.name(client).await?).await?),
            }
        })?;
        terminal.result(&list, |list| match list.approvals.is_empty() {
            true => "Nobody has asked for anything.".to_owned(),
            false => table(&list.approvals),
        })
    }
}

fn table(approvals: &[ApprovalView]) -> String {
    let mut table = Table::new(&["ID", "STATE", "OPERATION", "VAULT", "OF", "ASKED BY", "ENDS", "WHY"]);
    for approval in approvals {
        let subject = if approval.subject.is_empty() {
            "-"
        } else {
            &approval.subject
        };
        table.row([
            approval.id.to_string(),
            approval.state.to_string(),
            approval.operation.to_string(),
            approval.vault.to_string(),
            subject.to_owned(),
            approval.requester.clone(),
            moment(approval.ends),
            approval.reason.clone(),
        ]);
    }
    table.to_text()
}
