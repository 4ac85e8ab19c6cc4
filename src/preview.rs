//! What a backup would take, and what it would leave out: `strongroom backup --dry-run`.
//!
//! It is printed while it is found, for there may be more of it than fits into memory.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;
use strongroom_sources::files::{Found, Kind, LeftOut, Selection, Step, WalkIssue, Walker};

use crate::failure::{Failure, Outcome};
use crate::shown_path::shown;
use crate::terminal::{Terminal, bytes};

/// One line of a preview, for programs.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
enum Line {
    Taken {
        path: String,
        kind: &'static str,
        size: u64,
    },
    LeftOut {
        path: String,
        rule: &'static str,
        /// The pattern that decided, if one did, and where it came from.
        #[serde(skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        why: String,
    },
    Warning {
        path: String,
        why: String,
    },
}

#[derive(Default, Serialize)]
struct Totals {
    /// Names that would be taken.
    entries: u64,
    /// Bytes of all files that would be taken, each once.
    bytes: u64,
    /// How much each rule leaves out; what is in a folder that is left out is not counted.
    left_out: BTreeMap<&'static str, u64>,
    warnings: u64,
}

/// Walks a selection and says what it comes to.
pub(crate) fn preview(selection: Selection, terminal: &Terminal) -> Result<Outcome, Failure> {
    let walker = Walker::new(selection).map_err(|issue| Failure::new(issue.to_string()))?;
    let mut preview = Preview {
        out: BufWriter::new(io::stdout().lock()),
        is_json: terminal.is_json(),
        is_first: true,
        totals: Totals::default(),
        links: HashSet::new(),
    };
    match preview.all(walker) {
        // A reader that has seen enough (`| head`) is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Outcome::Done),
        Err(error) => Err(error.into()),
        Ok(()) if preview.totals.warnings > 0 => Ok(Outcome::Warnings),
        Ok(()) => Ok(Outcome::Done),
    }
}

struct Preview {
    out: BufWriter<StdoutLock<'static>>,
    is_json: bool,
    is_first: bool,
    totals: Totals,
    /// Files with several names that were counted.
    links: HashSet<(u64, u64)>,
}

impl Preview {
    fn all(&mut self, mut walker: Walker) -> io::Result<()> {
        if self.is_json {
            write!(self.out, "{{\"lines\":[")?;
        }
        while let Some(step) = walker.step() {
            let line = match step {
                Step::Found(found) => self.taken(&found),
                Step::LeftOut(left_out) => self.left_out(left_out),
                Step::Issue(issue) => self.warning(issue),
            };
            self.print(&line)?;
        }
        match self.is_json {
            true => writeln!(self.out, "\n],\"totals\":{}}}", serde_json::to_string(&self.totals)?)?,
            false => writeln!(self.out, "{}", sentence(&self.totals))?,
        }
        self.out.flush()
    }

    fn taken(&mut self, found: &Found) -> Line {
        let meta = &found.meta;
        let is_counted = meta.nlink > 1 && !meta.kind.is_directory() && !self.links.insert((meta.dev, meta.ino));
        let size = if meta.kind == Kind::File { meta.size } else { 0 };
        self.totals.entries += 1;
        self.totals.bytes += if is_counted { 0 } else { size };
        Line::Taken {
            path: shown(&found.path),
            kind: kind(meta.kind),
            size,
        }
    }

    fn left_out(&mut self, LeftOut { path, rule }: LeftOut) -> Line {
        *self.totals.left_out.entry(rule.name()).or_default() += 1;
        Line::LeftOut {
            path: shown(&path),
            rule: rule.name(),
            pattern: rule.pattern().map(|pattern| pattern.text.clone()),
            from: rule.pattern().map(|pattern| pattern.origin.clone()),
            why: rule.to_string(),
        }
    }

    fn warning(&mut self, issue: WalkIssue) -> Line {
        self.totals.warnings += 1;
        Line::Warning {
            path: shown(&issue.path),
            why: issue.why,
        }
    }

    fn print(&mut self, line: &Line) -> io::Result<()> {
        if self.is_json {
            let comma = if self.is_first { "" } else { "," };
            self.is_first = false;
            return write!(self.out, "{comma}\n{}", serde_json::to_string(line)?);
        }
        match line {
            Line::Taken {
                path,
                kind: "file",
                size,
            } => writeln!(self.out, "+ {path}  {}", bytes(*size)),
            Line::Taken { path, kind, .. } => writeln!(self.out, "+ {path}  {kind}"),
            Line::LeftOut { path, why, .. } => writeln!(self.out, "- {path}  {why}"),
            Line::Warning { path, why } => {
                eprintln!("strongroom: warning: {path}: {why}");
                Ok(())
            }
        }
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice { .. } => "character-device",
        Kind::BlockDevice { .. } => "block-device",
    }
}

fn sentence(totals: &Totals) -> String {
    let rules = totals.left_out.iter().map(|(rule, count)| format!("{count} {rule}"));
    let rules: Vec<String> = rules.collect();
    let left_out = if rules.is_empty() {
        "nothing".to_owned()
    } else {
        rules.join(", ")
    };
    format!(
        "Would take {} entries, {} in all; would leave out: {left_out}. Nothing was backed up.",
        totals.entries,
        bytes(totals.bytes)
    )
}
