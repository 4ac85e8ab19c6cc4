//! `strongroom key`: which keys this machine has, who else has them, and a sheet of paper for the day when all are lost.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use strongroom_agent::{KeySetOverview, KnownKeySet, Machine};
use strongroom_api::{RetryPolicy, Trust};

use crate::cli::Global;
use crate::clock;
use crate::commands::{agent, block_on};
use crate::failure::{Failure, Outcome};
use crate::private_file;
use crate::recovery_sheet::RecoverySheet;
use crate::terminal::{Table, Terminal, moment};

/// List the keys that this machine has, and print its recovery sheet
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    List(List),
    Sheet(Sheet),
}

/// List the key sets of the vault that this machine can open
///
/// With each: the machines that have it, which can restore each other's data, and since when it has its newest passphrase.
/// Those of other passphrases are counted.
#[derive(Debug, Args)]
pub(crate) struct List {}

/// Print this machine's recovery sheet
///
/// It says how to restore on another machine, step by step, and has the recovery key: the master key itself, which restores
/// though machine and passphrase are both lost. Whoever reads the sheet can read all that machines with this key ever backed
/// up, once the vault lets them in: keep it as you keep deeds. Its rows check themselves, so that a slip in typing is noticed.
///
/// The sheet stays good when the passphrase is changed. It does not let anybody into the vault: that takes a vault credentials
/// file, which whoever manages the vault gives.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom key sheet | lp
  strongroom key sheet --html --output sheet.html
  strongroom key sheet --without-key")]
pub(crate) struct Sheet {
    /// Write it to this new file, which only its owner may read [default: the standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// As a page for a browser, which prints it with a code to scan
    #[arg(long)]
    html: bool,
    /// Without the recovery key: then the passphrase is needed, which is kept elsewhere
    #[arg(long)]
    without_key: bool,
}

#[derive(Serialize)]
struct WrittenView {
    sheet: PathBuf,
    recovery_key: bool,
}

impl Key {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        match self {
            Self::List(List {}) => list(global, terminal),
            Self::Sheet(sheet) => sheet.run(global, terminal),
        }
    }
}

fn list(global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let machine = agent::open(global, RetryPolicy::BRIEF)?;
    let overview = block_on(async { Ok(machine.key_sets().await?) })?;
    terminal.result(&overview, listed)?;
    Ok(Outcome::Done)
}

fn listed(overview: &KeySetOverview) -> String {
    let mut table = Table::new(&["KEY SET", "OWN", "PASSPHRASE SINCE", "BY", ">PASSPHRASES", "MACHINES"]);
    for key_set in &overview.key_sets {
        table.row(row(key_set));
    }
    let others = match overview.others {
        0 => String::new(),
        1 => "\nThis machine cannot open one more key set of the vault.".to_owned(),
        count => format!("\nThis machine cannot open {count} more key sets of the vault."),
    };
    format!("{}{others}", table.to_text().trim_end())
}

fn row(key_set: &KnownKeySet) -> [String; 6] {
    let newest = key_set.passphrases.last();
    let by = newest.and_then(|newest| newest.by.as_ref());
    let machines: Vec<String> = key_set.machines.iter().map(ToString::to_string).collect();
    [
        key_set.id.to_string(),
        if key_set.own { "yes" } else { "no" }.to_owned(),
        newest.map_or(String::new(), |newest| moment(newest.since)),
        by.map_or("-".to_owned(), ToString::to_string),
        key_set.passphrases.len().to_string(),
        machines.join(", "),
    ]
}

impl Sheet {
    fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = agent::open(global, RetryPolicy::NONE)?;
        let sheet = sheet(&machine, !self.without_key)?;
        let text = match self.html {
            true => sheet.to_html(),
            false => sheet.to_text(),
        };
        match self.output {
            None => terminal.result(&sheet, |_| text.to_string())?,
            Some(file) => {
                use std::io::Write as _;
                let mut created = private_file::create_new(&file)?;
                created.write_all(text.as_bytes())?;
                created.sync_all()?;
                let view = WrittenView {
                    sheet: file,
                    recovery_key: !self.without_key,
                };
                terminal.done(&view, written)?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn written(view: &WrittenView) -> String {
    let file = view.sheet.display();
    match view.recovery_key {
        true => format!("The sheet is in {file}, with the recovery key: print it, keep it safe, and remove the file."),
        false => format!("The sheet is in {file}, without the recovery key: keep the passphrase where you find it."),
    }
}

fn sheet(machine: &Machine, with_key: bool) -> Result<RecoverySheet, Failure> {
    let state = machine.state();
    let recovery_key = match with_key {
        true => Some(machine.recovery_key()?),
        false => None,
    };
    Ok(RecoverySheet {
        service: state.url.clone(),
        authority: Trust::from_pem(&state.ca_certificate)?.fingerprint().to_string(),
        vault: state.vault_name.to_string(),
        vault_id: state.vault,
        machine: state.name.clone(),
        item: state.item,
        key_set: state.key_set,
        made: clock::system().now(),
        recovery_key: recovery_key.map(|key| key.rows().collect()),
    })
}
