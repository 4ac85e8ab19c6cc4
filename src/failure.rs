//! How a command ends: an exit status, and one sentence when it failed.

use std::fmt;
use std::io;
use std::process::ExitCode;

use strongroom_agent::AgentError;
use strongroom_engine::EngineError;

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

    /// Whether whoever reads what the command writes has gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self.engine(), Some(EngineError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether the user interrupted it.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self.engine(), Some(EngineError::Cancelled))
    }

    fn engine(&self) -> Option<&EngineError> {
        match self.0.downcast_ref() {
            Some(AgentError::Engine(error)) => Some(error),
            _ => None,
        }
    }

    /// The same failure, and before it what it meant.
    pub(crate) fn context(self, sentence: &'static str) -> Self {
        Self(self.0.context(sentence))
    }

    /// Tells the sentence on the error output.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("strongroom: {}", sentence(&self.0));
        ExitCode::FAILURE
    }
}

/// An error and what caused it, as one sentence. Many errors tell their cause themselves; it is not told again then.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if sentence.is_empty() {
            sentence = cause;
        } else if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || anyhow::anyhow!("no space");
        for (error, expected) in [
            (cause(), "no space"),
            (cause().context("cannot write"), "cannot write: no space"),
            (cause().context("cannot write: no space"), "cannot write: no space"),
        ] {
            assert_eq!(sentence(&error), expected);
        }
    }
}
