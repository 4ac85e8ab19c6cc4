//! The disks of a virtual machine that is off: what they are, and showing them by `qemu-nbd`.
//!
//! No lock is taken, so that the machine can be switched on at any moment; whoever reads has to see for himself whether a
//! disk is still as it was.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::description::{DescribedDisk, Description};
use crate::disk::{Bitmaps, Disk, DiskFormat, DiskSize};

/// It reads a header. The disk may lie on a file server that hangs.
const IMAGE_LIMIT: Duration = Duration::from_secs(10);

/// How long `qemu-nbd` may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How many connections may read at once.
const READERS_MAX: &str = "8";

/// Why a disk cannot be read; each is a sentence for the administrator of the host.
#[derive(Debug, thiserror::Error)]
pub enum OffError {
    /// One of QEMU's programs is not there, or cannot be run.
    #[error("cannot run {program}: {source}; the Debian package qemu-utils has it")]
    Program {
        /// Which.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot read the disk.
    #[error("{program} cannot read {}: {why}", file.display())]
    Unreadable {
        /// Which program.
        program: &'static str,
        /// The disk.
        file: PathBuf,
        /// What it said.
        why: String,
    },
    /// It took too long.
    #[error("{program} took over {} s for {}", limit.as_secs(), file.display())]
    TimedOut {
        /// Which program.
        program: &'static str,
        /// The disk.
        file: PathBuf,
        /// How long.
        limit: Duration,
    },
}

/// A disk of a machine that is off.
#[derive(Debug, Clone)]
pub struct OffDisk {
    /// The disk.
    pub disk: Disk,
    /// The bitmaps that it keeps.
    pub bitmaps: Vec<OffBitmap>,
}

/// A bitmap that a disk keeps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OffBitmap {
    /// Its name.
    pub name: String,
    #[serde(default)]
    flags: Vec<String>,
}

impl OffBitmap {
    /// Whether it was stored when the machine was switched off, and recorded until then.
    pub fn is_believed(&self) -> bool {
        self.flags.iter().any(|flag| flag == "auto") && !self.flags.iter().any(|flag| flag == "in-use")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Info {
    virtual_size: u64,
    #[serde(default)]
    format_specific: Specific,
}

#[derive(Default, Deserialize)]
struct Specific {
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    compat: String,
    #[serde(default)]
    bitmaps: Vec<OffBitmap>,
}

/// The disks that a description names.
pub async fn disks(description: &Description) -> Result<Vec<OffDisk>, OffError> {
    let mut disks = Vec::new();
    for described in &description.disks {
        disks.push(look(described).await?);
    }
    Ok(disks)
}

/// What QEMU's tool says of a disk that no QEMU has open.
pub(crate) async fn look(described: &DescribedDisk) -> Result<OffDisk, OffError> {
    let (program, file) = ("qemu-img", described.file.clone());
    let mut command = Command::new(program);
    command.args(["info", "--force-share", "--output=json", "-f"]);
    command.arg(described.format.to_string()).arg(&file);
    command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = match timeout(IMAGE_LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(source)) => return Err(OffError::Program { program, source }),
        Err(_) => {
            let limit = IMAGE_LIMIT;
            return Err(OffError::TimedOut { program, file, limit });
        }
    };
    let unreadable = |why: String| OffError::Unreadable {
        program,
        file: described.file.clone(),
        why,
    };
    if !output.status.success() {
        return Err(unreadable(last_line(&output.stderr)));
    }
    let info: Info = serde_json::from_slice(&output.stdout).map_err(|error| unreadable(error.to_string()))?;
    let data = info.format_specific.data;
    let keeps = described.format == DiskFormat::Qcow2 && data.compat != "0.10";
    let size = DiskSize::try_from(info.virtual_size).map_err(|error| unreadable(error.to_string()))?;
    let disk = Disk {
        device: None,
        node: None,
        file,
        format: described.format.clone(),
        size,
        bitmaps: match keeps {
            true => Bitmaps::Persistent,
            false => Bitmaps::Transient,
        },
    };
    let bitmaps = data.bitmaps;
    Ok(OffDisk { disk, bitmaps })
}

fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.trim().lines().last().unwrap_or("it does not say why").to_owned()
}

/// A disk that is shown as an export of its name, until this is dropped.
#[derive(Debug)]
pub struct Shown {
    socket: PathBuf,
    _server: Child,
}

impl Shown {
    /// The name of every such export.
    pub const EXPORT: &str = "disk";

    /// Shows a disk, with a bitmap of it if one is named, on a new socket of that path: one in a folder of the caller's.
    pub async fn begin(disk: &Disk, bitmap: Option<&str>, socket: &Path) -> Result<Self, OffError> {
        let program = "qemu-nbd";
        let mut command = Command::new(program);
        command.args(["--read-only", "--persistent", "--shared", READERS_MAX]);
        command
            .arg("--socket")
            .arg(socket)
            .args(["--export-name", Self::EXPORT]);
        if let Some(bitmap) = bitmap {
            command.args(["--bitmap", bitmap]);
        }
        // In such a list a comma is written twice.
        let file = disk.file.display().to_string().replace(',', ",,");
        let options = format!(
            "driver={},force-share=on,file.driver={},file.filename={file}",
            disk.format,
            driver(&disk.file)
        );
        command.args(["--image-opts", &options]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut server = command
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| OffError::Program { program, source })?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            // It says nothing when it listens.
            if UnixStream::connect(socket).await.is_ok() {
                let socket = socket.to_owned();
                return Ok(Self {
                    socket,
                    _server: server,
                });
            }
            let file = disk.file.clone();
            if matches!(server.try_wait(), Ok(Some(_)) | Err(_)) {
                let said = server.wait_with_output().await;
                let why = said.map_or_else(|error| error.to_string(), |said| last_line(&said.stderr));
                return Err(OffError::Unreadable { program, file, why });
            }
            if Instant::now() >= deadline {
                let limit = START_LIMIT;
                return Err(OffError::TimedOut { program, file, limit });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Where it is shown.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// QEMU's word for what a disk lies in.
fn driver(file: &Path) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match std::fs::metadata(file) {
        Ok(found) if found.file_type().is_block_device() => "host_device",
        _ => "file",
    }
}
