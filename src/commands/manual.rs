//! `strongroom manual`: the manual pages of all commands.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use crate::failure::{Failure, Outcome};

/// Write the manual pages of all commands into a folder
///
/// They say what `--help` says: both are made of the same declaration.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom manual /usr/local/share/man/man1
  strongroom manual . && man ./strongroom-backup.1")]
pub(crate) struct Manual {
    /// The folder, which is made if need be
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Manual {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let written = std::fs::create_dir_all(&self.folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &self.folder))
            .with_context(|| format!("cannot write manual pages into {}", self.folder.display()));
        written?;
        Ok(Outcome::Done)
    }
}
