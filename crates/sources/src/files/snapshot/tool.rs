//! Other people's programs, which make and remove snapshots: run to their end, or stopped when they take too long.

use std::io::{ErrorKind, Read as _};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// How often it is looked whether one has ended, and how many times: for two minutes, and some more on a busy machine. A
/// volume group may be locked by another command, or have a disk that hangs.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 24_000;

/// How often one is run that fails, and how long is waited in between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Where administrators' programs are, which a user's own path may lack.
const PLACES: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs one, whose output is short. Returns what it printed; or says why it failed, in its own words.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PATH", PLACES)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{program} is not installed"),
        _ => format!("{program} cannot be run: {error}"),
    })?;
    let mut looks = 0;
    let status = loop {
        looks += 1;
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if looks < LOOKS => sleep(LOOK),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program} took over two minutes, and was stopped"));
            }
        }
    };
    let mut said = String::new();
    if status.success() {
        let printed = child.stdout.take().map(|mut output| output.read_to_string(&mut said));
        return match printed {
            Some(Ok(_)) => Ok(said),
            _ => Err(format!("{program} printed what is no text")),
        };
    }
    let mut bytes = Vec::new();
    let _ = child.stderr.take().map(|mut output| output.read_to_end(&mut bytes));
    Err(match last_line(&String::from_utf8_lossy(&bytes)) {
        "" => format!("{program} failed ({status})"),
        line => format!("{program} says: {line}"),
    })
}

/// Runs one that removes something, again while it fails: somebody may just look at that.
pub(super) fn run_patiently(program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut tries = 1;
    loop {
        match run(program, arguments) {
            Err(_) if tries < TRIES => sleep(PAUSE),
            ended => return ended,
        }
        tries += 1;
    }
}

/// What a program says last is why it ended.
fn last_line(text: &str) -> &str {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn what_is_said_at_the_end_is_why_it_failed() {
        assert_eq!(run("sh", &["-c", "echo yes; echo no >&2"]), Ok("yes\n".to_owned()));
        let failed = run("sh", &["-c", "echo first >&2; echo ' last ' >&2; echo >&2; exit 5"]);
        assert_eq!(failed, Err("sh says: last".to_owned()));
        assert_eq!(
            run("sh", &["-c", "exit 5"]),
            Err("sh failed (exit status: 5)".to_owned())
        );
        let absent = run("strongroom-no-such-program", &[]);
        assert_eq!(absent, Err("strongroom-no-such-program is not installed".to_owned()));
    }
}
