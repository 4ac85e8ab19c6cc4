//! What a machine runs before and after its backups, as flags; and as lines for people.

use clap::Args;
use strongroom_agent::{Command, Commands};

use crate::failure::Failure;
use crate::settings_flags::line;

/// Changes of what a machine runs before and after its backups.
#[derive(Debug, Args)]
pub(crate) struct CommandFlags {
    /// Before a backup, run this program (an absolute path) with these arguments, up to a `;`; if it fails, nothing is backed up
    ///
    /// For backups on schedule, and those without a PATH. No shell is involved. It is kept on this machine only, and cannot be
    /// set from elsewhere. It finds STRONGROOM_PHASE, _OPERATION, _VAULT and _MACHINE in its environment.
    #[arg(long, value_name = "PROGRAM", num_args = 1.., value_terminator = ";", allow_hyphen_values = true)]
    pre_command: Vec<String>,
    /// After it, run this, whatever has become of the backup
    ///
    /// STRONGROOM_RESULT says what has: succeeded, succeeded-with-warnings, failed, cancelled; and STRONGROOM_POINT which
    /// recovery point was made. If it fails, the backup ends with a warning.
    #[arg(long, value_name = "PROGRAM", num_args = 1.., value_terminator = ";", allow_hyphen_values = true)]
    post_command: Vec<String>,
    /// How long the command before may take, in seconds; then it is killed, with all that it has started [default: 300]
    #[arg(long, value_name = "SECONDS")]
    pre_limit: Option<u64>,
    /// How long the command after may take, in seconds [default: 300]
    #[arg(long, value_name = "SECONDS")]
    post_limit: Option<u64>,
    /// Run nothing before a backup any more
    #[arg(long, conflicts_with_all = ["pre_command", "pre_limit"])]
    remove_pre_command: bool,
    /// Run nothing after a backup any more
    #[arg(long, conflicts_with_all = ["post_command", "post_limit"])]
    remove_post_command: bool,
}

impl CommandFlags {
    /// Commands with these changes.
    pub(crate) fn over(&self, before: Commands) -> Result<Commands, Failure> {
        let pre = before.pre.filter(|_| !self.remove_pre_command);
        let post = before.post.filter(|_| !self.remove_post_command);
        Ok(Commands {
            pre: over(pre, &self.pre_command, self.pre_limit, "--pre-command")?,
            post: over(post, &self.post_command, self.post_limit, "--post-command")?,
        })
    }
}

fn over(
    before: Option<Command>,
    arguments: &[String],
    limit_seconds: Option<u64>,
    flag: &str,
) -> Result<Option<Command>, Failure> {
    let command = match arguments {
        [] => before,
        arguments => Some(Command::new(arguments.to_vec())),
    };
    match (command, limit_seconds) {
        (Some(command), Some(limit_seconds)) => Ok(Some(Command {
            limit_seconds,
            ..command
        })),
        (None, Some(_)) => Err(Failure::new(format!(
            "there is no command to limit: give one with {flag}"
        ))),
        (command, None) => Ok(command),
    }
}

/// Commands, a line each; nothing if there are none.
pub(crate) fn lines(commands: &Commands) -> String {
    shown("runs before", commands.pre.as_ref()) + &shown("runs after", commands.post.as_ref())
}

fn shown(name: &str, command: Option<&Command>) -> String {
    command.map_or(String::new(), |command| {
        let arguments = command.arguments.iter().map(|argument| format!("{argument:?}"));
        let arguments: Vec<String> = arguments.collect();
        let limit = command.limit_seconds;
        line(name, format!("{} (at most {limit} s)", arguments.join(" ")))
    })
}
