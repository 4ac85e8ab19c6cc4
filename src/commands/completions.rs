//! `strongroom completions`: what a shell needs to complete our commands.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::{Failure, Outcome};

/// Print a script that completes commands and options in a shell
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom completions bash > /etc/bash_completion.d/strongroom
  strongroom completions zsh > \"${fpath[1]}/_strongroom\"
  strongroom completions fish > ~/.config/fish/completions/strongroom.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        clap_complete::generate(self.shell, &mut Cli::command(), "strongroom", &mut std::io::stdout());
        Ok(Outcome::Done)
    }
}
