//! `strongroom host`: this machine as the host of virtual machines.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, Subcommand};
use sd_notify::NotifyState;
use serde::Serialize;
use strongroom_agent::{DiskForm, DiskRestore, Host, HostEvent, HostSettings, Listed, StateFolder, run_host};
use strongroom_api::{PointFilter, RetryPolicy};
use strongroom_engine::Progress;
use strongroom_engine::backup::BackupReport;
use strongroom_engine::restore::RestoreReport;
use strongroom_model::{MachineFacts, MachineName};

use crate::cli::Global;
use crate::commands::agent::{self, run::told};
use crate::commands::backup::pace;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::progress::watch;
use crate::terminal::{Table, Terminal, bytes};
use crate::waiting::{Waiting, first_calls};
use crate::{clock, folders, interrupt, issues, systemd};

/// Back up the virtual machines of this host
#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    Register(HostRegister),
    Settings(Settings),
    Discover(Discover),
    Run(Run),
    Backup(Backup),
    Restore(Restore),
}

/// Register this machine in a vault as a host of virtual machines
///
/// A host is a registered machine as `strongroom agent register` makes it, which also backs up the virtual machines that it
/// has: those that a folder describes, one file NAME.toml each. `docs/virtual-machines.md` says what is in them. The
/// passphrase is that of the virtual machines too: any host with the same one can restore them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom host register --credentials main.credentials --passphrase-file /root/passphrase
  strongroom host discover
  strongroom host run")]
pub(crate) struct HostRegister {
    #[command(flatten)]
    register: agent::Register,
    #[command(flatten)]
    places: Places,
}

/// Show or change how this host is set up
///
/// A machine that was registered as an agent becomes a host by it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom host settings --descriptions /etc/vms --points /var/lib/points")]
pub(crate) struct Settings {
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Args)]
struct Places {
    /// The folder with the descriptions of virtual machines [default: /etc/strongroom/vms]
    #[arg(long, value_name = "DIR")]
    descriptions: Option<PathBuf>,
    /// Where what guests overwrite during a backup is kept meanwhile [default: `points` in the state folder]
    ///
    /// It should be on a file system of its own, or have a quota. If it is full a backup fails, and no guest notices. QEMU's
    /// user has to be able to come through to it.
    #[arg(long, value_name = "DIR")]
    points: Option<PathBuf>,
}

/// Look for the virtual machines of this host, and tell the service of them
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom host discover
  strongroom host discover --dry-run")]
pub(crate) struct Discover {
    /// Tell nobody
    #[arg(long)]
    dry_run: bool,
}

/// Wait for work from the service, and do it
///
/// Scheduled backups of the virtual machines of this host, and those that somebody asks for at the service, are done while
/// this runs, several at a time; so are those of the host's own files, as `strongroom agent run` does them. Whatever a
/// backup that was killed has left is undone at once: guests are thawed and go on.
#[derive(Debug, Args)]
pub(crate) struct Run {}

/// Make a recovery point of a virtual machine, now
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom host backup mail
  strongroom points --machine mail
  strongroom restore latest --machine mail --to /srv/restored")]
pub(crate) struct Backup {
    /// Which
    machine: MachineName,
}

/// Restore the disks of a virtual machine, in the form that is wanted
///
/// On this host or on any other machine of the vault with the same passphrase. The disks come to a folder as NAME.FORM, with
/// machine.json, which says what the machine was. Until they have their form they are there as raw files too, which takes
/// the room of what is stored. A restore that was interrupted goes on where it was.
///
/// A VHD is of fixed size, a whole number of MiB, and has its footer, as Azure takes it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom host restore mail --to /srv/images --form qcow2
  strongroom host restore mail 0199f3a0-7c1e --to /srv/images --disk disk1 --form vhd")]
pub(crate) struct Restore {
    /// Which virtual machine
    machine: MachineName,
    /// Which recovery point: an id, the beginning of one, or `latest`
    #[arg(default_value = "latest")]
    point: String,
    /// The folder that the disks come to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Their form: raw, qcow2, vhd, vhdx or vmdk
    #[arg(long, value_name = "FORM", default_value_t = DiskForm::Raw)]
    form: DiskForm,
    /// Only the disk of this name; may be repeated
    #[arg(long, value_name = "NAME")]
    disk: Vec<String>,
}

impl HostCommand {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::Register(register) => register.run(global, terminal),
            Self::Settings(settings) => settings.run(global, terminal),
            Self::Discover(discover) => discover.run(global, terminal),
            Self::Run(run) => run.run(global),
            Self::Backup(backup) => backup.run(global, terminal),
            Self::Restore(restore) => restore.run(global, terminal),
        }
    }
}

impl Places {
    fn change(self, mut settings: HostSettings) -> Result<HostSettings, Failure> {
        if let Some(descriptions) = self.descriptions {
            settings.descriptions = absolute(&descriptions)?;
        }
        if let Some(points) = self.points {
            settings.points = Some(absolute(&points)?);
        }
        Ok(settings)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(format!("cannot tell where {} is: {error}", path.display())))
}

impl HostRegister {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let folder = StateFolder::new(folders::state(global)?);
        let settings = self.places.change(folder.host()?.unwrap_or_default())?;
        let outcome = self.register.run(global, terminal)?;
        folder.keep_host(&settings)?;
        Ok(outcome)
    }
}

impl Settings {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = agent::open(global, RetryPolicy::NONE)?;
        let folder = StateFolder::new(folders::state(global)?);
        let settings = self.places.change(folder.host()?.unwrap_or_default())?;
        folder.keep_host(&settings)?;
        terminal.result(&settings, |settings| {
            format!(
                "host          {}\ndescriptions  {}\npoints        {}\n",
                machine.state().name,
                settings.descriptions.display(),
                settings
                    .points
                    .as_ref()
                    .map_or("in the state folder".to_owned(), |path| path.display().to_string())
            )
        })?;
        Ok(Outcome::Done)
    }
}

/// The host that is registered with the state folder that the options name.
fn open(global: &Global, usual: RetryPolicy) -> Result<Host, Failure> {
    let folder = StateFolder::new(folders::state(global)?);
    Ok(Host::open(folder, clock::system(), global.retry(usual))?)
}

#[derive(Serialize)]
struct DiscoveredView {
    virtual_machines: Vec<FoundView>,
    elsewhere: Vec<ElsewhereView>,
    unusable: Vec<UnusableView>,
}

#[derive(Serialize)]
struct FoundView {
    name: MachineName,
    #[serde(flatten)]
    facts: MachineFacts,
}

#[derive(Serialize)]
struct ElsewhereView {
    name: MachineName,
    host: MachineName,
}

#[derive(Serialize)]
struct UnusableView {
    description: String,
    why: String,
}

impl From<Listed> for DiscoveredView {
    fn from(listed: Listed) -> Self {
        let found = |machine: strongroom_agent::VirtualMachine| FoundView {
            name: machine.name,
            facts: machine.facts,
        };
        let elsewhere = |(name, host)| ElsewhereView { name, host };
        let unusable = |(description, why)| UnusableView { description, why };
        Self {
            virtual_machines: listed.machines.into_iter().map(found).collect(),
            elsewhere: listed.elsewhere.into_iter().map(elsewhere).collect(),
            unusable: listed.unusable.into_iter().map(unusable).collect(),
        }
    }
}

impl Discover {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let host = open(global, RetryPolicy::BRIEF)?;
        let listed = block_on(async {
            match self.dry_run {
                true => Ok(host.look().await?),
                false => Ok(host.discover().await?),
            }
        })?;
        let view = DiscoveredView::from(listed);
        let is_whole = view.elsewhere.is_empty() && view.unusable.is_empty();
        for ElsewhereView { name, host } in &view.elsewhere {
            eprintln!(
                "strongroom: {name} is not backed up from here: the host {host} has a virtual machine of that name"
            );
        }
        for UnusableView { description, why } in &view.unusable {
            eprintln!("strongroom: {description}: {why}");
        }
        terminal.result(&view, |view| match view.virtual_machines.is_empty() {
            true => format!(
                "No virtual machine is described in {}.",
                host.settings().descriptions.display()
            ),
            false => table(&view.virtual_machines),
        })?;
        match is_whole {
            true => Ok(Outcome::Done),
            false => Ok(Outcome::Warnings),
        }
    }
}

fn table(machines: &[FoundView]) -> String {
    let mut table = Table::new(&["NAME", "POWER", "AGENT", ">DISKS", ">SIZE", "REMARK"]);
    for FoundView { name, facts } in machines {
        let size: u64 = facts.disks.iter().map(|disk| disk.bytes).sum();
        table.row([
            name.to_string(),
            facts.power.to_string(),
            facts.agent.to_string(),
            facts.disks.len().to_string(),
            bytes(size),
            remark(facts),
        ]);
    }
    table.to_text()
}

/// What is to be said of a virtual machine.
pub(crate) fn remark(facts: &MachineFacts) -> String {
    let left_out = facts.left_out.iter();
    let left_out = left_out.map(|device| format!("{} is left out: {}", device.device, device.why));
    facts
        .problem
        .clone()
        .into_iter()
        .chain(left_out)
        .collect::<Vec<_>>()
        .join("; ")
}

impl Run {
    fn run(self, global: &Global) -> Result<Outcome, Failure> {
        let host = Arc::new(open(global, RetryPolicy::PATIENT)?);
        let state = host.machine().state();
        tracing::info!(host = %state.name, vault = %state.vault_name, service = state.url, "waiting for work");
        block_on(async {
            run_host(host.clone(), interrupt::requested(), told_of_host).await;
            Ok(())
        })?;
        systemd::tell(&[NotifyState::Stopping]);
        tracing::info!("stopped");
        Ok(Outcome::Done)
    }
}

fn told_of_host(event: HostEvent) {
    match event {
        HostEvent::Own(event) => told(event),
        HostEvent::Machine(name, event) => tracing::info_span!("vm", %name).in_scope(|| told(event)),
        HostEvent::Discovered(listed) => {
            let count = listed.machines.len();
            tracing::info!(virtual_machines = count, "looked for virtual machines");
            for (name, host) in listed.elsewhere {
                tracing::warn!("{name} is not backed up from here: the host {host} has a virtual machine of that name");
            }
            for (description, why) in listed.unusable {
                tracing::warn!("{description}: {why}");
            }
        }
        HostEvent::NotDiscovered(error) => tracing::warn!("could not look for virtual machines: {error}"),
        HostEvent::Undone { machine, why_not } => {
            let machine = machine.unwrap_or_else(|| "a virtual machine".to_owned());
            match why_not {
                None => tracing::warn!("undid what an earlier backup of {machine} has left"),
                Some(why) => tracing::error!("{machine}: {why}"),
            }
        }
    }
}

#[derive(Serialize)]
struct BackupView {
    machine: MachineName,
    #[serde(flatten)]
    report: BackupReport,
    read_bytes: u64,
    seconds: f64,
    #[serde(flatten)]
    issues: issues::View,
}

impl Backup {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let host = open(global, RetryPolicy::PATIENT)?;
        let machine = host.virtual_machine(&self.machine)?;
        let progress = Progress::default();
        let (made, time) = block_on(async {
            first_calls(machine.client(), terminal, machine.reach()).await?;
            let waiting = Waiting::for_service_of(machine.client());
            let began = Instant::now();
            let work = host.back_up_now(&machine, progress.clone());
            let made = watch(terminal, "Backing up", &progress, Some(waiting), work).await?;
            Ok((made, began.elapsed()))
        })?;
        let issues = issues::View::new(&made.report.issues, made.report.issues_omitted);
        issues.print(terminal);
        let outcome = issues.outcome();
        let view = BackupView {
            machine: self.machine,
            read_bytes: made.read_bytes,
            report: made.report,
            seconds: time.as_secs_f64(),
            issues,
        };
        terminal.done(&view, |view| {
            format!(
                "Recovery point {} of {}: {} of disks, {} read, {} added to the vault; {}",
                view.report.point,
                view.machine,
                bytes(view.report.bytes),
                bytes(view.read_bytes),
                bytes(view.report.new_bytes),
                pace(view.report.bytes, time)
            )
        })?;
        Ok(outcome)
    }
}

#[derive(Serialize)]
struct RestoreView {
    machine: MachineName,
    files: Vec<PathBuf>,
    #[serde(flatten)]
    report: RestoreReport,
    seconds: f64,
    #[serde(flatten)]
    issues: issues::View,
}

impl Restore {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let wanted = DiskRestore {
            to: absolute(&self.to)?,
            form: self.form,
            disks: self.disk,
        };
        let machine = agent::open(global, RetryPolicy::PATIENT)?;
        let progress = Progress::default();
        let (restored, time) = block_on(async {
            let filter = PointFilter::Machine(self.machine.clone());
            let opening = machine.find_and_open(&self.point, &filter);
            let point = first_calls(machine.client(), terminal, opening).await?;
            let waiting = Some(Waiting::for_service_of(machine.client()));
            let began = Instant::now();
            let work = machine.restore_disks(&point, &wanted, progress.clone());
            let restored = watch(terminal, "Restoring", &progress, waiting, work).await?;
            Ok((restored, began.elapsed()))
        })?;
        let issues = issues::View::new(&restored.report.issues, restored.report.issues_omitted);
        issues.print(terminal);
        let outcome = issues.outcome();
        let view = RestoreView {
            machine: self.machine,
            files: restored.files,
            report: restored.report,
            seconds: time.as_secs_f64(),
            issues,
        };
        terminal.done(&view, |view| {
            let files = view.files.iter().map(|file| format!("\n  {}", file.display()));
            format!("Restored disks of {}:{}", view.machine, files.collect::<String>())
        })?;
        Ok(outcome)
    }
}
