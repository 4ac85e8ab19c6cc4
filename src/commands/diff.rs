//! `strongroom diff`: what is different in another recovery point.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use strongroom_api::RetryPolicy;
use strongroom_engine::difference::{Change, Differing};

use crate::cli::Global;
use crate::commands::block_on;
use crate::commands::points::Whose;
use crate::commands::restore::stored_paths;
use crate::failure::{Failure, Outcome};
use crate::listing::EntryView;
use crate::terminal::Terminal;

/// List what is different in another recovery point
///
/// A line begins with `+` for what only the second one has, `-` for what only the first one has, `M` for other contents, and
/// `a` for other attributes alone: owner, mode, time of last change, extended attributes. A name that was changed is one
/// line of each of the first two. What both have in common is not read.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom diff 0199f3a0-7c1e latest
  strongroom diff 0199f3a0-7c1e 0199f8c2 /etc --json")]
pub(crate) struct Diff {
    /// The one recovery point: an id, a unique beginning of one, or `latest`
    #[arg(value_name = "POINT")]
    earlier: String,
    /// The other one
    #[arg(value_name = "OTHER")]
    later: String,
    /// Only these and what lies below them [default: all]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Serialize)]
struct DifferenceView {
    change: Change,
    #[serde(flatten)]
    entry: EntryView,
}

#[derive(Default)]
struct Counts {
    added: u64,
    removed: u64,
    changed: u64,
    attributes: u64,
    lost: u64,
}

impl Diff {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = self.whose.open(global, RetryPolicy::BRIEF)?;
        let mut counts = Counts::default();
        block_on(async {
            let machine = self.whose.reader(machine, terminal).await?;
            let filter = self.whose.filter();
            let earlier = machine.find_and_open(&self.earlier, &filter).await?;
            let later = machine.find_and_open(&self.later, &filter).await?;
            let each = |differing| counts.tell(differing, terminal);
            Ok(machine
                .compare([&earlier, &later], stored_paths(&self.paths), each)
                .await?)
        })?;
        let Counts {
            added,
            removed,
            changed,
            attributes,
            lost,
        } = counts;
        terminal.say(&format!(
            "{added} added, {removed} removed, {changed} with other contents, {attributes} with other attributes"
        ));
        Ok(match lost {
            0 => Outcome::Done,
            _ => Outcome::Warnings,
        })
    }
}

impl Counts {
    fn tell(&mut self, differing: Differing, terminal: &Terminal) {
        let (change, entry) = match differing {
            Differing::Entry(change, entry) => (change, entry),
            Differing::Lost(why) => {
                self.lost += 1;
                return eprintln!("strongroom: warning: {why}");
            }
        };
        let (count, sign) = match change {
            Change::Added => (&mut self.added, '+'),
            Change::Removed => (&mut self.removed, '-'),
            Change::Changed => (&mut self.changed, 'M'),
            Change::Attributes => (&mut self.attributes, 'a'),
        };
        *count += 1;
        let Some(entry) = EntryView::new(&entry) else { return };
        let view = DifferenceView { change, entry };
        terminal.line(&view, |view| format!("{sign} {}", view.entry.path()));
    }
}
