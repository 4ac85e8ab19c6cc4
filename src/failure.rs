//! How a command ends: an exit status, and one sentence when it failed.

use std::fmt;
use std::process::ExitCode;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is done: exit status 0.
    Done,
    /// It was done, and what it found is bad; that was told already: exit status 1.
    Failed,
    /// It was done, with warnings that were told: exit status 3.
    Warnings,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Failed => ExitCode::FAILURE,
            Outcome::Warnings => ExitCode::from(3),
        }
    }
}

/// Why a command failed: exit status 1.
#[derive(Debug)]
pub(crate) struct Failure(anyhow::Error);

impl Failure {
    /// A failure that is told by one sentence.
    pub(crate) fn new(sentence: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self(anyhow::Error::msg(sentence))
    }

    /// Tells the sentence on the error output.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("strongroom: {:#}", self.0);
        ExitCode::FAILURE
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}
