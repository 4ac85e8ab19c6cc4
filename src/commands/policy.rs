//! `strongroom policy`: when items are backed up, and how long their recovery points are kept.

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_api::{ChangePolicy, CreatePolicy, PolicyView};
use strongroom_model::PolicyName;
use strongroom_model::policy::{DEFAULT_POLICIES, Policy as Rules, Schedule, Tag, Workload};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::policy_flags::PolicyFlags;
use crate::terminal::{Table, Terminal, moment};
use crate::which_vault::WhichVault;

/// Make, list, show, change and delete policies
///
/// A policy says when the items under it are backed up, and how long their recovery points are kept. Many items can be
/// under one policy. Every vault has a few from the beginning; a deleted one of these comes back as it was then.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    Create(Create),
    List(List),
    Show(Show),
    Set(Set),
    Delete(Delete),
}

/// Make a policy
#[derive(Debug, Args)]
#[command(after_long_help = "\
Without flags it backs up every day at 22:00 UTC, and keeps that for 30 days.

A recovery point that fulfils several rules is kept as long as the longest says. A backup that should have become the
week's, the month's or the year's and did not run leaves that to the next one that succeeds.

Examples:
  strongroom policy create nightly --at 02:30 --zone Europe/Berlin --keep-daily 14
  strongroom policy create long --keep-daily 30 --keep-weekly 12 --keep-monthly 60 --keep-yearly 10
  strongroom policy create weekends --on saturday,sunday --keep-weekly 8
  strongroom policy create months --keep-monthly 24 --monthly-on first-sunday,last-sunday")]
pub(crate) struct Create {
    /// Its name: 3 to 150 letters, digits and hyphens, a letter first
    name: PolicyName,
    /// What it is for: FilesAndFolders, VirtualMachine or Database
    #[arg(long, value_name = "KIND", default_value_t = Workload::FilesAndFolders)]
    workload: Workload,
    #[command(flatten)]
    vault: WhichVault,
    #[command(flatten)]
    flags: PolicyFlags,
}

/// List the policies of a vault
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    vault: WhichVault,
}

/// Show a policy
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its name
    name: PolicyName,
    #[command(flatten)]
    vault: WhichVault,
}

/// Change the rules of a policy
///
/// What is not said stays. The new rules hold for new recovery points at once, and for old ones within a day: they live
/// longer, or go earlier. Weekly, monthly and yearly ones keep what a rule promised them when that rule goes.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom policy set nightly --keep-daily 60
  strongroom policy set nightly --keep-yearly 0
  strongroom policy show nightly --json | jq .rules > rules.json; edit rules.json
  strongroom policy set nightly --rules rules.json")]
pub(crate) struct Set {
    /// Its name
    name: PolicyName,
    #[command(flatten)]
    vault: WhichVault,
    #[command(flatten)]
    flags: PolicyFlags,
}

/// Delete a policy that no item is under
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Its name
    name: PolicyName,
    #[command(flatten)]
    vault: WhichVault,
}

#[derive(Serialize)]
struct DeletedView {
    deleted: PolicyName,
}

impl Policy {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let client = AdminSession::client(global)?;
        match self {
            Self::Create(Create {
                name,
                workload,
                vault,
                flags,
            }) => {
                let default = DEFAULT_POLICIES.iter().find(|default| default.workload == workload);
                let base = default.expect("there is one for each workload").policy();
                let rules = flags.over(base)?;
                let create = CreatePolicy { name, workload, rules };
                let made = block_on(async {
                    let vault = vault.name(&client).await?;
                    Ok(client.create_policy(&vault, &create).await?)
                })?;
                terminal.done(&made, |made| {
                    format!("Made the policy {}: {}.", made.name, line(&made.rules))
                })?;
            }
            Self::List(List { vault }) => {
                let list = block_on(async { Ok(client.policies(&vault.name(&client).await?).await?) })?;
                terminal.result(&list, |list| table(&list.policies))?;
            }
            Self::Show(Show { name, vault }) => {
                let found = block_on(async { Ok(client.policy(&vault.name(&client).await?, &name).await?) })?;
                terminal.result(&found, shown)?;
            }
            Self::Set(Set { name, vault, flags }) => {
                let changed = block_on(async {
                    let vault = vault.name(&client).await?;
                    let present = client.policy(&vault, &name).await?;
                    let rules = flags.over(present.rules)?;
                    let version = Some(present.version);
                    Ok(client
                        .change_policy(&vault, &name, &ChangePolicy { rules }, version)
                        .await?)
                })?;
                terminal.done(&changed, |changed| {
                    format!("Changed the policy {}: {}.", changed.name, line(&changed.rules))
                })?;
            }
            Self::Delete(Delete { name, vault }) => {
                block_on(async { Ok(client.delete_policy(&vault.name(&client).await?, &name).await?) })?;
                terminal.done(&DeletedView { deleted: name }, |view| {
                    format!("Deleted the policy {}.", view.deleted)
                })?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn table(policies: &[PolicyView]) -> String {
    let mut table = Table::new(&["NAME", "FOR", ">ITEMS", "RULES"]);
    for policy in policies {
        table.row([
            policy.name.to_string(),
            policy.workload.to_string(),
            policy.items.to_string(),
            line(&policy.rules),
        ]);
    }
    table.to_text()
}

fn shown(policy: &PolicyView) -> String {
    let line = |name: &str, value: String| format!("{name:<12}{value}\n");
    let mut text = [
        line("name", policy.name.to_string()),
        line("for", policy.workload.to_string()),
        line("items", policy.items.to_string()),
        line("backs up", schedule(&policy.rules)),
    ]
    .concat();
    for tag in Tag::ALL {
        if let Some(keep) = policy.rules.retention.keep(tag) {
            text += &line(&format!("{tag}"), format!("kept for {keep} {}", unit(tag, keep)));
        }
    }
    text += &line("changed", moment(policy.changed));
    text
}

/// Rules in one line.
fn line(rules: &Rules) -> String {
    let kept = Tag::ALL.into_iter().filter_map(|tag| {
        let keep = rules.retention.keep(tag)?;
        Some(format!("{keep} {}", unit(tag, keep)))
    });
    let kept: Vec<String> = kept.collect();
    format!("{}; kept {}", schedule(rules), kept.join(", "))
}

fn unit(tag: Tag, count: u32) -> String {
    let unit = match tag {
        Tag::Daily => "day",
        Tag::Weekly => "week",
        Tag::Monthly => "month",
        Tag::Yearly => "year",
    };
    format!("{unit}{}", if count == 1 { "" } else { "s" })
}

fn schedule(rules: &Rules) -> String {
    let times = |times: &[jiff::civil::Time]| {
        let texts: Vec<String> = times.iter().map(|time| time.strftime("%H:%M").to_string()).collect();
        texts.join(", ")
    };
    let when = match &rules.schedule {
        Schedule::Daily { times: at } => format!("every day at {}", times(at)),
        Schedule::Weekly {
            days,
            times: at,
            every_weeks,
            ..
        } => {
            let days: Vec<String> = days.iter().map(|day| format!("{day:?}")).collect();
            let every = match every_weeks {
                1 => "every".to_owned(),
                n => format!("every {n} weeks on"),
            };
            format!("{every} {} at {}", days.join(" and "), times(at))
        }
        Schedule::Hourly {
            every_hours,
            window_start,
            window_hours,
        } => {
            let start = window_start.strftime("%H:%M");
            format!("every {every_hours} hours from {start} for {window_hours} hours")
        }
    };
    format!("{when} {}", rules.zone)
}
