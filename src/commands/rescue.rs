//! `strongroom rescue`: a vault's objects and what opens them, and nothing else.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_agent::rescue::Rescue as Vault;
use strongroom_engine::Progress;

use crate::commands::restore::{How, show as show_restored, stored_paths};
use crate::commands::{block_on, ls};
use crate::failure::{Failure, Outcome};
use crate::listing::Collected;
use crate::progress::watch;
use crate::shown_path::absolute;
use crate::terminal::{Table, Terminal, bytes, moment};
use crate::unlock::UnlockOptions;

/// Restore from a vault's objects alone: no service, no database, only the passphrase or the recovery key of a sheet
///
/// For the day when everything else is gone. Reads only, and works on a copy of the objects as well, or on a disk that
/// `strongroom item export` has filled.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom rescue --store /var/lib/strongroom-service --passphrase-file secret points
  strongroom rescue --store file:///mnt/copy/objects/local/0199f3a0-… --passphrase-file secret restore latest --to /tmp/r
  strongroom rescue --store /mnt/copy --recovery-key-file - points
  strongroom rescue --store /mnt/usb/export --passphrase-file secret restore latest --to /tmp/r")]
pub(crate) struct Rescue {
    /// The folder of the vault's objects, or the data folder of the service if it holds one vault; also as file:// address
    #[arg(long, value_name = "URL")]
    store: String,
    #[command(flatten)]
    unlock: UnlockOptions,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the recovery points of all machines, newest last
    Points,
    /// List what is in a recovery point
    Ls {
        /// The recovery point: an id, a unique beginning of one, or `latest`
        #[arg(value_name = "POINT")]
        point: String,
        /// Only these and what lies below them
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Restore a recovery point, or parts of it, to a folder
    #[command(after_long_help = "\
Example:
  strongroom rescue --store /srv/strongroom --passphrase-file passphrase restore latest --to /tmp/rescued")]
    Restore {
        /// The recovery point: an id, a unique beginning of one, or `latest`
        #[arg(value_name = "POINT")]
        point: String,
        /// Only these and what lies below them [default: all]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The folder to restore to; it is made if it does not exist
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Serialize)]
struct PointLine {
    id: String,
    created: jiff::Timestamp,
    machine: Option<String>,
    entries: u64,
    total_bytes: u64,
}

impl Rescue {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let unlock = self.unlock.read(false, terminal)?;
        block_on(async {
            let vault = Vault::open(&self.store, &unlock).await?;
            for damage in vault.damaged() {
                eprintln!("strongroom: damaged: {}: {}", damage.object, damage.why);
            }
            let outcome = self.action.run(&vault, terminal).await?;
            let unblemished = vault.damaged().is_empty() || outcome == Outcome::Failed;
            Ok(if unblemished { outcome } else { Outcome::Warnings })
        })
    }
}

impl Action {
    async fn run(self, vault: &Vault, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::Points => points(vault, terminal),
            Self::Ls { point, paths } => {
                let point = vault.open_point(&point).await?;
                let mut collected = Collected::default();
                vault
                    .list(&point, stored_paths(&paths), |listed| collected.add(listed))
                    .await?;
                ls::show(&collected, &paths, terminal)
            }
            Self::Restore { point, paths, to, how } => {
                let options = how.options(&paths, absolute(&to)?)?;
                let (progress, began) = (Progress::default(), Instant::now());
                let point = vault.open_point(&point).await?;
                let work = vault.restore(&point, &options, progress.clone());
                let report = watch(terminal, "Restoring", &progress, None, work).await?;
                show_restored(options.target, report, None, began.elapsed(), terminal)
            }
        }
    }
}

fn points(vault: &Vault, terminal: &Terminal) -> Result<Outcome, Failure> {
    let line = |point: &strongroom_agent::rescue::RescuePoint| PointLine {
        id: point.header.point.to_string(),
        created: point.header.created,
        machine: point.machine.clone(),
        entries: point.header.files,
        total_bytes: point.header.total_bytes,
    };
    let lines: Vec<PointLine> = vault.points().iter().map(line).collect();
    terminal.result(&lines, |lines| {
        let mut table = Table::new(&["POINT", "CREATED", "MACHINE", ">ENTRIES", ">SIZE"]);
        for line in lines {
            let machine = line
                .machine
                .clone()
                .unwrap_or_else(|| "(another passphrase)".to_owned());
            let figures = [line.entries.to_string(), bytes(line.total_bytes)];
            table.row(
                [line.id.clone(), moment(line.created), machine]
                    .into_iter()
                    .chain(figures),
            );
        }
        table.to_text()
    })?;
    Ok(Outcome::Done)
}
