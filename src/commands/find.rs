//! `strongroom find`: when did I last have this file?

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use strongroom_api::RetryPolicy;
use strongroom_engine::Progress;
use strongroom_engine::history::{Seen, Version};
use strongroom_model::PointId;
use strongroom_sources::files::Patterns;

use crate::cli::Global;
use crate::commands::block_on;
use crate::commands::points::Whose;
use crate::failure::{Failure, Outcome};
use crate::listing::EntryView;
use crate::progress::watch;
use crate::terminal::{Table, Terminal, bytes, moment};

/// Find files in all recovery points, and say when there were which versions
///
/// Each version is listed once, with the first and the last recovery point that has it. A version is a path with a size, a
/// time of last change and contents. What several recovery points have in common is read once, so that a search costs
/// the names of the first point and of what changed afterwards, and no contents.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Patterns are those of .gitignore files, looked at from the root: `report.odt` and `*.odt` anywhere, `/home/ann/*.odt` in
that folder, `/home/**/*.odt` below it.

Examples:
  strongroom find report.odt
  strongroom find '/home/ann/**/*.odt' --json
  strongroom find /etc/fstab --machine web-1")]
pub(crate) struct Find {
    /// What to look for
    #[arg(value_name = "PATTERN")]
    pattern: String,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Serialize)]
struct VersionView {
    #[serde(flatten)]
    entry: EntryView,
    machine: String,
    first: SeenView,
    last: SeenView,
    points: u64,
}

#[derive(Serialize)]
struct SeenView {
    point: PointId,
    created: Timestamp,
}

impl Find {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let patterns = Patterns::of("PATTERN", [&self.pattern])?;
        let machine = self.whose.open(global, RetryPolicy::BRIEF)?;
        let (versions, lost) = block_on(async {
            let machine = self.whose.reader(machine, terminal).await?;
            let (progress, filter) = (Progress::default(), self.whose.filter());
            let work = machine.find(patterns, &filter, progress.clone());
            Ok(watch(terminal, "Searching", &progress, None, work).await?)
        })?;
        lost.iter().for_each(|why| eprintln!("strongroom: warning: {why}"));
        if versions.is_empty() && lost.is_empty() {
            let why = format!(
                "no recovery point that was searched has anything that fits \"{}\"",
                self.pattern
            );
            return Err(Failure::new(why));
        }
        show(&versions, terminal)?;
        Ok(match lost.is_empty() {
            true => Outcome::Done,
            false => Outcome::Warnings,
        })
    }
}

fn show(versions: &[Version], terminal: &Terminal) -> Result<(), Failure> {
    let views = versions.iter().filter_map(view);
    if terminal.is_json() {
        views.for_each(|view| terminal.line(&view, |_| String::new()));
        return Ok(());
    }
    let mut table = Table::new(&[
        ">SIZE",
        "MODIFIED",
        "FIRST POINT",
        "LAST POINT",
        ">POINTS",
        "MACHINE",
        "PATH",
    ]);
    for view in views {
        table.row([
            bytes(view.entry.size()),
            view.entry.modified_shortly(),
            moment(view.first.created),
            moment(view.last.created),
            view.points.to_string(),
            view.machine,
            view.entry.path().to_owned(),
        ]);
    }
    terminal.result(&(), |()| table.to_text())
}

fn view(version: &Version) -> Option<VersionView> {
    let seen = |seen: Seen| SeenView {
        point: seen.point,
        created: seen.created,
    };
    Some(VersionView {
        entry: EntryView::new(&version.entry)?,
        machine: version.machine.clone(),
        first: seen(version.first),
        last: seen(version.last),
        points: version.points,
    })
}
