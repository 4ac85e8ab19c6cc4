//! Commands that a machine runs before and after its backups: to make a database write out what it has, and go on.
//!
//! They are this machine's own business, like the place of its scratch folder: they are kept in its state folder only, are
//! no part of [`strongroom_model::MachineSettings`], and nothing that comes from the service can set or change one.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use strongroom_engine::Progress;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command as Process};

/// How long a command may take if nobody says otherwise.
const LIMIT_SECONDS: u64 = 300;
/// How long one may be given, in seconds.
const LIMIT_SECONDS_MAX: u64 = 86_400;
/// How many arguments a command may have, and how long all of them may be.
const ARGUMENTS_MAX: usize = 100;
const ARGUMENTS_BYTES_MAX: usize = 16 << 10;
/// How much of what it prints is kept, and how many lines of that are shown.
const OUTPUT_BYTES_MAX: usize = 4 << 10;
const LINES_MAX: usize = 5;
/// How often a running command is asked whether it is wanted still.
const LOOK: Duration = Duration::from_millis(100);

/// What a machine runs around its backups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// Before: if it fails, nothing is backed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre: Option<Command>,
    /// After, whatever has become of the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post: Option<Command>,
}

/// A program that is run, without a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program, by its absolute path, and its arguments.
    pub arguments: Vec<String>,
    /// How long it may take.
    #[serde(default = "usual_limit")]
    pub limit_seconds: u64,
}

fn usual_limit() -> u64 {
    LIMIT_SECONDS
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It did not run at all.
    #[error("{command} cannot be run: {source}")]
    NotStarted {
        /// The program.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with something else than success.
    #[error("{command} failed ({status}){said}")]
    Failed {
        /// The program.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last that it printed.
        said: Said,
    },
    /// It took too long, and was killed with all that it had started.
    #[error("{command} did not end within {limit_seconds} s, and was killed{said}")]
    TooLong {
        /// The program.
        command: String,
        /// Its limit.
        limit_seconds: u64,
        /// The last that it printed.
        said: Said,
    },
    /// Somebody stopped the backup; it was killed with all that it had started.
    #[error("{0} was killed, as the backup was stopped")]
    Stopped(String),
}

/// The last lines that a command printed.
#[derive(Debug, Default)]
pub struct Said(VecDeque<u8>);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<String> = text.lines().map(shown).filter(|line| !line.is_empty()).collect();
        match &lines[lines.len().saturating_sub(LINES_MAX)..] {
            [] => Ok(()),
            lines => write!(f, "; it said: {}", lines.join(" | ")),
        }
    }
}

/// A line without what would move the cursor of whoever reads it.
fn shown(line: &str) -> String {
    let visible = line.chars().filter(|letter| !letter.is_control());
    visible.collect::<String>().trim().to_owned()
}

impl Said {
    fn add(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let surplus = self.0.len().saturating_sub(OUTPUT_BYTES_MAX);
        self.0.drain(..surplus);
    }
}

impl Commands {
    /// Why they cannot be kept, as a sentence with the way out; `None`: they can.
    pub fn refused(&self) -> Option<String> {
        [&self.pre, &self.post].into_iter().flatten().find_map(Command::refused)
    }
}

impl Command {
    /// A command with the usual limit.
    pub fn new(arguments: Vec<String>) -> Self {
        Self {
            arguments,
            limit_seconds: LIMIT_SECONDS,
        }
    }

    fn refused(&self) -> Option<String> {
        let Some(program) = self.arguments.first().filter(|program| program.starts_with('/')) else {
            return Some(format!(
                "\"{}\" is no absolute path of a program: no shell looks for it. Write one out, or `/bin/sh -c '…'`",
                self.arguments.first().map_or("", String::as_str)
            ));
        };
        let bytes: usize = self.arguments.iter().map(String::len).sum();
        let is_too_long = self.arguments.len() > ARGUMENTS_MAX || bytes > ARGUMENTS_BYTES_MAX;
        if is_too_long || self.arguments.iter().any(|argument| argument.contains('\0')) {
            return Some(format!(
                "the command {program} has more than {ARGUMENTS_MAX} arguments or {ARGUMENTS_BYTES_MAX} bytes, or a NUL: put \
                 them into a script"
            ));
        }
        let is_possible = (1..=LIMIT_SECONDS_MAX).contains(&self.limit_seconds);
        (!is_possible).then(|| {
            format!(
                "a command may take 1 to {LIMIT_SECONDS_MAX} seconds, and not {}",
                self.limit_seconds
            )
        })
    }

    fn program(&self) -> String {
        self.arguments.first().cloned().unwrap_or_default()
    }

    /// Runs it to its end, or to its limit, or until `progress` is stopped. What it leaves running in the background after it
    /// has ended goes on.
    pub(crate) async fn run(
        &self,
        environment: &[(&str, String)],
        progress: Option<&Progress>,
    ) -> Result<(), CommandError> {
        let not_started = |source| CommandError::NotStarted {
            command: self.program(),
            source,
        };
        let (mut group, output) = self.start(environment).map_err(not_started)?;
        let mut said = Said::default();
        let limit = Duration::from_secs(self.limit_seconds);
        let ended = tokio::select! {
            status = follow(&mut group.child, &output, &mut said) => Some(status),
            () = tokio::time::sleep(limit) => None,
            () = stopped(progress) => return Err(CommandError::Stopped(self.program())),
        };
        let Some(status) = ended else {
            return Err(CommandError::TooLong {
                command: self.program(),
                limit_seconds: self.limit_seconds,
                said,
            });
        };
        group.has_ended = true;
        match status.map_err(not_started)? {
            status if status.success() => Ok(()),
            status => Err(CommandError::Failed {
                command: self.program(),
                status,
                said,
            }),
        }
    }

    fn start(&self, environment: &[(&str, String)]) -> io::Result<(Group, Receiver)> {
        let (output, input) = io::pipe()?;
        let mut process = Process::new(self.program());
        process
            .args(&self.arguments[1..])
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input)
            .process_group(0)
            // Whatever opens the keys is nobody's business.
            .env_remove("STRONGROOM_PASSPHRASE");
        for (name, value) in environment {
            process.env(name, value);
        }
        let child = process.spawn()?;
        let output = Receiver::from_owned_fd(OwnedFd::from(output))?;
        let has_ended = false;
        Ok((Group { child, has_ended }, output))
    }
}

/// A process that leads a group. What is not known to have ended is killed with all its group when this is dropped.
struct Group {
    child: Child,
    has_ended: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        // While it has not been waited for, its number is nobody else's.
        let id = self.child.id().filter(|_| !self.has_ended);
        let leader = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(leader) = leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Listens to a process until it ends, and then to what is there of its output.
async fn follow(child: &mut Child, output: &Receiver, said: &mut Said) -> io::Result<ExitStatus> {
    let mut buffer = [0; 4096];
    let mut is_open = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            readable = output.readable(), if is_open => {
                readable?;
                is_open = !matches!(read(output, &mut buffer, said), Ok(0));
            }
        }
    };
    while matches!(read(output, &mut buffer, said), Ok(1..)) {}
    Ok(status)
}

fn read(output: &Receiver, buffer: &mut [u8], said: &mut Said) -> io::Result<usize> {
    match output.try_read(buffer) {
        Ok(length) => {
            said.add(&buffer[..length]);
            Ok(length)
        }
        // Nothing is there, for now.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
        Err(_) => Ok(0),
    }
}

async fn stopped(progress: Option<&Progress>) {
    let Some(progress) = progress else {
        return std::future::pending().await;
    };
    let mut looks = tokio::time::interval(LOOK);
    while !progress.is_cancelled() {
        looks.tick().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new(["/bin/sh", "-c", script].map(str::to_owned).to_vec())
    }

    #[test]
    fn commands_that_cannot_be_kept_are_refused_with_a_sentence() {
        let command = |arguments: &[&str], limit_seconds| Command {
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            limit_seconds,
        };
        for (command, words) in [
            (command(&["/bin/true"], 1), None),
            (command(&["/bin/sh", "-c", "x; y"], 86_400), None),
            (command(&[], 1), Some("no absolute path")),
            (command(&["true"], 1), Some("no absolute path")),
            (command(&["/bin/true"], 0), Some("1 to 86400")),
            (command(&["/bin/true"], 86_401), Some("1 to 86400")),
            (command(&["/bin/true", "a\0b"], 1), Some("NUL")),
            (command(&["/bin/true"; 101], 1), Some("100 arguments")),
        ] {
            let commands = Commands {
                pre: None,
                post: Some(command),
            };
            match (commands.refused(), words) {
                (None, None) => {}
                (Some(why), Some(words)) => assert!(why.contains(words), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn the_last_lines_of_much_output_are_told_and_nothing_else_is_kept() {
        let script = "yes 0123456789 | head -c 1000000; echo; echo 'the end\t\u{1b}[31m'; exit 7";
        let error = shell(script).run(&[], None).await.unwrap_err().to_string();
        assert!(error.contains("/bin/sh failed (exit status: 7)"), "{error}");
        assert!(error.ends_with("| the end[31m") && error.len() < 200, "{error}");
    }

    #[tokio::test]
    async fn what_goes_on_in_the_background_is_not_waited_for() {
        shell("sleep 3 & echo started").run(&[], None).await.unwrap();
    }

    #[tokio::test]
    async fn a_stop_ends_a_command() {
        let progress = Progress::default();
        progress.cancel();
        let error = shell("sleep 1000").run(&[], Some(&progress)).await.unwrap_err();
        assert!(matches!(error, CommandError::Stopped(_)), "{error}");
    }
}
