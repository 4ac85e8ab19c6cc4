//! The program, run as a person or a script would run it, and never waited for without end.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Nothing that is tested takes so long.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(2);

/// The program with these arguments, and nothing of the tester's own environment that changes what it does.
pub fn strongroom<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    for variable in [
        "STRONGROOM_PASSPHRASE",
        "STRONGROOM_STATE",
        "STRONGROOM_COMPRESSION",
        "STRONGROOM_DATABASE",
        "RUST_BACKTRACE",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
    ] {
        command.env_remove(variable);
    }
    command.args(arguments);
    command
}

/// Asks again and again until there is an answer; fails after two minutes.
pub fn wait_for<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(POLL);
    }
}

/// Runs it to its end.
pub fn run(command: Command) -> Ended {
    Running::start(command).wait()
}

/// A program that runs. It is killed when this is dropped.
pub struct Running {
    what: String,
    child: Child,
    stdout: File,
    stderr: File,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.stdin(Stdio::null());
        command
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap());
        let what = [command.get_program()].into_iter().chain(command.get_args());
        let what = what.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        Self {
            what,
            child,
            stdout,
            stderr,
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it has said so far on the error output.
    pub fn has_said(&self) -> String {
        text(&self.stderr)
    }

    /// What it has printed so far.
    pub fn has_printed(&self) -> String {
        text(&self.stdout)
    }

    /// How much of the machine's memory it takes, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Lets it run for so long, at most; then it is killed. Returns how it ended.
    pub fn kill_after(mut self, time: Duration) -> Ended {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline && !self.has_ended() {
            sleep(Duration::from_micros(200));
        }
        self.child.kill().unwrap();
        self.wait()
    }

    pub fn wait(self) -> Ended {
        self.wait_up_to(PATIENCE)
    }

    /// Waits so long, where that is known to be needed.
    pub fn wait_up_to(mut self, patience: Duration) -> Ended {
        let deadline = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let (_, stderr) = self.output();
                panic!("{} did not end in {patience:?}; it said: {stderr}", self.what);
            }
            sleep(POLL);
        };
        let (stdout, stderr) = self.output();
        Ended {
            what: self.what.clone(),
            status,
            stdout,
            stderr,
        }
    }

    fn output(&self) -> (String, String) {
        (text(&self.stdout), text(&self.stderr))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads without moving the place where the program writes on.
fn text(file: &File) -> String {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8(bytes).expect("what is printed is UTF-8")
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    pub what: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn was_killed(&self) -> bool {
        self.status.signal().is_some()
    }

    pub fn is_done(&self) -> bool {
        self.status.success()
    }

    /// It ended with this exit status, and did not panic.
    #[track_caller]
    pub fn with_status(&self, expected: i32) -> &Self {
        assert_eq!(self.status.code(), Some(expected), "{self}");
        for sign in ["panicked at", "RUST_BACKTRACE", "stack backtrace"] {
            assert!(!self.stderr.contains(sign), "{self}");
        }
        self
    }

    /// It did what it should, and has nothing to say about it but its result.
    #[track_caller]
    pub fn done(&self) -> Value {
        self.with_status(0);
        let said = self.stderr.lines().filter(|line| !tells_progress(line));
        assert_eq!(said.count(), 0, "{self}");
        self.value()
    }

    /// What it printed for programs.
    #[track_caller]
    pub fn value(&self) -> Value {
        match self.stdout.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}")),
        }
    }

    /// It failed and said why in one sentence, which has all these words in it.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) {
        self.refused_with(1, words);
    }

    /// It ended with this status and said why in one sentence, which has all these words in it.
    #[track_caller]
    pub fn refused_with(&self, status: i32, words: &[&str]) {
        self.with_status(status);
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "not one line: {self}");
        assert!(self.stderr.starts_with("strongroom: "), "{self}");
        assert_eq!(
            self.stderr.matches("strongroom: ").count(),
            1,
            "not one sentence: {self}"
        );
        for ours in ["Error {", "Custom {", "Os {", "kind:", "Some(", "None", "::"] {
            assert!(!self.stderr.contains(ours), "{ours:?} is about our insides: {self}");
        }
        let parts: Vec<&str> = self.stderr.trim().split(": ").collect();
        assert!(parts.windows(2).all(|two| two[0] != two[1]), "it is said twice: {self}");
        assert!(
            parts.len() < 3 || !parts[1..parts.len() - 1].contains(&parts[parts.len() - 1]),
            "twice: {self}"
        );
        assert!(self.stdout.is_empty(), "{self}");
        self.said(words);
    }

    /// All these words are in what it said on the error output.
    #[track_caller]
    pub fn said(&self, words: &[&str]) {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not said: {self}");
        }
    }
}

/// Whoever takes longer than ten seconds, as on a loaded machine, says how far it is.
fn tells_progress(line: &str) -> bool {
    let works = [
        "Backing up: ",
        "Restoring: ",
        "Verifying: ",
        "Exporting: ",
        "Importing: ",
    ];
    works.iter().any(|work| line.starts_with(work)) && line.contains("/s")
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            what,
            status,
            stdout,
            stderr,
        } = self;
        let shown: String = stdout.chars().take(4000).collect();
        write!(f, "{what}\n{status}\nstdout: {shown}\nstderr: {stderr}")
    }
}
