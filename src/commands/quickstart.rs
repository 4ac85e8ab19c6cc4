//! `strongroom quickstart`: everything in one process, on the embedded defaults.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use strongroom_agent::{Backup, Machine, MachineState, Registering, StateFolder, Unlock, register};
use strongroom_api::{Client, ClientOptions, CreateVault, RetryPolicy, Secret, SignIn, VaultCredentials};
use strongroom_engine::Progress;
use strongroom_engine::backup::BackupReport;
use strongroom_engine::restore::{RestoreOptions, RestoreReport};
use strongroom_model::{Priority, Redundancy, Region, SnapshotUse, VaultName};
use strongroom_seal::{Level, Passphrase};
use strongroom_service::{Limits, NotifyOptions, ServeOptions, Service, Upkeep};
use strongroom_sources::files::{Pattern, Rules, Selection};

use crate::clock;
use crate::commands::backup::pace;
use crate::commands::{agent, block_on};
use crate::compare::{Comparison, compare};
use crate::failure::{Failure, Outcome};
use crate::issues;
use crate::passphrase;
use crate::progress::watch;
use crate::shown_path::absolute;
use crate::terminal::{Terminal, bytes};

/// Try it all on one folder: serve, make a vault, register, back up, restore, compare
///
/// Runs a service on this machine, backs the folder up to it, restores it to a temporary folder and compares the two. Then
/// the service goes on until Ctrl-C, and other commands can be tried against it; the lines that it prints say how. What it
/// keeps lies in one folder, which a second run uses again: it shows what a backup costs when little has changed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom quickstart /usr/share
  strongroom quickstart ~/Documents --exit")]
pub(crate) struct Quickstart {
    /// What to back up
    folder: PathBuf,
    /// End when all is done, instead of serving on
    #[arg(long)]
    exit: bool,
    /// Where the service and this machine keep what they need
    #[arg(long, value_name = "DIR", default_value = "strongroom-quickstart")]
    keep: PathBuf,
    /// The service's address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: String,
}

#[derive(Serialize)]
struct QuickstartView {
    folder: PathBuf,
    url: String,
    ca_file: PathBuf,
    keep: PathBuf,
    backup: BackupReport,
    backup_seconds: f64,
    restore: RestoreReport,
    restore_seconds: f64,
    compression_ratio: f64,
    identical: bool,
    #[serde(flatten)]
    issues: issues::View,
}

/// What was done, before it is shown.
struct Done {
    backup: BackupReport,
    backup_time: Duration,
    restore: RestoreReport,
    restore_time: Duration,
    comparison: Comparison,
}

impl Quickstart {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let folder = absolute(&self.folder)?;
        if !folder.exists() {
            return Err(Failure::new(format!("{} does not exist", folder.display())));
        }
        let keep = absolute(&self.keep)?;
        if keep.starts_with(&folder) {
            let why = format!(
                "{} lies in the folder to back up: name another place with --keep",
                keep.display()
            );
            return Err(Failure::new(why));
        }
        block_on(self.serve_and_try(folder, keep, terminal))
    }

    async fn serve_and_try(self, folder: PathBuf, keep: PathBuf, terminal: &Terminal) -> Result<Outcome, Failure> {
        let options = ServeOptions {
            data: keep.join("service"),
            listen: self.listen.clone(),
            url: None,
            hostnames: Vec::new(),
            database: None,
            limits: Limits::default(),
            upkeep: Upkeep::default(),
            notify: NotifyOptions::default(),
            providers: Vec::new(),
        };
        let service = Service::start(options, clock::system()).await?;
        terminal.say(&format!(
            "Service    {} (its objects lie in {})",
            service.url(),
            keep.join("service").display()
        ));
        let machine = machine(&service, &keep, terminal).await?;
        let done = try_out(&machine, &folder, &keep, terminal).await?;
        let (view, outcome) = view(&service, &folder, &keep, done, terminal);
        terminal.result(&view, text)?;
        if !self.exit {
            terminal.say(&next_commands(&service, &keep));
            crate::interrupt::requested().await;
        }
        service.stop().await;
        Ok(outcome)
    }
}

/// The machine of an earlier run, or a new one in a new vault.
async fn machine(service: &Service, keep: &Path, terminal: &Terminal) -> Result<Machine, Failure> {
    let folder = StateFolder::new(keep.join("machine"));
    if let Some(state) = folder.machine()? {
        // The service may listen on another port than last time.
        let state = MachineState {
            url: service.url().to_owned(),
            ..state
        };
        folder.keep(&state, &folder.machine_key()?, &folder.master_key()?)?;
        terminal.say(&format!(
            "Machine    {} of vault {}, from an earlier run",
            state.name, state.vault_name
        ));
    } else {
        let credentials = make_vault(service, keep).await?;
        let passphrase = make_passphrase(keep)?;
        let name = agent::host_name()?;
        let registering = Registering {
            credentials: &credentials,
            name: &name,
            unlock: Some(Unlock::Passphrase(passphrase)),
            again: false,
        };
        let registration = register(&folder, registering, clock::system()).await?;
        let state = registration.machine;
        terminal.say(&format!(
            "Machine    {} registered in vault {}",
            state.name, state.vault_name
        ));
    }
    Ok(Machine::open(folder, clock::system(), RetryPolicy::PATIENT)?)
}

async fn make_vault(service: &Service, keep: &Path) -> Result<VaultCredentials, Failure> {
    let options = ClientOptions {
        url: service.url().to_owned(),
        trust: service.trust().clone(),
        clock: clock::system(),
        retry: RetryPolicy::NONE,
        proxy: None,
    };
    let file = service
        .password_file()
        .unwrap_or_else(|| keep.join("service").join("admin-password"));
    let password = std::fs::read_to_string(&file).map_err(|error| {
        Failure::new(format!(
            "cannot read the administrator's password in {}: {error}",
            file.display()
        ))
    })?;
    let session = Client::sign_in_administrator(options.clone(), "admin", Secret::new(password.trim())).await?;
    let client = Client::new(
        options,
        SignIn::Administrator {
            refresh_token: session.refresh_token,
        },
    )?;
    let name: VaultName = "quickstart".parse().expect("it is a valid name");
    let vaults = client.vaults().await?.vaults;
    if !vaults.iter().any(|vault| vault.name == name) {
        let (region, redundancy) = (Region::default(), Redundancy::default());
        client
            .create_vault(&CreateVault {
                name: name.clone(),
                resource_group: strongroom_model::ResourceGroupName::default(),
                region,
                redundancy,
            })
            .await?;
    }
    Ok(client.issue_credentials(&name).await?)
}

/// A passphrase that was made up, in a file that only the user can read.
fn make_passphrase(keep: &Path) -> Result<Passphrase, Failure> {
    let file = keep.join("passphrase");
    if !file.exists() {
        let text = format!("{}\n", uuid::Uuid::new_v4().simple());
        crate::private_file::write(&file, &text)?;
    }
    passphrase::from_file(&file)
}

async fn try_out(machine: &Machine, folder: &Path, keep: &Path, terminal: &Terminal) -> Result<Done, Failure> {
    let selection = Selection::new(vec![folder.to_owned()], without_our_own(keep)?)?;
    let (progress, began) = (Progress::default(), Instant::now());
    let plan = Backup {
        selection,
        level: Level::default(),
        snapshot: SnapshotUse::Never,
        force_rehash: false,
        runs_commands: false,
        priority: Priority::Normal,
    };
    let work = machine.back_up(plan, progress.clone());
    let backup = watch(terminal, "Backing up", &progress, None, work).await?;
    let backup_time = began.elapsed();
    let target = tempfile::Builder::new().prefix("restored-").tempdir_in(keep)?;
    let point = machine.open_point(backup.point).await?;
    let (progress, began) = (Progress::default(), Instant::now());
    let options = RestoreOptions::to(target.path());
    let work = machine.restore(&point, &options, progress.clone());
    let restore = watch(terminal, "Restoring", &progress, None, work).await?;
    let restore_time = began.elapsed();
    let (source, restored) = (
        folder.to_owned(),
        target.path().join(folder.strip_prefix("/").unwrap_or(folder)),
    );
    let comparison = tokio::task::spawn_blocking(move || compare(&source, &restored)).await?;
    Ok(Done {
        backup,
        backup_time,
        restore,
        restore_time,
        comparison,
    })
}

fn without_our_own(keep: &Path) -> Result<Rules, Failure> {
    let pattern = Pattern::new(format!("{}/", keep.display()), "quickstart's own folder");
    Ok(Rules::without([pattern])?)
}

fn view(service: &Service, folder: &Path, keep: &Path, done: Done, terminal: &Terminal) -> (QuickstartView, Outcome) {
    let Done {
        backup,
        backup_time,
        restore,
        restore_time,
        comparison,
    } = done;
    let all: Vec<_> = backup
        .issues
        .iter()
        .chain(&restore.issues)
        .chain(&comparison.differences)
        .cloned()
        .collect();
    let omitted = backup.issues_omitted + restore.issues_omitted + comparison.omitted;
    let issues = issues::View::new(&all, omitted);
    issues.print(terminal);
    let identical = comparison.differences.is_empty();
    let outcome = if identical { issues.outcome() } else { Outcome::Failed };
    let view = QuickstartView {
        folder: folder.to_owned(),
        url: service.url().to_owned(),
        ca_file: service.ca_file(),
        keep: keep.to_owned(),
        compression_ratio: backup.bytes as f64 / backup.new_bytes.max(1) as f64,
        backup,
        backup_seconds: backup_time.as_secs_f64(),
        restore,
        restore_seconds: restore_time.as_secs_f64(),
        identical,
        issues,
    };
    (view, outcome)
}

fn text(view: &QuickstartView) -> String {
    let pace = |total, seconds| pace(total, Duration::from_secs_f64(seconds));
    let backup = &view.backup;
    let ratio = match backup.new_bytes * 2 > backup.bytes / 100 {
        true => format!(" ({:.1} times smaller)", view.compression_ratio),
        false => String::new(),
    };
    let verdict = match view.identical {
        true => "the restored folder is identical to the source, contents and attributes",
        false => "the restored folder DIFFERS from the source: see above",
    };
    format!(
        "Backed up  {} entries, {}: {} new in the vault{ratio}; {}\nRestored   {} entries, {}; {}\nCompared   {verdict}",
        backup.entries,
        bytes(backup.bytes),
        bytes(backup.new_bytes),
        pace(backup.bytes, view.backup_seconds),
        view.restore.entries,
        bytes(view.restore.bytes),
        pace(view.restore.bytes, view.restore_seconds),
    )
}

fn next_commands(service: &Service, keep: &Path) -> String {
    let (state, data) = (keep.join("machine"), keep.join("service"));
    format!(
        "\nThe service goes on at {} until Ctrl-C. In another terminal, try:\n  strongroom --state {state} points\n  \
         strongroom --state {state} backup FOLDER\n  strongroom --state {state} restore latest --to /tmp/restored\n  \
         strongroom login {} --ca {} --user admin --password-file {}\nAnd without any service, after Ctrl-C:\n  \
         strongroom rescue --store {} --passphrase-file {} points",
        service.url(),
        service.url(),
        service.ca_file().display(),
        data.join("admin-password").display(),
        data.display(),
        keep.join("passphrase").display(),
        state = state.display(),
    )
}
