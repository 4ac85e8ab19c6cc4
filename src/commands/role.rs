//! `strongroom role`: who may do what, and where.

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_api::{AssignRole, AssignmentView};
use strongroom_model::{AssignmentId, Role as Kind, ScopeName};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{self, Table, Terminal};

/// Give, list and take away roles
///
/// A role holds on the subscription, in a resource group with all its vaults, or on one vault. The roles are those of Azure
/// Backup, action for action.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    Assign(Assign),
    List(List),
    Remove(Remove),
    Definitions(Definitions),
}

/// Give a role
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom role assign 'Backup Operator' --to eve --scope vault/main
  strongroom role assign owner --to bob --scope resource-group/europe
  strongroom role assign backup-reader --to nightly")]
pub(crate) struct Assign {
    /// Owner, Backup Contributor, Backup Operator or Backup Reader
    role: Kind,
    /// The name or id of a user or service principal
    #[arg(long, value_name = "PRINCIPAL")]
    to: String,
    /// Where it holds: subscription, resource-group/NAME or vault/NAME
    #[arg(long, value_name = "SCOPE", default_value_t = ScopeName::Subscription)]
    scope: ScopeName,
}

/// List who has which role, as far as you may see it
#[derive(Debug, Args)]
pub(crate) struct List {}

/// Take a role away
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The id of the assignment, from `strongroom role list`
    id: AssignmentId,
}

/// List the roles and what they allow
#[derive(Debug, Args)]
pub(crate) struct Definitions {}

#[derive(Serialize)]
struct RemovedView {
    removed: AssignmentId,
}

impl Role {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::Assign(assign) => assign.run(global, terminal)?,
            Self::List(List {}) => list(global, terminal)?,
            Self::Remove(remove) => remove.run(global, terminal)?,
            Self::Definitions(Definitions {}) => definitions(global, terminal)?,
        }
        Ok(Outcome::Done)
    }
}

impl Assign {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let assign = AssignRole {
            principal: self.to,
            role: self.role,
            scope: self.scope,
        };
        let made = block_on(async { Ok(client.assign_role(&assign).await?) })?;
        terminal.done(&made, |made| {
            format!("{} is {} of {} now ({}).", made.name, made.role, made.scope, made.id)
        })
    }
}

fn list(global: &Global, terminal: &Terminal) -> Result<(), Failure> {
    let client = AdminSession::client(global)?;
    let list = block_on(async { Ok(client.role_assignments().await?) })?;
    terminal.result(&list, |list| table(&list.assignments))
}

fn table(assignments: &[AssignmentView]) -> String {
    let mut table = Table::new(&["PRINCIPAL", "ROLE", "SCOPE", "SINCE", "BY", "ID"]);
    for one in assignments {
        table.row([
            one.name.clone(),
            one.role.to_string(),
            one.scope.to_string(),
            terminal::moment(one.created),
            one.created_by.clone(),
            one.id.to_string(),
        ]);
    }
    table.to_text()
}

impl Remove {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        block_on(async { Ok(client.remove_assignment(self.id).await?) })?;
        terminal.done(&RemovedView { removed: self.id }, |_| "Took the role away.".to_owned())
    }
}

fn definitions(global: &Global, terminal: &Terminal) -> Result<(), Failure> {
    let client = AdminSession::client(global)?;
    let list = block_on(async { Ok(client.roles().await?) })?;
    terminal.result(&list, |list| {
        let one = |role: &strongroom_api::RoleDefinition| {
            let actions = role
                .actions
                .iter()
                .map(|action| format!("  {action}\n"))
                .collect::<String>();
            format!("{} ({})\n{}.\n{actions}", role.role, role.id, role.description)
        };
        list.roles.iter().map(one).collect::<Vec<_>>().join("\n")
    })
}
