//! Other commands of this program, as the console runs them.
//!
//! Whoever restores may be root, while the state folder belongs to the agent's own user: what writes there becomes that user
//! first (`state_owner`), for good. So these commands are processes of their own.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// This program, whatever has become of its file since it was started.
const PROGRAM: &str = "/proc/self/exe";

/// So much of what a command says is kept: the end of it.
const SAID_MAX: usize = 16 << 10;

/// How commands are run in the name of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    state: PathBuf,
    no_retry: bool,
}

impl Own {
    /// With this state folder.
    pub(crate) fn new(state: PathBuf, no_retry: bool) -> Self {
        Self { state, no_retry }
    }

    /// Begins a command. It ends with the console.
    pub(super) fn begin(&self, arguments: &[&str]) -> std::io::Result<Child> {
        let mut command = Command::new(PROGRAM);
        command.arg("--state").arg(&self.state);
        if self.no_retry {
            command.arg("--no-retry");
        }
        command.args(arguments).kill_on_drop(true);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn()
    }
}

/// The process of a command that nobody has waited for.
pub(super) fn process(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id()?.cast_signed())
}

/// Asks a command to stop, as Ctrl-C does.
pub(super) fn interrupt(process: Option<Pid>) {
    if let Some(process) = process {
        // It may be over already.
        let _ = kill_process(process, Signal::INT);
    }
}

/// Waits for the end of a command: what it printed, with its warnings; or why it failed, in its own sentence.
pub(super) async fn outcome(child: &mut Child) -> Result<String, String> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (printed, said, status) = tokio::join!(end_of(stdout), end_of(stderr), child.wait());
    let status = status.map_err(|error| format!("cannot wait for the command: {error}"))?;
    sentence(status, &printed, &said)
}

fn sentence(status: ExitStatus, printed: &str, said: &str) -> Result<String, String> {
    match status.code() {
        Some(0) => Ok(printed.trim_end().to_owned()),
        Some(3) => Ok(format!("{}\n{}", printed.trim_end(), said.trim_end())),
        _ => {
            let last = said.trim_end().lines().next_back().unwrap_or_default();
            let why = last.strip_prefix("strongroom: ").unwrap_or(last);
            Err(match why.is_empty() {
                true => format!("the command ended with {status}"),
                false => why.to_owned(),
            })
        }
    }
}

/// The end of what is said there.
async fn end_of(said: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut said) = said else { return String::new() };
    let mut kept = Vec::new();
    let mut piece = vec![0; SAID_MAX];
    while let Ok(length @ 1..) = said.read(&mut piece).await {
        kept.extend_from_slice(&piece[..length]);
        let too_many = kept.len().saturating_sub(SAID_MAX);
        kept.drain(..too_many);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn commands_tell_how_they_ended() {
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        let said = "a line\nstrongroom: cannot do it: disk full\n";
        for (status, expected) in [
            (code(0), Ok("done")),
            (code(3), Ok("done\na line\nstrongroom: cannot do it: disk full")),
            (code(1), Err("cannot do it: disk full")),
            (ExitStatus::from_raw(9), Err("cannot do it: disk full")),
        ] {
            let told = sentence(status, "done\n", said);
            assert_eq!(told.as_deref().map_err(String::as_str), expected);
        }
        assert!(
            sentence(ExitStatus::from_raw(9), "", "")
                .unwrap_err()
                .contains("signal")
        );
    }
}
