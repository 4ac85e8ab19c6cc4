//! A disk of a virtual machine, and what is left out of a backup.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a sector is to QEMU, whatever the disk says of itself.
const SECTOR_BYTES: u64 = 512;

/// Why a name, a path or a size of QEMU's was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{what}\" is no {noun}")]
pub struct Malformed {
    what: String,
    noun: &'static str,
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $noun:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// As QEMU has it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let valid: fn(&str) -> bool = $valid;
                match valid(text) {
                    true => Ok(Self(text.to_owned())),
                    false => Err(Malformed { what: text.chars().take(80).collect(), noun: $noun }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;

            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

checked_text!(
    /// The name of a node of QEMU's block layer: at most 31 bytes. Those that QEMU made up begin with `#`.
    NodeName,
    "name of a node",
    |text| (1..=31).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
);

checked_text!(
    /// Where a device is in QEMU's object model, as `/machine/peripheral/disk0`.
    QomPath,
    "path of a device",
    |text| text.len() <= 255 && text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
);

/// How large a disk is for its guest, in bytes: some sectors of 512.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct DiskSize(u64);

impl DiskSize {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for DiskSize {
    type Error = Malformed;

    fn try_from(bytes: u64) -> Result<Self, Malformed> {
        let right = bytes > 0 && bytes.is_multiple_of(SECTOR_BYTES) && i64::try_from(bytes).is_ok();
        let noun = "size of a disk";
        let what = bytes.to_string();
        right.then_some(Self(bytes)).ok_or(Malformed { what, noun })
    }
}

impl From<DiskSize> for u64 {
    fn from(size: DiskSize) -> u64 {
        size.0
    }
}

/// In which format a disk's file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskFormat {
    /// QEMU's own, which can keep bitmaps.
    Qcow2,
    /// The disk's bytes and nothing else.
    Raw,
    /// Another that QEMU knows, by its name for it.
    #[serde(untagged)]
    Other(String),
}

impl DiskFormat {
    pub(crate) fn of(driver: &str) -> Self {
        match driver {
            "qcow2" => Self::Qcow2,
            "raw" => Self::Raw,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for DiskFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qcow2 => f.pad("qcow2"),
            Self::Raw => f.pad("raw"),
            Self::Other(name) => f.pad(name),
        }
    }
}

/// How long what changed on a disk can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bitmaps {
    /// For good, unless the host fails while the virtual machine runs.
    Persistent,
    /// Until the virtual machine is switched off.
    Transient,
}

/// A disk that can be backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The device, if the machine runs.
    pub device: Option<QomPath>,
    /// The node of the disk's format, if the machine runs.
    pub node: Option<NodeName>,
    /// The file or block device that holds it.
    pub file: PathBuf,
    /// Of the file.
    pub format: DiskFormat,
    /// As the guest sees it.
    pub size: DiskSize,
    /// Whether what changes can be known.
    pub bitmaps: Bitmaps,
}

/// A device that is no disk to be backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// As QEMU calls it, or the path of a disk of a machine that is off.
    pub device: String,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why a device is left out; each is the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyLeftOut {
    /// A CD or a floppy disk.
    #[error("it is removable")]
    Removable,
    /// There is no medium in it.
    #[error("there is nothing in it")]
    Empty,
    /// The guest cannot write to it.
    #[error("it is read-only")]
    ReadOnly,
    /// The guest has no such device.
    #[error("no device of the guest uses it")]
    Unattached,
    /// QEMU 7.2 stops with a failed assertion when a reader leaves an export of such a disk.
    #[error(
        "it is served by an I/O thread, and QEMU may crash when such a disk is read: remove `iothread=` from its device"
    )]
    IoThread,
    /// Something of it is not what it should be.
    #[error("{0}")]
    Malformed(String),
    /// It cannot be looked at.
    #[error("{0}")]
    Unreadable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_sectors() {
        for (bytes, right) in [
            (0, false),
            (1, false),
            (512, true),
            (1 << 40, true),
            (u64::MAX - 511, false),
        ] {
            assert_eq!(DiskSize::try_from(bytes).is_ok(), right, "{bytes}");
        }
    }

    #[test]
    fn names_are_what_qemu_takes() {
        let long = "a".repeat(32);
        for (name, right) in [
            ("d1", true),
            ("#block415", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            (&long, false),
        ] {
            assert_eq!(name.parse::<NodeName>().is_ok(), right, "{name}");
        }
        assert!("/machine/peripheral-anon/device[3]".parse::<QomPath>().is_ok());
        assert!("disk0".parse::<QomPath>().is_err());
    }

    #[test]
    fn formats_keep_their_names() {
        for name in ["qcow2", "raw", "vmdk"] {
            let format = DiskFormat::of(name);
            let json = serde_json::to_string(&format).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<DiskFormat>(&json).unwrap(), format);
        }
    }
}
