//! What could not be taken as it should have been: listed up to a bound, counted beyond it.

use strongroom_format::point::{ISSUES_MAX, Issue};

use crate::progress::Progress;

/// The issues of one pass.
#[derive(Debug)]
pub struct Issues {
    listed: Vec<Issue>,
    omitted: u64,
    progress: Progress,
}

impl Issues {
    pub fn new(progress: Progress) -> Self {
        Self {
            listed: Vec::new(),
            omitted: 0,
            progress,
        }
    }

    /// Adds one: the path below "/", and a sentence.
    pub fn add(&mut self, path: &[u8], why: impl ToString) {
        self.progress.add_issue();
        if self.listed.len() < ISSUES_MAX {
            self.listed.push(Issue {
                path: path.to_vec(),
                why: why.to_string(),
            });
        } else {
            self.omitted += 1;
        }
    }

    /// The first one.
    pub fn first(&self) -> Option<&Issue> {
        self.listed.first()
    }

    /// The listed ones, and how many more there were.
    pub fn finish(self) -> (Vec<Issue>, u64) {
        (self.listed, self.omitted)
    }
}
