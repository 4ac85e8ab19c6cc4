//! QEMU's monitor: one command at a time over a unix socket. The protocol is QEMU's `docs/interop/qmp-spec.txt`.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use crate::json_lines::{JsonLines, LineError};

/// QEMU greets at once, unless somebody else is connected: a monitor has one client at a time.
const GREETING_LIMIT: Duration = Duration::from_secs(3);

/// For commands that only look at something or change a table.
pub(crate) const SHORT: Duration = Duration::from_secs(10);

/// The schema of all commands, the longest answer there is, takes 300 KB.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Events that nobody has waited for yet; the oldest go first.
const EVENTS_MAX: usize = 1000;

/// Why a monitor gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// Nothing listens there: the virtual machine is off, or has no such monitor.
    #[error("nobody listens at {}: {source}", path.display())]
    Absent {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket cannot be used, as by its permissions.
    #[error("cannot connect to {}: {source}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else is connected.
    #[error(
        "another program is connected to the monitor {}, which takes one at a time: give QEMU a further `-qmp` for Strongroom alone", .0.display()
    )]
    Held(PathBuf),
    /// The connection ended: QEMU did, or was told to close it.
    #[error("QEMU closed its monitor during {command}")]
    Closed {
        /// What was being asked.
        command: String,
    },
    /// There was no answer in time. The command may still be carried out.
    #[error("QEMU did not answer {command} within {limit:?}")]
    TimedOut {
        /// What was being asked.
        command: String,
        /// How long was waited.
        limit: Duration,
    },
    /// QEMU refused.
    #[error("QEMU refused {command}: {description}")]
    Command {
        /// What it refused.
        command: String,
        /// The class of its error, as `GenericError` or `DeviceNotFound`.
        class: String,
        /// Its sentence.
        description: String,
    },
    /// The answer is none.
    #[error("cannot understand QEMU's answer to {command}: {why}")]
    Unreadable {
        /// What was being asked.
        command: String,
        /// What is wrong with it.
        why: String,
    },
}

impl MonitorError {
    /// Whether QEMU refused with a sentence that has these words in it. QEMU has few classes of errors.
    pub(crate) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Command { description, .. } if description.contains(words))
    }
}

/// Which QEMU it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct QemuVersion {
    /// 7 of 7.2.22.
    pub major: u32,
    /// 2 of 7.2.22.
    pub minor: u32,
    /// 22 of 7.2.22.
    pub micro: u32,
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// Something that happened, as QEMU tells it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// As `BLOCK_EXPORT_DELETED`.
    #[serde(rename = "event")]
    pub name: String,
    /// What it says of it.
    #[serde(default)]
    pub data: Value,
}

/// A connection to a monitor. While it is open nobody else can use that monitor.
pub struct Monitor {
    lines: JsonLines,
    path: PathBuf,
    version: QemuVersion,
    last_id: u64,
    events: VecDeque<Event>,
}

impl Monitor {
    /// Connects and negotiates.
    pub async fn connect(path: &Path) -> Result<Self, MonitorError> {
        let lines = JsonLines::connect(path, LINE_BYTES_MAX);
        let mut lines = lines.await.map_err(|source| unreachable(path, source))?;
        let greeting = match timeout(GREETING_LIMIT, lines.next()).await {
            Err(_) => return Err(MonitorError::Held(path.to_owned())),
            Ok(line) => line.map_err(|error| broken("its greeting", error))?,
        };
        let mut monitor = Self {
            lines,
            path: path.to_owned(),
            version: parse_greeting(&greeting)?,
            last_id: 0,
            events: VecDeque::new(),
        };
        monitor.command("qmp_capabilities", json!({}), SHORT).await?;
        Ok(monitor)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which QEMU it is.
    pub fn version(&self) -> &QemuVersion {
        &self.version
    }

    /// As whom QEMU runs: user and group.
    pub(crate) fn owner(&self) -> io::Result<(u32, u32)> {
        self.lines.owner()
    }

    /// Has a command carried out, and returns what it returns. `arguments` is an object.
    ///
    /// When there is no answer in time, the command may still be carried out; its answer is then skipped.
    pub async fn command(&mut self, command: &str, arguments: Value, limit: Duration) -> Result<Value, MonitorError> {
        self.last_id += 1;
        let id = self.last_id;
        let line = format!("{}\n", json!({"execute": command, "arguments": arguments, "id": id}));
        let exchange = async {
            self.lines
                .write(line.as_bytes())
                .await
                .map_err(|error| broken(command, error))?;
            loop {
                let answer = self.receive(command).await?;
                if answer.get("id").and_then(Value::as_u64) == Some(id) {
                    return result(command, answer);
                }
            }
        };
        match timeout(limit, exchange).await {
            Ok(ended) => ended,
            Err(_) => Err(MonitorError::TimedOut {
                command: command.to_owned(),
                limit,
            }),
        }
    }

    /// Asks for something that has a type, within [`SHORT`].
    pub(crate) async fn ask<T: DeserializeOwned>(
        &mut self,
        command: &str,
        arguments: Value,
    ) -> Result<T, MonitorError> {
        let answer = self.command(command, arguments, SHORT).await?;
        serde_json::from_value(answer).map_err(|error| unreadable(command, error))
    }

    /// The first event, of those that came and nobody took or that will come, of which `wanted` says so.
    pub async fn event(&mut self, wanted: impl Fn(&Event) -> bool, limit: Duration) -> Result<Event, MonitorError> {
        let deadline = Instant::now() + limit;
        loop {
            let found = self.events.iter().position(&wanted);
            if let Some(event) = found.and_then(|at| self.events.remove(at)) {
                return Ok(event);
            }
            match timeout_at(deadline, self.receive("an event")).await {
                // The answer to a command that was given up.
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let command = "an event".to_owned();
                    return Err(MonitorError::TimedOut { command, limit });
                }
            }
        }
    }

    /// Reads one line. An event is kept and told as null; anything else is returned.
    async fn receive(&mut self, command: &str) -> Result<Value, MonitorError> {
        let line = self.lines.next().await.map_err(|error| broken(command, error))?;
        let value: Value = serde_json::from_slice(&line).map_err(|error| unreadable(command, error))?;
        if value.get("event").is_none() {
            return Ok(value);
        }
        let event = serde_json::from_value(value).map_err(|error| unreadable(command, error))?;
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
        Ok(Value::Null)
    }
}

fn unreachable(path: &Path, source: io::Error) -> MonitorError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => MonitorError::Absent { path, source },
        _ => MonitorError::Refused { path, source },
    }
}

fn broken(command: &str, error: LineError) -> MonitorError {
    match error {
        LineError::TooLong(_) => unreadable(command, error),
        LineError::Closed | LineError::Io(_) => MonitorError::Closed {
            command: command.to_owned(),
        },
    }
}

fn unreadable(command: &str, why: impl ToString) -> MonitorError {
    MonitorError::Unreadable {
        command: command.to_owned(),
        why: why.to_string(),
    }
}

fn parse_greeting(line: &[u8]) -> Result<QemuVersion, MonitorError> {
    let greeting: Value = serde_json::from_slice(line).map_err(|error| unreadable("its greeting", error))?;
    let version = &greeting["QMP"]["version"]["qemu"];
    QemuVersion::deserialize(version).map_err(|error| unreadable("its greeting", error))
}

fn result(command: &str, mut answer: Value) -> Result<Value, MonitorError> {
    if let Some(returned) = answer.get_mut("return") {
        return Ok(returned.take());
    }
    let error = &answer["error"];
    match (error["class"].as_str(), error["desc"].as_str()) {
        (Some(class), Some(description)) => Err(MonitorError::Command {
            command: command.to_owned(),
            class: class.to_owned(),
            description: description.to_owned(),
        }),
        _ => Err(unreadable(command, "it is neither a result nor an error")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_greeting_is_taken_for_one() {
        let greeting = br#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "x"}, "capabilities": []}}"#;
        assert_eq!(parse_greeting(greeting).unwrap().to_string(), "7.2.22");
        for other in [&b"{}"[..], b"[]", b"HTTP/1.1 400", b"", b"{\"QMP\": 7}"] {
            assert!(matches!(parse_greeting(other), Err(MonitorError::Unreadable { .. })));
        }
    }

    #[test]
    fn answers_are_results_errors_or_neither() {
        assert_eq!(result("c", json!({"return": {"a": 1}})).unwrap(), json!({"a": 1}));
        let refused = result("c", json!({"error": {"class": "GenericError", "desc": "no"}})).unwrap_err();
        assert!(refused.says("no") && !refused.says("yes"));
        let neither = result("c", json!({"error": "no"}));
        assert!(matches!(neither, Err(MonitorError::Unreadable { .. })));
    }
}
