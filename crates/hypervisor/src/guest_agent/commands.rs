//! What the agent is asked, but for freezing.

use std::time::Duration;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{ANSWER_LIMIT, AgentError, GuestAgent, unreadable};

/// How often it is asked whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is read of a file in one exchange.
const PIECE_BYTES: usize = 48 * 1024;

/// Files that configure something are small.
pub(crate) const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Which system the guest is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OsInfo {
    /// As `debian` or `mswindows`.
    pub id: Option<String>,
    /// As a person reads it.
    pub pretty_name: Option<String>,
    /// Of the kernel.
    pub kernel_release: Option<String>,
}

/// A file system that is mounted in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileSystem {
    /// Of its device.
    pub name: String,
    /// Where it is mounted.
    pub mountpoint: String,
    /// As `ext4` or `NTFS`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// How a program in the guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// None if a signal ended it.
    pub exit_code: Option<i64>,
    /// What it printed.
    pub output: Vec<u8>,
    /// What it complained.
    pub complaints: Vec<u8>,
}

#[derive(Deserialize)]
struct Started {
    pid: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Status {
    exited: bool,
    exitcode: Option<i64>,
    #[serde(default)]
    out_data: String,
    #[serde(default)]
    err_data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Piece {
    buf_b64: String,
    eof: bool,
}

impl GuestAgent {
    /// Whether it lives.
    pub async fn ping(&mut self, limit: Duration) -> Result<(), AgentError> {
        self.ask::<Value>("guest-ping", json!({}), limit).await.map(drop)
    }

    /// Its version, as `7.2.22`.
    pub async fn version(&mut self) -> Result<String, AgentError> {
        #[derive(Deserialize)]
        struct Info {
            version: String,
        }
        let info: Info = self.ask("guest-info", json!({}), ANSWER_LIMIT).await?;
        Ok(info
            .version
            .chars()
            .filter(|sign| !sign.is_control())
            .take(60)
            .collect())
    }

    /// Which system the guest is.
    pub async fn os_info(&mut self) -> Result<OsInfo, AgentError> {
        self.ask("guest-get-osinfo", json!({}), ANSWER_LIMIT).await
    }

    /// What is mounted in the guest.
    pub async fn file_systems(&mut self) -> Result<Vec<FileSystem>, AgentError> {
        self.ask("guest-get-fsinfo", json!({}), ANSWER_LIMIT).await
    }

    /// Runs a program in the guest to its end. One that takes longer than `limit` is no longer waited for, but goes on:
    /// the agent cannot stop it. So is one whose output is too long for an answer.
    pub async fn execute(
        &mut self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Executed, AgentError> {
        let command = "guest-exec";
        let request = json!({"path": program, "arg": arguments, "capture-output": true});
        let deadline = Instant::now() + limit;
        let Started { pid } = self.ask(command, request, ANSWER_LIMIT).await?;
        loop {
            let status: Status = self.ask("guest-exec-status", json!({"pid": pid}), ANSWER_LIMIT).await?;
            if status.exited {
                return Ok(Executed {
                    exit_code: status.exitcode,
                    output: decoded(command, &status.out_data)?,
                    complaints: decoded(command, &status.err_data)?,
                });
            }
            if Instant::now() >= deadline {
                return Err(AgentError::Silent { command, limit });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The contents of a small file in the guest: at most one MiB.
    pub async fn read_file(&mut self, path: &str) -> Result<Vec<u8>, AgentError> {
        let request = json!({"path": path, "mode": "r"});
        let handle: i64 = self.ask("guest-file-open", request, ANSWER_LIMIT).await?;
        let contents = self.read_open_file(handle).await;
        let closed: Result<Value, _> = self
            .ask("guest-file-close", json!({"handle": handle}), ANSWER_LIMIT)
            .await;
        contents.and_then(|contents| closed.map(|_| contents))
    }

    async fn read_open_file(&mut self, handle: i64) -> Result<Vec<u8>, AgentError> {
        let command = "guest-file-read";
        let mut contents = Vec::new();
        // Each piece but the last has a byte at least.
        while contents.len() <= FILE_BYTES_MAX {
            let request = json!({"handle": handle, "count": PIECE_BYTES});
            let piece: Piece = self.ask(command, request, ANSWER_LIMIT).await?;
            let bytes = decoded(command, &piece.buf_b64)?;
            contents.extend_from_slice(&bytes);
            if (piece.eof || bytes.is_empty()) && contents.len() <= FILE_BYTES_MAX {
                return Ok(contents);
            }
        }
        Err(unreadable(
            command,
            format!("the file has more than {FILE_BYTES_MAX} bytes"),
        ))
    }

    /// Has the guest shut itself down. Nobody says when it has: QEMU ends, or its state changes.
    pub async fn shut_down(&mut self) -> Result<(), AgentError> {
        self.synchronise_within("guest-shutdown", ANSWER_LIMIT).await?;
        // It is not answered.
        self.send("guest-shutdown", &[], &json!({"execute": "guest-shutdown"}))
            .await
    }

    async fn synchronise_within(&mut self, command: &'static str, limit: Duration) -> Result<(), AgentError> {
        let synchronised = timeout(limit, self.synchronise(command)).await;
        synchronised.unwrap_or_else(|_| {
            self.close();
            Err(AgentError::Silent { command, limit })
        })
    }
}

fn decoded(command: &'static str, text: &str) -> Result<Vec<u8>, AgentError> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|error| unreadable(command, error))
}
