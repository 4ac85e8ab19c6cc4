//! `strongroom resource-group`: what vaults lie in, so that a role can hold for several of them.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_api::CreateResourceGroup;
use strongroom_model::{Region, ResourceGroupName};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{self, Table, Terminal};

/// Create, list, show and delete resource groups
///
/// Every vault lies in one; the group `default` is always there.
#[derive(Debug, Subcommand)]
pub(crate) enum ResourceGroup {
    Create(Create),
    List(List),
    Show(Named),
    /// Delete a resource group that no vault is in
    Delete(Named),
}

/// Create a resource group
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom resource-group create europe --tag cost-centre=42
  strongroom vault create paris --resource-group europe")]
pub(crate) struct Create {
    /// Its name: letters, digits, '.', '_', '-', '(' and ')'
    name: ResourceGroupName,
    /// Where it is said to be; its vaults may be elsewhere
    #[arg(long, value_name = "R", default_value_t = Region::default())]
    region: Region,
    /// What to write on it; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = tag)]
    tag: Vec<(String, String)>,
}

/// List the resource groups that you may see
#[derive(Debug, Args)]
pub(crate) struct List {}

/// Show one resource group
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its name
    name: ResourceGroupName,
}

#[derive(Serialize)]
struct DeletedView {
    deleted: ResourceGroupName,
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must look like NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn tags(tags: &BTreeMap<String, String>) -> String {
    let pairs = tags.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(", ")
}

impl ResourceGroup {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::Create(create) => create.run(global, terminal)?,
            Self::List(List {}) => list(global, terminal)?,
            Self::Show(named) => named.show(global, terminal)?,
            Self::Delete(named) => named.delete(global, terminal)?,
        }
        Ok(Outcome::Done)
    }
}

impl Create {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let create = CreateResourceGroup {
            name: self.name,
            region: self.region,
            tags: self.tag.into_iter().collect(),
        };
        let group = block_on(async { Ok(client.create_resource_group(&create).await?) })?;
        terminal.done(&group, |group| format!("Created the resource group {}.", group.name))
    }
}

fn list(global: &Global, terminal: &Terminal) -> Result<(), Failure> {
    let client = AdminSession::client(global)?;
    let list = block_on(async { Ok(client.resource_groups().await?) })?;
    terminal.result(&list, |list| {
        let mut table = Table::new(&["NAME", "REGION", "CREATED", "TAGS"]);
        for group in &list.resource_groups {
            table.row([
                group.name.to_string(),
                group.region.to_string(),
                terminal::moment(group.created),
                tags(&group.tags),
            ]);
        }
        table.to_text()
    })
}

impl Named {
    fn show(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let group = block_on(async { Ok(client.resource_group(&self.name).await?) })?;
        terminal.result(&group, |group| {
            let line = |name: &str, value: String| format!("{name:<12}{value}\n");
            [
                line("name", group.name.to_string()),
                line("region", group.region.to_string()),
                line("tags", tags(&group.tags)),
                line("created", terminal::moment(group.created)),
            ]
            .concat()
        })
    }

    fn delete(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        block_on(async { Ok(client.delete_resource_group(&self.name).await?) })?;
        terminal.done(&DeletedView { deleted: self.name }, |view| {
            format!("Deleted the resource group {}.", view.deleted)
        })
    }
}
