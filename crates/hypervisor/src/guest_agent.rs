//! The agent in a guest, `qemu-ga`, over its unix socket. The protocol is QEMU's `qga/qapi-schema.json`.
//!
//! The channel has no notion of a client: what the last one asked is answered to the next. So each exchange begins with a
//! byte that no JSON has, which ends whatever was half sent, and a number of its own that comes back; all before that is stale.
//! The agent does one thing at a time, and takes as long for it as its hooks take.

mod commands;
mod freezing;

pub use commands::{Executed, FileSystem, OsInfo};
pub use freezing::FreezeState;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::block::Chardev;
use crate::json_lines::{JsonLines, LineError};
use crate::qmp::{Monitor, MonitorError};

/// An agent that lives and is not at work answers within milliseconds.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// The guest may say what it likes: no more of it than this is kept.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Ends what was half sent.
const SENTINEL: u8 = 0xff;

/// Why the agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no socket, or it may not be used.
    #[error("cannot connect to the guest's agent at {}: {source}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No answer in time: there is no agent, or it is at work. The command may still be carried out.
    #[error("the guest's agent did not answer {command} within {limit:?}")]
    Silent {
        /// What was being asked.
        command: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection ended: QEMU did.
    #[error("the connection to the guest's agent ended during {command}")]
    Closed {
        /// What was being asked.
        command: &'static str,
    },
    /// The agent refused, or failed.
    #[error("the guest's agent says to {command}: {description}")]
    Command {
        /// What it was asked.
        command: &'static str,
        /// The class of its error, as `GenericError` or `CommandNotFound`.
        class: String,
        /// Its sentence.
        description: String,
    },
    /// The answer is none, or longer than what is kept of one.
    #[error("cannot understand what the guest's agent answers to {command}: {why}")]
    Unreadable {
        /// What was being asked.
        command: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl AgentError {
    /// Whether there is no QEMU behind the socket, and so no guest.
    pub(crate) fn nobody_listens(&self) -> bool {
        let none = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
        matches!(self, Self::Unreachable { source, .. } if none.contains(&source.kind()))
    }
}

/// The agent of one guest. There is at most one connection, made when it is needed.
pub struct GuestAgent {
    path: PathBuf,
    lines: Option<JsonLines>,
    last_id: u32,
}

#[derive(Deserialize)]
struct Refusal {
    class: String,
    desc: String,
}

impl GuestAgent {
    /// The agent behind a socket, which is not connected to yet.
    pub fn new(path: &Path) -> Self {
        // Another process of ours may have left answers in the channel: its numbers should be others.
        let (start, ..) = Uuid::new_v4().as_fields();
        Self {
            path: path.to_owned(),
            lines: None,
            last_id: start >> 2,
        }
    }

    /// Whether anybody in the guest has opened the channel, as QEMU sees it. None if QEMU has no such channel.
    ///
    /// This is known at once, where an absent agent otherwise shows only by its silence.
    pub async fn is_listening(&self, monitor: &mut Monitor) -> Result<Option<bool>, MonitorError> {
        let devices: Vec<Chardev> = monitor.ask("query-chardev", json!({})).await?;
        let ours = devices.iter().find(|device| device.is_at(&self.path));
        Ok(ours.map(|device| device.frontend_open))
    }

    /// Asks, and waits for the answer no longer than `limit` in all.
    async fn ask<T: DeserializeOwned>(
        &mut self,
        command: &'static str,
        arguments: Value,
        limit: Duration,
    ) -> Result<T, AgentError> {
        let deadline = Instant::now() + limit;
        let exchange = self.exchange(command, arguments);
        let ended = match timeout_at(deadline, exchange).await {
            Ok(ended) => ended,
            Err(_) => Err(AgentError::Silent { command, limit }),
        };
        match ended {
            Ok(answer) => serde_json::from_value(answer).map_err(|error| unreadable(command, error)),
            Err(error) => {
                if !matches!(error, AgentError::Command { .. }) {
                    self.close();
                }
                Err(error)
            }
        }
    }

    /// The next exchange makes a new connection.
    pub(crate) fn close(&mut self) {
        self.lines = None;
    }

    async fn exchange(&mut self, command: &'static str, arguments: Value) -> Result<Value, AgentError> {
        self.synchronise(command).await?;
        let request = json!({"execute": command, "arguments": arguments});
        self.send(command, &[], &request).await?;
        loop {
            let line = self.next(command).await?;
            // An agent that was just started may end the line of the synchronisation once more.
            if line.iter().all(|byte| byte.is_ascii_whitespace() || *byte == SENTINEL) {
                continue;
            }
            let answer: Value = serde_json::from_slice(&line).map_err(|error| unreadable(command, error))?;
            return result(command, answer);
        }
    }

    /// After this, what comes next is the answer to what is asked next.
    async fn synchronise(&mut self, command: &'static str) -> Result<(), AgentError> {
        self.last_id += 1;
        let id = self.last_id;
        let request = json!({"execute": "guest-sync-delimited", "arguments": {"id": id}});
        self.send(command, &[SENTINEL], &request).await?;
        loop {
            let line = self.next(command).await?;
            let Some(at) = line.iter().rposition(|byte| *byte == SENTINEL) else {
                continue;
            };
            let answer: Option<Value> = serde_json::from_slice(&line[at + 1..]).ok();
            if answer.is_some_and(|answer| answer["return"].as_u64() == Some(id.into())) {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, command: &'static str, before: &[u8], request: &Value) -> Result<(), AgentError> {
        let line = [before, request.to_string().as_bytes(), b"\n"].concat();
        let lines = self.connected().await?;
        lines.write(&line).await.map_err(|error| broken(command, error))
    }

    async fn next(&mut self, command: &'static str) -> Result<Vec<u8>, AgentError> {
        let lines = self.connected().await?;
        lines.next().await.map_err(|error| broken(command, error))
    }

    async fn connected(&mut self) -> Result<&mut JsonLines, AgentError> {
        if self.lines.is_none() {
            let connected = JsonLines::connect(&self.path, LINE_BYTES_MAX).await;
            let path = self.path.clone();
            self.lines = Some(connected.map_err(|source| AgentError::Unreachable { path, source })?);
        }
        Ok(self.lines.as_mut().expect("it was just set"))
    }
}

fn broken(command: &'static str, error: LineError) -> AgentError {
    match error {
        LineError::TooLong(_) => unreadable(command, error),
        LineError::Closed | LineError::Io(_) => AgentError::Closed { command },
    }
}

fn unreadable(command: &'static str, why: impl ToString) -> AgentError {
    let why = why.to_string();
    AgentError::Unreadable { command, why }
}

fn result(command: &'static str, mut answer: Value) -> Result<Value, AgentError> {
    if let Some(returned) = answer.get_mut("return") {
        return Ok(returned.take());
    }
    match Refusal::deserialize(&answer["error"]) {
        Ok(Refusal { class, desc }) => Err(AgentError::Command {
            command,
            class,
            description: desc,
        }),
        Err(_) => Err(unreadable(command, "it is neither a result nor an error")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::UnixListener;

    /// The only stand-in of this crate: a real agent cannot be made to leave these bytes in its channel.
    #[tokio::test]
    async fn what_an_earlier_client_was_answered_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let answering = tokio::spawn(async move {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.write_all(b"{\"return\": \"stale\"}\nhalf a li").await.unwrap();
            let mut asked = Vec::new();
            stream.read_until(b'\n', &mut asked).await.unwrap();
            assert_eq!(asked[0], SENTINEL);
            let asked: Value = serde_json::from_slice(&asked[1..]).unwrap();
            let id = &asked["arguments"]["id"];
            let answers = format!("\n{{\"return\": 5}}\n\u{0}{{\"return\": {id}}}\n");
            let answers = answers.replace('\u{0}', "@").into_bytes();
            let answers: Vec<u8> = answers
                .iter()
                .map(|byte| if *byte == b'@' { SENTINEL } else { *byte })
                .collect();
            stream.write_all(&answers).await.unwrap();
            stream.read_until(b'\n', &mut Vec::new()).await.unwrap();
            stream.write_all(b"{\"return\": {}}\n").await.unwrap();
        });
        GuestAgent::new(&path).ping(ANSWER_LIMIT).await.unwrap();
        answering.await.unwrap();
    }
}
