//! `strongroom points`: the recovery points that this machine can restore.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_agent::{Machine, no_points};
use strongroom_api::{PointFilter, PointView, RetryPolicy};
use strongroom_model::MachineName;

use crate::cli::Global;
use crate::commands::{agent, block_on};
use crate::failure::{Failure, Outcome};
use crate::terminal::{Table, Terminal, bytes, moment};
use crate::unlock::OtherKeys;

/// List this machine's recovery points, newest last
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom points
  strongroom points --machine web-1
  strongroom points --machine db-1 --passphrase-file /root/passphrase-of-db-1")]
pub(crate) struct Points {
    #[command(flatten)]
    whose: Whose,
}

/// Whose recovery points are meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Whose {
    /// Those of another machine of the vault: one that uses the same passphrase, or another one that is given here
    #[arg(long, value_name = "NAME")]
    machine: Option<MachineName>,
    /// Those of all machines that use the same passphrase
    #[arg(long, conflicts_with = "machine")]
    all: bool,
    #[command(flatten)]
    keys: OtherKeys,
    /// Read from a disk that `strongroom item export` has filled, instead of the vault
    ///
    /// The service need not be there. If it is, it gives what is damaged or missing on the disk.
    #[arg(long, value_name = "FOLDER")]
    from_disk: Option<PathBuf>,
}

impl Whose {
    pub(crate) fn filter(&self) -> PointFilter {
        match (&self.machine, self.all) {
            (Some(name), _) => PointFilter::Machine(name.clone()),
            (None, true) => PointFilter::All,
            (None, false) => PointFilter::Own,
        }
    }

    /// The machine that reads. One that has a disk does not wait long for a service that only helps out.
    pub(crate) fn open(&self, global: &Global, usual: RetryPolicy) -> Result<Machine, Failure> {
        agent::open(
            global,
            if self.from_disk.is_some() {
                RetryPolicy::BRIEF
            } else {
                usual
            },
        )
    }

    /// The machine as it reads with the keys that were given, and from the disk.
    pub(crate) async fn reader(&self, machine: Machine, terminal: &Terminal) -> Result<Machine, Failure> {
        self.keys.given_to(machine, self.from_disk.as_deref(), terminal).await
    }
}

#[derive(Serialize)]
struct PointsView {
    points: Vec<PointView>,
}

impl Points {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = self.whose.open(global, RetryPolicy::BRIEF)?;
        let filter = self.whose.filter();
        let points = block_on(async {
            let machine = self.whose.reader(machine, terminal).await?;
            Ok(machine.points(&filter).await?)
        })?;
        terminal.result(&PointsView { points }, |view| match view.points.is_empty() {
            true => sentence(&no_points(&filter)),
            false => table(&view.points),
        })?;
        Ok(Outcome::Done)
    }
}

fn sentence(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("{}{rest}.", first.to_ascii_uppercase())
}

fn table(points: &[PointView]) -> String {
    let mut table = Table::new(&["POINT", "CREATED", "MACHINE", ">ENTRIES", ">SIZE", ">ADDED"]);
    for point in points {
        table.row([
            point.id.to_string(),
            moment(point.created),
            point.machine.to_string(),
            point.files.to_string(),
            bytes(point.total_bytes),
            bytes(point.new_bytes),
        ]);
    }
    table.to_text()
}
