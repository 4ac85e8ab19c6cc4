//! `strongroom ls`: what is in a recovery point.

use std::path::PathBuf;

use clap::Args;
use strongroom_api::RetryPolicy;

use crate::cli::Global;
use crate::commands::block_on;
use crate::commands::points::Whose;
use crate::failure::{Failure, Outcome};
use crate::listing::Collected;
use crate::shown_path::stored;
use crate::terminal::Terminal;

/// List what is in a recovery point
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom ls latest
  strongroom ls latest /etc/ssh
  strongroom ls 0199f3a0-7c1e /home --json")]
pub(crate) struct Ls {
    /// The recovery point: an id, a unique beginning of one, or `latest`
    #[arg(value_name = "POINT")]
    point: String,
    /// Only this and what lies below it
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    whose: Whose,
}

impl Ls {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = self.whose.open(global, RetryPolicy::BRIEF)?;
        let paths = self
            .paths
            .iter()
            .map(|path| stored(path))
            .filter(|path| !path.is_empty())
            .collect();
        let mut collected = Collected::default();
        block_on(async {
            let machine = self.whose.reader(machine, terminal).await?;
            let point = machine.find_and_open(&self.point, &self.whose.filter()).await?;
            Ok(machine.list(&point, paths, |listed| collected.add(listed)).await?)
        })?;
        show(&collected, &self.paths, terminal)
    }
}

/// Prints a listing, for people or programs.
pub(crate) fn show(collected: &Collected, asked_for: &[PathBuf], terminal: &Terminal) -> Result<Outcome, Failure> {
    let lines = |entries: &Vec<_>| {
        let lines: Vec<String> = entries.iter().map(crate::listing::EntryView::line).collect();
        lines.join("\n")
    };
    if collected.entries.is_empty() && collected.lost.is_empty() {
        let paths: Vec<String> = asked_for.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::new(match paths.is_empty() {
            true => "the recovery point has nothing in it".to_owned(),
            false => format!("the recovery point has nothing at {}", paths.join(", ")),
        }));
    }
    terminal.result(&collected.entries, lines)?;
    collected
        .lost
        .iter()
        .for_each(|why| eprintln!("strongroom: warning: {why}"));
    Ok(if collected.lost.is_empty() {
        Outcome::Done
    } else {
        Outcome::Warnings
    })
}
