//! The forms that a disk is restored in, made of a raw one: VHDs here, others by QEMU's tool.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Stdio;
use std::str::FromStr;

use jiff::Timestamp;
use tokio::process::Command;
use uuid::Uuid;

use super::vhd;
use crate::error::AgentError;

/// What Azure wants the size of a disk to be a multiple of, and what Hyper-V handles best.
const MEBIBYTE: u64 = 1 << 20;

/// The form of a disk's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DiskForm {
    /// The disk's bytes, with holes where there is nothing.
    #[default]
    Raw,
    /// QEMU's own.
    Qcow2,
    /// Microsoft's older one, of fixed size, as Azure takes it: a whole number of MiB and a footer.
    Vhd,
    /// Microsoft's newer one, which grows.
    Vhdx,
    /// VMware's, in one file that grows.
    Vmdk,
}

impl DiskForm {
    /// Each of them.
    pub const ALL: &[Self] = &[Self::Raw, Self::Qcow2, Self::Vhd, Self::Vhdx, Self::Vmdk];

    /// How it is called, and what its files end with.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
        }
    }

    /// Gives a raw disk this form, as another file; the raw one is not needed any more. `made` is the moment that it tells.
    ///
    /// # Errors
    /// [`AgentError::Form`] when that cannot be done.
    pub(super) async fn give(self, raw: &Path, to: &Path, made: Timestamp) -> Result<(), AgentError> {
        let failed = |why: String| AgentError::Form {
            form: self,
            path: to.to_owned(),
            why,
        };
        let (driver, options) = match self {
            Self::Raw => return fs::rename(raw, to).map_err(|error| failed(error.to_string())),
            Self::Vhd => {
                let made = add_footer(raw, made).and_then(|()| fs::rename(raw, to));
                return made.map_err(|error| failed(error.to_string()));
            }
            Self::Qcow2 => ("qcow2", None),
            Self::Vhdx => ("vhdx", None),
            Self::Vmdk => ("vmdk", Some("subformat=monolithicSparse")),
        };
        let mut command = Command::new("qemu-img");
        // Formats are said, never guessed: a guest can make its disk look like any of them.
        command.args(["convert", "-f", "raw", "-O", driver]);
        command.args(options.map(|options| ["-o", options]).iter().flatten());
        command.arg(raw).arg(to);
        command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.map_err(|error| {
            failed(format!(
                "cannot run qemu-img: {error}; the Debian package qemu-utils has it"
            ))
        })?;
        match output.status.success() {
            true => fs::remove_file(raw).map_err(|error| failed(error.to_string())),
            false => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }
}

/// Makes a fixed VHD of a raw disk: a whole number of MiB, and the footer.
fn add_footer(raw: &Path, made: Timestamp) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(raw)?;
    let bytes = file.metadata()?.len().next_multiple_of(MEBIBYTE);
    let footer = vhd::footer(bytes, Uuid::new_v4(), made.as_second());
    file.set_len(bytes)?;
    file.write_all_at(&footer, bytes)?;
    file.sync_all()
}

impl fmt::Display for DiskForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no form of a disk.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no form of a disk: it is raw, qcow2, vhd, vhdx or vmdk")]
pub struct DiskFormError(String);

impl FromStr for DiskForm {
    type Err = DiskFormError;

    fn from_str(text: &str) -> Result<Self, DiskFormError> {
        let found = Self::ALL.iter().find(|form| form.as_str().eq_ignore_ascii_case(text));
        found
            .copied()
            .ok_or_else(|| DiskFormError(text.chars().take(60).collect()))
    }
}
