//! `strongroom vault`: what administrators do with vaults.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_agent::{Seed, SeedDescription, SeedImported};
use strongroom_api::{
    CreateVault, DeletedVaultView, SetVaultGuard, SettingsView, VaultCredentials, VaultDeletion, VaultGuardView,
    VaultView,
};
use strongroom_engine::Progress;
use strongroom_model::{
    GuardName, Immutability, Redundancy, Region, ResourceGroupName, SoftDelete, VaultId, VaultName, VaultSettings,
};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::commands::guard::words;
use crate::failure::{Failure, Outcome};
use crate::private_file;
use crate::progress::watch;
use crate::terminal::{self, Table, Terminal, bytes};
use crate::which_vault::WhichVault;

/// Create, list, show and delete vaults, and let machines register in them
///
/// A vault holds the recovery points of the machines that are registered in it. These commands need a session: see
/// `strongroom login`.
#[derive(Debug, Subcommand)]
pub(crate) enum Vault {
    Create(Create),
    List(List),
    Show(Show),
    Delete(Delete),
    Undelete(Undelete),
    Credentials(Credentials),
    Settings(Settings),
    Pin(Pin),
    ImportSeed(ImportSeed),
    #[command(subcommand)]
    Guard(Guard),
}

/// Put a vault under a resource guard, or take it off
///
/// What the guard guards then needs a second person's approval: see `strongroom guard`.
#[derive(Debug, Subcommand)]
pub(crate) enum Guard {
    Set(GuardSet),
    /// Show the resource guard that a vault is under
    Show(Show),
    /// Take the resource guard off a vault; this needs an approval itself
    Remove(Show),
}

/// Put a vault under a resource guard
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom vault guard set main --guard two-people --resource-group security")]
pub(crate) struct GuardSet {
    /// The vault's name
    name: VaultName,
    /// The guard's name
    #[arg(long, value_name = "NAME")]
    guard: GuardName,
    /// The resource group that the guard lies in
    #[arg(long, value_name = "NAME", default_value_t = ResourceGroupName::default())]
    resource_group: ResourceGroupName,
}

/// Get a security PIN, which somebody then types at a machine
///
/// A machine's own credential takes nothing away. With a PIN it may: `strongroom agent stop-protection --delete-data` and
/// `strongroom agent unregister` ask for one. It is good for five minutes and for one use, and a new one makes the one
/// before void.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom vault pin main
  strongroom agent stop-protection --delete-data      (at the machine)")]
pub(crate) struct Pin {
    /// The vault's name
    name: VaultName,
}

/// Import a seed: a first backup that a machine made on a disk
///
/// The machine has made it with `strongroom backup --seed-to`, and signed it: nobody can make one up or alter it. Every byte is
/// checked as if it came over the line; damaged, cut and missing objects are named. When this ends with status 0, the recovery
/// point exists, and the machine's next backup sends what changed since. An import that was interrupted goes on where it was.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom backup /home --seed-to /mnt/usb/seed      (at the machine)
  strongroom vault import-seed /mnt/usb/seed           (near the service)")]
pub(crate) struct ImportSeed {
    /// The folder that the machine has filled, or a copy of it
    folder: PathBuf,
    #[command(flatten)]
    vault: WhichVault,
}

/// Show or change what guards a vault's data
///
/// Without flags the settings are shown.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Soft delete: what is deleted can be brought back for 14 to 180 days. AlwaysOn cannot be switched off any more.
Immutability: recovery points cannot go before their time, whoever wishes it. Unlocked can be switched off; Locked cannot,
for ever.

Examples:
  strongroom vault settings main
  strongroom vault settings main --soft-delete-days 30
  strongroom vault settings main --immutability Unlocked")]
pub(crate) struct Settings {
    /// The vault's name
    name: VaultName,
    /// Whether what is deleted can be brought back
    #[arg(long, value_name = "Enabled|Disabled|AlwaysOn")]
    soft_delete: Option<SoftDelete>,
    /// For how many days
    #[arg(long, value_name = "N")]
    soft_delete_days: Option<u32>,
    /// Whether recovery points can go before their time
    #[arg(long, value_name = "Disabled|Unlocked|Locked")]
    immutability: Option<Immutability>,
}

/// Create a vault
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom vault create main
  strongroom vault create archive --redundancy GRS")]
pub(crate) struct Create {
    /// Its name: 2 to 50 letters, digits and hyphens, a letter first
    name: VaultName,
    /// The resource group that it shall lie in
    #[arg(long, value_name = "NAME", default_value_t = ResourceGroupName::default())]
    resource_group: ResourceGroupName,
    /// Where its objects are kept
    #[arg(long, value_name = "R", default_value_t = Region::default())]
    region: Region,
    /// How many places keep them: LRS (one) or GRS (two)
    #[arg(long, value_name = "LRS|GRS", default_value = "LRS")]
    redundancy: Redundancy,
}

/// List the vaults
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom vault list --deleted")]
pub(crate) struct List {
    /// Only those that were deleted and can be brought back
    #[arg(long)]
    deleted: bool,
}

/// Show one vault
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its name
    name: VaultName,
}

/// Delete a vault that holds nothing, or nothing but what is soft-deleted
///
/// A vault in which machines are registered, or with items that are not deleted, is not deleted. One that holds nothing is
/// gone at once. One with soft-deleted items can be brought back for as long as the vault keeps what is deleted.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Its name
    name: VaultName,
}

/// Bring a deleted vault back
///
/// With all that was in it: its items are still soft-deleted, and can be brought back then. It has its old name, if no other
/// vault has that now.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom vault list --deleted
  strongroom vault undelete main
  strongroom item undelete web-1 --vault main")]
pub(crate) struct Undelete {
    /// Its name; or its id, which tells several deleted vaults of one name apart
    vault: String,
}

/// Issue a file with which machines can register in a vault
///
/// The file is good for registering and for nothing else, and only for ten days. It carries the certificate of the
/// service's authority, so that a machine knows the true service from the first byte. Keep it secret.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom vault credentials main --output main.credentials
  scp main.credentials web-1:
  ssh web-1 strongroom agent register --credentials main.credentials --passphrase-file secret")]
pub(crate) struct Credentials {
    /// The vault's name
    name: VaultName,
    /// The file to write, or - for the standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Serialize)]
struct DeletedView {
    deleted: VaultName,
    #[serde(flatten)]
    deletion: VaultDeletion,
}

#[derive(Serialize)]
struct UnguardedView {
    unguarded: VaultName,
}

#[derive(Serialize)]
struct CredentialsView {
    vault: VaultName,
    file: PathBuf,
    expires: jiff::Timestamp,
    ca_sha256: String,
}

impl Vault {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::Create(create) => create.run(global, terminal)?,
            Self::List(List { deleted: false }) => list(global, terminal)?,
            Self::List(List { deleted: true }) => list_deleted(global, terminal)?,
            Self::Show(show) => show.run(global, terminal)?,
            Self::Delete(delete) => delete.run(global, terminal)?,
            Self::Undelete(undelete) => undelete.run(global, terminal)?,
            Self::Credentials(credentials) => credentials.run(global, terminal)?,
            Self::Settings(settings) => settings.run(global, terminal)?,
            Self::Pin(pin) => pin.run(global, terminal)?,
            Self::ImportSeed(import) => import.run(global, terminal)?,
            Self::Guard(guard) => guard.run(global, terminal)?,
        }
        Ok(Outcome::Done)
    }
}

impl ImportSeed {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let progress = Progress::default();
        let (seed, imported) = block_on(async {
            let vault = self.vault.name(&client).await?;
            let seed = Seed::open(&self.folder).await?;
            let work = seed.import(&client, &vault, &progress);
            let imported = watch(terminal, "Importing", &progress, None, work).await?;
            Ok((seed, imported))
        })?;
        terminal.done(&imported, |imported| imported_text(seed.description(), imported))
    }
}

fn imported_text(seed: &SeedDescription, imported: &SeedImported) -> String {
    let SeedImported {
        point,
        packs_sent,
        bytes_sent,
        packs_known,
    } = imported;
    format!(
        "Recovery point {point} of {} exists: {packs_sent} packs were taken in, {} in all; {packs_known} were there already. The \
         machine's next backup sends what changed since",
        seed.machine,
        bytes(*bytes_sent)
    )
}

impl Create {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let Self {
            name,
            resource_group,
            region,
            redundancy,
        } = self;
        let create = CreateVault {
            name,
            resource_group,
            region,
            redundancy,
        };
        let vault = block_on(async { Ok(client.create_vault(&create).await?) })?;
        terminal.done(&vault, |vault| {
            format!("Created the vault {} ({}).", vault.name, vault.id)
        })
    }
}

fn list(global: &Global, terminal: &Terminal) -> Result<(), Failure> {
    let client = AdminSession::client(global)?;
    let list = block_on(async { Ok(client.vaults().await?) })?;
    terminal.result(&list, |list| match list.vaults.is_empty() {
        true => "There are no vaults: `strongroom vault create NAME` makes one.".to_owned(),
        false => table(&list.vaults),
    })
}

fn table(vaults: &[VaultView]) -> String {
    let mut table = Table::new(&[
        "NAME",
        "RESOURCE GROUP",
        "REGION",
        "REDUNDANCY",
        ">MACHINES",
        ">POINTS",
        ">STORED",
        "CREATED",
    ]);
    for vault in vaults {
        table.row([
            vault.name.to_string(),
            vault.resource_group.to_string(),
            vault.region.to_string(),
            vault.redundancy.to_string(),
            vault.machines.to_string(),
            vault.points.to_string(),
            terminal::bytes(vault.stored_bytes),
            terminal::moment(vault.created),
        ]);
    }
    table.to_text()
}

impl Show {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let vault = block_on(async { Ok(client.vault(&self.name).await?) })?;
        terminal.result(&vault, |vault| {
            let line = |name: &str, value: String| format!("{name:<12}{value}\n");
            [
                line("name", vault.name.to_string()),
                line("id", vault.id.to_string()),
                line("group", vault.resource_group.to_string()),
                line("region", vault.region.to_string()),
                line("redundancy", vault.redundancy.to_string()),
                line("machines", vault.machines.to_string()),
                line("points", vault.points.to_string()),
                line("stored", terminal::bytes(vault.stored_bytes)),
                line("created", terminal::moment(vault.created)),
            ]
            .concat()
        })
    }
}

impl Delete {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let deletion = block_on(async { Ok(client.delete_vault(&self.name).await?) })?;
        let deleted = self.name;
        let view = DeletedView { deleted, deletion };
        terminal.done(&view, |view| match &view.deletion.kept {
            None => format!("Deleted the vault {}.", view.deleted),
            Some(kept) => format!(
                "Deleted the vault {}; it and the recovery points in it are gone for good on {}: until then `strongroom vault \
                 undelete {}` brings them back.",
                kept.name,
                kept.purged_at.map_or_else(String::new, terminal::moment),
                kept.id
            ),
        })
    }
}

fn list_deleted(global: &Global, terminal: &Terminal) -> Result<(), Failure> {
    let client = AdminSession::client(global)?;
    let list = block_on(async { Ok(client.deleted_vaults().await?) })?;
    terminal.result(&list, |list| match list.vaults.is_empty() {
        true => "There are no deleted vaults that could be brought back.".to_owned(),
        false => deleted_table(&list.vaults),
    })
}

fn deleted_table(vaults: &[DeletedVaultView]) -> String {
    let mut table = Table::new(&[
        "NAME",
        "RESOURCE GROUP",
        ">POINTS",
        ">STORED",
        "DELETED",
        "GONE ON",
        "ID",
    ]);
    for vault in vaults {
        table.row([
            vault.name.to_string(),
            vault.resource_group.to_string(),
            vault.points.to_string(),
            terminal::bytes(vault.stored_bytes),
            terminal::moment(vault.deleted),
            vault.purged_at.map_or("now".to_owned(), terminal::moment),
            vault.id.to_string(),
        ]);
    }
    table.to_text()
}

impl Undelete {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let vault = block_on(async {
            let id = self.id(&client.deleted_vaults().await?.vaults)?;
            Ok(client.undelete_vault(id).await?)
        })?;
        terminal.done(&vault, |vault| {
            format!(
                "Brought the vault {} back; `strongroom item list --deleted --vault {}` shows what can be brought back in it.",
                vault.name, vault.name
            )
        })
    }

    /// The vault that is meant.
    fn id(&self, deleted: &[DeletedVaultView]) -> Result<VaultId, Failure> {
        if let Ok(id) = self.vault.parse() {
            return Ok(id);
        }
        let mut named = deleted
            .iter()
            .filter(|vault| vault.name.as_str().eq_ignore_ascii_case(&self.vault));
        match (named.next(), named.next()) {
            (Some(only), None) => Ok(only.id),
            (Some(_), Some(_)) => Err(Failure::new(format!(
                "several deleted vaults are called {}: name one by its id, as `strongroom vault list --deleted` shows it",
                self.vault
            ))),
            (None, _) => Err(Failure::new(format!(
                "there is no deleted vault called {}: `strongroom vault list --deleted` shows those that can be brought back",
                self.vault
            ))),
        }
    }
}

impl Settings {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let present = block_on(async { Ok(client.settings(&self.name).await?) })?;
        let before = &present.settings;
        let after = VaultSettings {
            soft_delete: self.soft_delete.unwrap_or(before.soft_delete),
            soft_delete_days: self.soft_delete_days.unwrap_or(before.soft_delete_days),
            immutability: self.immutability.unwrap_or(before.immutability),
        };
        if after == *before {
            return terminal.result(&present, settings_text);
        }
        let version = Some(present.version);
        let changed = block_on(async { Ok(client.change_settings(&self.name, &after, version).await?) })?;
        terminal.done(&changed, settings_text)
    }
}

impl Guard {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        match self {
            Self::Set(set) => {
                let wish = SetVaultGuard {
                    resource_group: set.resource_group,
                    guard: set.guard,
                };
                let under = block_on(async { Ok(client.set_vault_guard(&set.name, &wish).await?) })?;
                terminal.done(&under, guard_text)
            }
            Self::Show(Show { name }) => {
                let under = block_on(async { Ok(client.vault_guard(&name).await?) })?;
                terminal.result(&under, guard_text)
            }
            Self::Remove(Show { name }) => {
                block_on(async { Ok(client.remove_vault_guard(&name).await?) })?;
                terminal.done(&UnguardedView { unguarded: name }, |view| {
                    format!("The vault {} is under no resource guard any more.", view.unguarded)
                })
            }
        }
    }
}

fn guard_text(view: &VaultGuardView) -> String {
    let mut text = format!(
        "Under the resource guard {} of the resource group {} since {}. A second person must approve: {}.",
        view.guard,
        view.resource_group,
        terminal::moment(view.since),
        words(&view.operations)
    );
    if let Some(warning) = &view.warning {
        text += &format!("\nBeware: {warning}.");
    }
    text
}

impl Pin {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let pin = block_on(async { Ok(client.security_pin(&self.name).await?) })?;
        terminal.result(&pin, |pin| {
            format!(
                "{}\nGood for one use, until {}. Tell it only to whoever needs it.",
                pin.pin.reveal(),
                terminal::moment(pin.expires)
            )
        })
    }
}

fn settings_text(view: &SettingsView) -> String {
    let VaultSettings {
        soft_delete,
        soft_delete_days,
        immutability,
    } = view.settings;
    format!("soft delete   {soft_delete}, for {soft_delete_days} days\nimmutability  {immutability}")
}

impl Credentials {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<(), Failure> {
        let client = AdminSession::client(global)?;
        let credentials: VaultCredentials = block_on(async { Ok(client.issue_credentials(&self.name).await?) })?;
        if self.output.as_os_str() == "-" {
            return terminal.result(&credentials, VaultCredentials::to_json);
        }
        private_file::write(&self.output, &credentials.to_json())?;
        let view = CredentialsView {
            vault: self.name,
            file: self.output,
            expires: credentials.expires,
            ca_sha256: credentials.ca_sha256.to_string(),
        };
        terminal.done(&view, |view| {
            format!(
                "Wrote {}: machines can register with it in the vault {} until {}. Keep it secret.",
                view.file.display(),
                view.vault,
                terminal::moment(view.expires)
            )
        })
    }
}
