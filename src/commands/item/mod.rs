//! `strongroom item`: what is protected, and how.

mod export;
mod settings;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use strongroom_api::{
    BackUpItem, Client, ItemChange, ItemFilter, ItemList, ItemView, KeptPointList, ProtectItem, StopData, StopItem,
};
use strongroom_model::policy::Tag;
use strongroom_model::{ItemState, MachineName, PolicyName, VaultName};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::{block_on, job};
use crate::failure::{Failure, Outcome};
use crate::terminal::{Table, Terminal, bytes, moment};
use crate::which_vault::WhichVault;

/// List protected items, put them under policies, stop and resume their backups
///
/// An item is a thing under a policy: so far the files and folders of a machine, under the machine's name.
#[derive(Debug, Subcommand)]
pub(crate) enum Item {
    List(List),
    Show(Show),
    Points(Points),
    Export(export::Export),
    Protect(Protect),
    Backup(Backup),
    Stop(Stop),
    Resume(Resume),
    Undelete(Undelete),
    Settings(Box<settings::Settings>),
}

/// List the items of a vault
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom item list
  strongroom item list --status ProtectionStopped --policy nightly")]
pub(crate) struct List {
    /// Only those under this policy
    #[arg(long, value_name = "NAME")]
    policy: Option<PolicyName>,
    /// Only those in this state, such as Protected, IRPending or ProtectionStopped
    #[arg(long, value_name = "STATE")]
    status: Option<ItemState>,
    /// Only those that are soft-deleted
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    vault: WhichVault,
}

/// Show one item
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    which: Which,
}

/// List an item's recovery points, and how long each is kept
#[derive(Debug, Args)]
pub(crate) struct Points {
    #[command(flatten)]
    which: Which,
}

/// Put an item under a policy
///
/// The first one, or another one: then the new policy's rules hold for all of its recovery points.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom item protect web-1 --policy nightly
  strongroom item protect web-1")]
pub(crate) struct Protect {
    #[command(flatten)]
    which: Which,
    /// The policy
    #[arg(long, value_name = "NAME", default_value = "DefaultFilesPolicy")]
    policy: PolicyName,
}

/// Back an item up now
///
/// Its machine does it as soon as it hears of it, if `strongroom agent run` runs there.
///
/// With --wait the exit status tells how it ended: 0 done, 1 failed or cancelled, 3 done with warnings.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom item backup web-1
  strongroom item backup web-1 --keep-until 2027-01-31T00:00:00Z --wait")]
pub(crate) struct Backup {
    #[command(flatten)]
    which: Which,
    /// Keep the recovery point until this moment, such as 2027-01-31T00:00:00Z [default: as the policy's daily ones]
    #[arg(long, value_name = "TIME")]
    keep_until: Option<Timestamp>,
    /// Wait until it is over
    #[arg(long)]
    wait: bool,
}

/// Stop the backups of an item
///
/// Its recovery points are kept for ever, unless something else is asked for. A backup that is under way is cancelled.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom item stop web-1                  keep all recovery points
  strongroom item stop web-1 --keep-by-policy let them age, but for the last
  strongroom item stop web-1 --delete-data    delete them; for some days they can be brought back")]
pub(crate) struct Stop {
    #[command(flatten)]
    which: Which,
    /// Let the recovery points age as the policy says; the last one stays
    #[arg(long, conflicts_with = "delete_data")]
    keep_by_policy: bool,
    /// Delete the recovery points; for some days the vault can bring them back
    #[arg(long)]
    delete_data: bool,
}

/// Resume the backups of a stopped item
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom item resume web-1 --policy nightly")]
pub(crate) struct Resume {
    #[command(flatten)]
    which: Which,
    /// The policy
    #[arg(long, value_name = "NAME", default_value = "DefaultFilesPolicy")]
    policy: PolicyName,
}

/// Bring a soft-deleted item back
///
/// It is stopped then, and its recovery points are kept. Restore from them, or resume its backups.
#[derive(Debug, Args)]
pub(crate) struct Undelete {
    #[command(flatten)]
    which: Which,
}

/// The item that a command is about.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The name of its machine, or its id
    item: MachineName,
    #[command(flatten)]
    vault: WhichVault,
}

impl Item {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let client = match self {
            Self::Export(_) => AdminSession::patient_client(global)?,
            _ => AdminSession::client(global)?,
        };
        match self {
            Self::List(list) => list.run(&client, terminal)?,
            Self::Show(Show { which }) => {
                let found = block_on(async { Ok(client.item(&which.vault(&client).await?, &which.item).await?) })?;
                terminal.result(&found, shown)?;
            }
            Self::Points(Points { which }) => {
                let found =
                    block_on(async { Ok(client.item_points(&which.vault(&client).await?, &which.item).await?) })?;
                terminal.result(&found, points)?;
            }
            Self::Protect(Protect { which, policy }) | Self::Resume(Resume { which, policy }) => {
                let protect = ProtectItem { policy };
                let changed = block_on(async {
                    let vault = which.vault(&client).await?;
                    Ok(client.protect_item(&vault, &which.item, &protect).await?)
                })?;
                let verb = format!("Under the policy {}", protect.policy);
                terminal.done(&changed, |changed| told(&verb, changed))?;
            }
            Self::Export(export) => return export.run(&client, terminal),
            Self::Backup(backup) => return backup.run(&client, terminal),
            Self::Settings(settings) => return settings.run(&client, terminal),
            Self::Stop(stop) => stop.run(&client, terminal)?,
            Self::Undelete(Undelete { which }) => {
                let changed =
                    block_on(async { Ok(client.undelete_item(&which.vault(&client).await?, &which.item).await?) })?;
                terminal.done(&changed, |changed| told("Brought back", changed))?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl Which {
    async fn vault(&self, client: &Client) -> Result<VaultName, Failure> {
        self.vault.name(client).await
    }
}

impl List {
    fn run(self, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
        let Self {
            policy,
            status,
            deleted,
            vault,
        } = self;
        let filter = ItemFilter {
            policy,
            state: status,
            deleted: deleted.then_some(true),
            limit: Some(1000),
            after: None,
        };
        let list = block_on(async {
            let vault = vault.name(client).await?;
            all_items(client, &vault, filter).await
        })?;
        terminal.result(&list, |list| match list.items.is_empty() {
            true => "There are no such items.".to_owned(),
            false => table(&list.items),
        })
    }
}

/// All pages.
async fn all_items(client: &Client, vault: &VaultName, mut filter: ItemFilter) -> Result<ItemList, Failure> {
    let mut items = Vec::new();
    loop {
        let page = client.items(vault, &filter).await?;
        items.extend(page.items);
        if page.next.is_none() {
            return Ok(ItemList { items, next: None });
        }
        filter.after = page.next;
    }
}

impl Backup {
    fn run(self, client: &Client, terminal: &Terminal) -> Result<Outcome, Failure> {
        let wish = BackUpItem {
            keep_until: self.keep_until,
        };
        let made = block_on(async {
            let vault = self.which.vault(client).await?;
            let made = client.back_up_item(&vault, &self.which.item, &wish).await?;
            match self.wait {
                true => job::wait(client, &vault, made.id, None).await,
                false => Ok(made),
            }
        })?;
        let outcome = if self.wait { job::outcome(&made) } else { Outcome::Done };
        terminal.done(&made, |made| match self.wait {
            true => job::sentence(made),
            false => format!(
                "Job {} waits for {}: `strongroom job show {}` tells how far it is.",
                made.id, made.name, made.id
            ),
        })?;
        Ok(outcome)
    }
}

impl Stop {
    fn run(self, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
        let data = match (self.keep_by_policy, self.delete_data) {
            (true, _) => StopData::RetainByPolicy,
            (_, true) => StopData::Delete,
            _ => StopData::Retain,
        };
        let changed = block_on(async {
            let vault = self.which.vault(client).await?;
            Ok(client.stop_item(&vault, &self.which.item, &StopItem { data }).await?)
        })?;
        terminal.done(&changed, stopped_text)
    }
}

/// What became of an item whose protection was stopped.
pub(crate) fn stopped_text(changed: &ItemChange) -> String {
    match &changed.item {
        None => "Stopped; its recovery points are gone, for the vault has no soft delete.".to_owned(),
        Some(item) => match item.purged_at {
            Some(gone) => format!(
                "Stopped; {} and its recovery points are soft-deleted, and gone for good on {}: until then \
                 `strongroom item undelete {}` brings them back.",
                item.name,
                moment(gone),
                item.name
            ),
            None => told("Stopped", changed),
        },
    }
}

fn told(verb: &str, changed: &ItemChange) -> String {
    let Some(item) = &changed.item else {
        return format!("{verb}.");
    };
    let next = item.next_backup.map_or_else(
        || "no backup is planned".to_owned(),
        |next| format!("its next backup is due on {}", moment(next)),
    );
    format!("{verb}: {} is {}; {next}.", item.name, item.state)
}

fn table(items: &[ItemView]) -> String {
    let mut table = Table::new(&["NAME", "STATE", "POLICY", "RPO", "LAST BACKUP", "", "NEXT BACKUP"]);
    for item in items {
        let state = match item.deleted {
            Some(_) => "SoftDeleted".to_owned(),
            None => item.state.to_string(),
        };
        let last = item.last_backup;
        let name = match item.unregistered {
            Some(_) => format!("{} (left as {})", item.name, item.id),
            None => item.name.to_string(),
        };
        table.row([
            name,
            state,
            item.policy.as_ref().map_or("-".to_owned(), ToString::to_string),
            item.rpo.map_or("-".to_owned(), |rpo| rpo.to_string()),
            last.map_or("-".to_owned(), |last| last.state.to_string()),
            last.map_or(String::new(), |last| moment(last.at)),
            item.next_backup.map_or("-".to_owned(), moment),
        ]);
    }
    table.to_text()
}

fn shown(item: &ItemView) -> String {
    let line = |name: &str, value: String| format!("{name:<14}{value}\n");
    let mut text = [
        line("name", item.name.to_string()),
        line("id", item.id.to_string()),
        line(
            "machine",
            item.unregistered
                .map_or("registered".to_owned(), |at| format!("unregistered on {}", moment(at))),
        ),
        line("kind", item.workload.to_string()),
        line("state", item.state.to_string()),
        line(
            "policy",
            item.policy.as_ref().map_or("-".to_owned(), ToString::to_string),
        ),
        line("next backup", item.next_backup.map_or("-".to_owned(), moment)),
    ]
    .concat();
    if let Some(last) = item.last_backup {
        text += &line("last backup", format!("{} on {}", last.state, moment(last.at)));
    }
    if let Some(rpo) = item.rpo {
        text += &line("RPO", rpo.to_string());
    }
    if let Some(point) = item.latest_point {
        text += &line("latest point", point.to_string());
    }
    if let (Some(deleted), Some(gone)) = (item.deleted, item.purged_at) {
        text += &line(
            "deleted",
            format!("{}, gone for good on {}", moment(deleted), moment(gone)),
        );
    }
    text
}

fn points(list: &KeptPointList) -> String {
    if list.points.is_empty() {
        return "The item has no recovery points.".to_owned();
    }
    let mut table = Table::new(&["POINT", "TAKEN IN", ">SIZE", "TAGS", ""]);
    for kept in &list.points {
        let tags: Vec<String> = kept.tags.iter().map(|tag: Tag| tag.to_string()).collect();
        table.row([
            kept.point.id.to_string(),
            moment(kept.point.committed),
            bytes(kept.point.total_bytes),
            tags.join(", "),
            kept.why.clone(),
        ]);
    }
    table.to_text()
}
