//! What went wrong with single files, as people and programs see it.

use serde::Serialize;
use strongroom_format::point::Issue;

use crate::failure::Outcome;
use crate::shown_path::shown;
use crate::terminal::Terminal;

/// How many are printed for people; programs get all that are listed.
const PRINTED_MAX: usize = 50;

/// The issues of a job.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    warnings: Vec<Warning>,
    warnings_omitted: u64,
}

#[derive(Debug, Serialize)]
struct Warning {
    /// Empty when it is about no file in particular.
    path: String,
    why: String,
}

impl View {
    pub(crate) fn new(issues: &[Issue], warnings_omitted: u64) -> Self {
        let warning = |issue: &Issue| Warning {
            path: if issue.path.is_empty() {
                String::new()
            } else {
                shown(&issue.path)
            },
            why: issue.why.clone(),
        };
        Self {
            warnings: issues.iter().map(warning).collect(),
            warnings_omitted,
        }
    }

    /// Prints them for people, on the error output.
    pub(crate) fn print(&self, terminal: &Terminal) {
        if terminal.is_json() {
            return;
        }
        for warning in self.warnings.iter().take(PRINTED_MAX) {
            match warning.path.as_str() {
                "" => eprintln!("strongroom: warning: {}", warning.why),
                path => eprintln!("strongroom: warning: {path}: {}", warning.why),
            }
        }
        let more = self.warnings.len().saturating_sub(PRINTED_MAX) as u64 + self.warnings_omitted;
        if more > 0 {
            eprintln!("strongroom: warning: … and {more} more (--json lists them)");
        }
    }

    /// Done, or done with warnings.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.warnings.is_empty() && self.warnings_omitted == 0 {
            Outcome::Done
        } else {
            Outcome::Warnings
        }
    }
}
