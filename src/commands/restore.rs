//! `strongroom restore`: from the vault to a folder, or to where everything was.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{ArgGroup, Args, ValueEnum};
use serde::Serialize;
use strongroom_api::RetryPolicy;
use strongroom_engine::Progress;
use strongroom_engine::restore::{ArchiveForm, Conflict, Fate, Output, Picked, Planned, RestoreOptions, RestoreReport};
use strongroom_format::entry::{Entry, Record};
use strongroom_sources::files::Patterns;

use crate::cli::Global;
use crate::commands::backup::pace;
use crate::commands::block_on;
use crate::commands::points::Whose;
use crate::failure::{Failure, Outcome};
use crate::issues;
use crate::listing::EntryView;
use crate::private_file;
use crate::progress::watch;
use crate::shown_path::{absolute, stored};
use crate::terminal::{Terminal, bytes};
use crate::throttle_flags::LimitFlags;
use crate::waiting::{Waiting, first_calls};

/// Restore a recovery point, or parts of it
///
/// With `--to`, everything is made below the folder with its full path: `--to /tmp/r` restores /etc/hosts to
/// /tmp/r/etc/hosts. With `--in-place`, everything goes back to where it was. With `--archive`, it becomes a tar or zip
/// archive on the standard output.
///
/// What is there already and has the right contents is kept, and only attributes that differ are set. What differs is
/// replaced, unless `--conflict` says otherwise; folders are merged. Nothing is ever deleted that the recovery point does not
/// have. So the same command continues a restore that was interrupted.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").required(true).args(["to", "in_place", "archive"])))]
#[command(after_long_help = "\
Patterns are those of .gitignore files, as with `strongroom backup`: `*.o`, `cache/`, `/home/*/tmp`, `!keep.o`. One that
begins with a slash is meant from the root of the file system, others below each PATH or, without one, below each folder
that was backed up.

Examples:
  strongroom restore latest --to /tmp/restored
  strongroom restore latest /etc /home/ann --to /tmp/restored
  strongroom restore latest /home/ann --include '*.odt' --exclude old/ --in-place --conflict keep-both
  strongroom restore latest --in-place --dry-run
  strongroom restore latest --to /srv/restored --limit-download 20mbit
  strongroom restore latest /etc --archive tar | ssh other tar x --xattrs --xattrs-include='*'
  strongroom restore latest /home/ann --archive zip --output ann.zip
  strongroom restore latest --machine web-1 --to /srv/web-1
  strongroom restore latest --from-disk /mnt/usb/export --in-place
  strongroom restore latest --machine db-1 --ask-passphrase --to /srv/db-1
  strongroom restore 0199f3a0-7c1e /etc/hosts --in-place")]
pub(crate) struct Restore {
    /// The recovery point: an id, a unique beginning of one, or `latest`
    #[arg(value_name = "POINT")]
    point: String,
    /// Only these and what lies below them [default: all]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The folder to restore to; it is made if it does not exist
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Restore to where everything was, and touch only what differs
    ///
    /// Contents are written beside and take their name when they are whole: nobody who works there sees half a file.
    #[arg(long)]
    in_place: bool,
    /// Write an archive of this form instead
    ///
    /// A tar archive has everything but sockets, as GNU tar and bsdtar read it; a zip archive names, contents, modes, owners,
    /// times and symbolic links, and holds the contents of hard links once for each name.
    #[arg(long, value_name = "FORM", conflicts_with_all = ["conflict", "without_owners", "dry_run"])]
    archive: Option<Form>,
    /// The new file for the archive [default: the standard output]
    #[arg(long, value_name = "FILE", requires = "archive")]
    output: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// List what would become of each entry, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    limits: LimitFlags,
}

/// The form of an archive.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// POSIX tar (pax)
    Tar,
    /// ZIP
    Zip,
}

impl From<Form> for ArchiveForm {
    fn from(form: Form) -> Self {
        match form {
            Form::Tar => Self::Tar,
            Form::Zip => Self::Zip,
        }
    }
}

/// Which entries are restored, and how.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// What to do where something is there already and differs
    #[arg(long, value_name = "CHOICE", default_value = "overwrite")]
    conflict: Choice,
    /// Only what fits this pattern, and what lies below it; may be given several times
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out what fits this pattern, and what lies below it; may be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Do not restore ACLs (system.posix_acl_access, system.posix_acl_default)
    ///
    /// New entries get those that their folder hands down, and what is there keeps its own. All other extended attributes
    /// are restored. The group of a file gets what the ACL gave it, no more.
    #[arg(long)]
    without_acls: bool,
    /// Do not restore owners and groups: what is made belongs to who restores
    ///
    /// Without being root, this is so anyway.
    #[arg(long)]
    without_owners: bool,
}

/// What to do where something is there already and differs.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    /// Leave it as it is
    Skip,
    /// Replace it; a folder is never replaced by something else
    Overwrite,
    /// Leave it as it is, and restore beside it as NAME.restored-TIME, by the recovery point's time
    KeepBoth,
}

impl From<Choice> for Conflict {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Skip => Self::Skip,
            Choice::Overwrite => Self::Overwrite,
            Choice::KeepBoth => Self::KeepBoth,
        }
    }
}

impl How {
    /// The options of a restore of `paths` to `target`.
    pub(crate) fn options(&self, paths: &[PathBuf], target: PathBuf) -> Result<RestoreOptions, Failure> {
        let picked = Picked {
            paths: stored_paths(paths),
            include: Patterns::of("--include", &self.include)?,
            exclude: Patterns::of("--exclude", &self.exclude)?,
        };
        Ok(RestoreOptions {
            picked,
            conflict: self.conflict.into(),
            acls: !self.without_acls,
            owners: !self.without_owners,
            ..RestoreOptions::to(target)
        })
    }
}

#[derive(Serialize)]
struct RestoreView {
    target: PathBuf,
    #[serde(flatten)]
    report: RestoreReport,
    /// Blobs that the disk did not have whole; without one, there is no such thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_service: Option<u64>,
    seconds: f64,
    #[serde(flatten)]
    issues: issues::View,
}

impl Restore {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let options = self.options()?;
        if let Some(form) = self.archive {
            return self.archive(form.into(), &options, global, terminal);
        }
        let machine = self
            .whose
            .open(global, RetryPolicy::PATIENT)?
            .with_limits(self.limits.limits());
        let progress = Progress::default();
        let (report, from_service, time) = block_on(async {
            let machine = self.whose.reader(machine, terminal).await?;
            let filter = self.whose.filter();
            let opening = machine.find_and_open(&self.point, &filter);
            let point = first_calls(machine.client(), terminal, opening).await?;
            let waiting = Some(Waiting::for_service_of(machine.client()));
            let began = Instant::now();
            let report = match self.dry_run {
                true => {
                    let (target, terminal) = (options.target.clone(), *terminal);
                    let tell = move |planned| tell(&target, planned, &terminal);
                    let work = machine.preview(&point, &options, progress.clone(), tell);
                    watch(&terminal, "Comparing", &progress, waiting, work).await?
                }
                false => {
                    let work = machine.restore(&point, &options, progress.clone());
                    watch(terminal, "Restoring", &progress, waiting, work).await?
                }
            };
            Ok((report, machine.given_by_service(), began.elapsed()))
        })?;
        match self.dry_run {
            true => show_preview(&report, terminal),
            false => show(options.target, report, from_service, time, terminal),
        }
    }

    fn archive(
        &self,
        form: ArchiveForm,
        options: &RestoreOptions,
        global: &Global,
        terminal: &Terminal,
    ) -> Result<Outcome, Failure> {
        let machine = self
            .whose
            .open(global, RetryPolicy::PATIENT)?
            .with_limits(self.limits.limits());
        let output = archive_output(self.output.as_deref())?;
        let progress = Progress::default();
        let began = Instant::now();
        let archived = block_on(async {
            let machine = self.whose.reader(machine, terminal).await?;
            let filter = self.whose.filter();
            let opening = machine.find_and_open(&self.point, &filter);
            let point = first_calls(machine.client(), terminal, opening).await?;
            let waiting = Some(Waiting::for_service_of(machine.client()));
            let work = machine.archive(&point, options, form, output, progress.clone());
            Ok(watch(terminal, "Archiving", &progress, waiting, work).await)
        });
        match archived.and_then(|archived| Ok(archived?)) {
            Ok(report) => show_archived(&report, self.output.as_deref(), began.elapsed(), terminal),
            Err(failure) => {
                // Half an archive looks like a whole one.
                self.output.as_deref().map_or(Ok(()), private_file::remove)?;
                // Whoever reads has seen enough, and knows.
                if failure.is_broken_pipe() {
                    return Ok(Outcome::Failed);
                }
                Err(match failure.is_interruption() {
                    true => Failure::new("interrupted; the archive is not whole"),
                    false => failure,
                })
            }
        }
    }

    fn options(&self) -> Result<RestoreOptions, Failure> {
        let target = match &self.to {
            Some(to) => absolute(to)?,
            None => PathBuf::from("/"),
        };
        Ok(RestoreOptions {
            in_use: self.in_place,
            ..self.how.options(&self.paths, target)?
        })
    }
}

/// Where an archive goes.
fn archive_output(file: Option<&Path>) -> Result<Output, Failure> {
    match file {
        Some(file) => Ok(Box::new(private_file::create_new(file)?)),
        None if io::stdout().is_terminal() => Err(Failure::new(
            "an archive is nothing for a terminal: send it on with `|`, or name a file with --output",
        )),
        None => Ok(Box::new(io::stdout())),
    }
}

#[derive(Serialize)]
struct ArchivedView<'a> {
    #[serde(flatten)]
    report: &'a RestoreReport,
    seconds: f64,
    #[serde(flatten)]
    issues: issues::View,
}

/// Prints what is in an archive: on the error output, if the archive itself is on the other.
fn show_archived(
    report: &RestoreReport,
    file: Option<&Path>,
    time: Duration,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let issues = issues::View::new(&report.issues, report.issues_omitted);
    issues.print(terminal);
    let outcome = issues.outcome();
    let view = ArchivedView {
        report,
        seconds: time.as_secs_f64(),
        issues,
    };
    let line = |view: &ArchivedView<'_>| {
        format!(
            "Archived {} entries, {}; {}",
            view.report.entries,
            bytes(view.report.bytes),
            pace(view.report.bytes, time)
        )
    };
    match file {
        Some(_) => terminal.done(&view, line)?,
        None => terminal.done_aside(&view, line)?,
    }
    Ok(outcome)
}

#[derive(Serialize)]
struct PlannedView {
    fate: Fate,
    #[serde(flatten)]
    entry: EntryView,
}

/// Tells what would become of an entry, on a line of its own.
fn tell(target: &Path, planned: Planned, terminal: &Terminal) {
    let path = [stored(target), planned.path]
        .into_iter()
        .filter(|part| !part.is_empty());
    let entry = Entry {
        path: path.collect::<Vec<_>>().join(&b'/'),
        record: Record::Node(planned.node),
    };
    let Some(entry) = EntryView::new(&entry) else { return };
    let view = PlannedView {
        fate: planned.fate,
        entry,
    };
    terminal.line(&view, |view| format!("{:<8} {}", word(view.fate), view.entry.path()));
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::New => "new",
        Fate::Replaced => "replace",
        Fate::Kept => "keep",
        Fate::Skipped => "skip",
        Fate::Copied => "copy",
    }
}

fn show_preview(report: &RestoreReport, terminal: &Terminal) -> Result<Outcome, Failure> {
    let issues = issues::View::new(&report.issues, report.issues_omitted);
    issues.print(terminal);
    terminal.say(&format!(
        "A restore would have {} entries, {} in place{}; nothing was done",
        report.entries,
        bytes(report.bytes),
        conflicts(report)
    ));
    Ok(issues.outcome())
}

/// Paths as they are stored; "/" is all.
pub(crate) fn stored_paths(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    let paths: Vec<Vec<u8>> = paths.iter().map(|path| stored(path)).collect();
    if paths.iter().any(Vec::is_empty) {
        Vec::new()
    } else {
        paths
    }
}

/// Prints what a restore did.
pub(crate) fn show(
    target: PathBuf,
    report: RestoreReport,
    from_service: Option<u64>,
    time: Duration,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let issues = issues::View::new(&report.issues, report.issues_omitted);
    issues.print(terminal);
    let outcome = match report.entries + report.skipped {
        0 => Outcome::Failed,
        _ => issues.outcome(),
    };
    let view = RestoreView {
        target,
        report,
        from_service,
        seconds: time.as_secs_f64(),
        issues,
    };
    terminal.done(&view, |view| {
        let helped = match view.from_service {
            None | Some(0) => String::new(),
            Some(blobs) => format!("; {blobs} blobs came from the service, as the disk does not have them whole"),
        };
        restored_text(&view.target, &view.report, time) + &helped
    })?;
    Ok(outcome)
}

/// What a restore did, in a sentence.
pub(crate) fn restored_text(target: &Path, report: &RestoreReport, time: Duration) -> String {
    format!(
        "Restored {} entries, {} to {}{}; {}",
        report.entries,
        bytes(report.bytes),
        target.display(),
        conflicts(report),
        pace(report.bytes, time)
    )
}

/// What was in the way, for people.
fn conflicts(report: &RestoreReport) -> String {
    let counts = [
        (report.files_kept, "files were there already"),
        (report.replaced, "replaced something else"),
        (report.skipped, "were skipped, as something else is there"),
        (report.copied, "have another name, as something else is there"),
    ];
    let said: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match said.is_empty() {
        true => String::new(),
        false => format!(" ({})", said.join(", ")),
    }
}
