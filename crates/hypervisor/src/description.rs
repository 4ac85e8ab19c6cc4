//! What a host is told about a virtual machine: a file `NAME.toml` in a folder.
//!
//! ```toml
//! name = "mail"
//! qmp = "/run/qemu/mail/strongroom.sock"     # -qmp unix:/run/qemu/mail/strongroom.sock,server=on,wait=off
//! agent = "/run/qemu/mail/agent.sock"        # the socket of org.qemu.guest_agent.0
//! uuid = "..."                               # if another machine must not be taken for it
//! [[disks]]                                  # for when it is off
//! file = "/var/lib/images/mail.qcow2"
//! format = "qcow2"
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::disk::DiskFormat;

/// More machines than a host runs.
const DESCRIPTIONS_MAX: usize = 1000;

const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why a description cannot be used; each is a sentence for the administrator of the host.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// The folder or a file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not say what it should.
    #[error("{} does not describe a virtual machine: {why}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Two files describe machines of the same name.
    #[error("{} describes a second virtual machine called {name}", path.display())]
    Twice {
        /// The second file.
        path: PathBuf,
        /// The name.
        name: MachineName,
    },
    /// None of the files describes a machine of the name.
    #[error("no file in {} describes a virtual machine called {name}", folder.display())]
    Absent {
        /// The folder.
        folder: PathBuf,
        /// The name.
        name: MachineName,
    },
    /// There are too many.
    #[error("{} describes more than {DESCRIPTIONS_MAX} virtual machines", .0.display())]
    TooMany(PathBuf),
}

/// How a host calls a virtual machine: up to 63 letters, digits, dots, hyphens and underscores, the first one a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineName(String);

impl MachineName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a name was refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{0}\" is no name of a virtual machine: it has up to 63 letters, digits, dots, hyphens and underscores, and begins with a letter or digit"
)]
pub struct MachineNameError(String);

impl FromStr for MachineName {
    type Err = MachineNameError;

    fn from_str(text: &str) -> Result<Self, MachineNameError> {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if first && text.len() <= 63 && text.bytes().all(inside) {
            return Ok(Self(text.to_owned()));
        }
        Err(MachineNameError(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for MachineName {
    type Error = MachineNameError;

    fn try_from(text: String) -> Result<Self, MachineNameError> {
        text.parse()
    }
}

impl From<MachineName> for String {
    fn from(name: MachineName) -> String {
        name.0
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What the host is told of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Its name.
    pub name: MachineName,
    /// A monitor that is for Strongroom alone.
    pub qmp: PathBuf,
    /// The socket of the guest's agent, if it has one.
    #[serde(default)]
    pub agent: Option<PathBuf>,
    /// What QEMU's `-uuid` is, if that is to be checked.
    #[serde(default)]
    pub uuid: Option<Uuid>,
    /// Its disks, for when it is off.
    #[serde(default)]
    pub disks: Vec<DescribedDisk>,
}

/// A disk of a machine that is off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedDisk {
    /// The file or block device.
    pub file: PathBuf,
    /// Its format. It is never guessed: a guest can make its raw disk look like any other.
    pub format: DiskFormat,
}

impl Description {
    fn parse(text: &str) -> Result<Self, String> {
        let description: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let sockets = [Some(&description.qmp), description.agent.as_ref()];
        let files = description.disks.iter().map(|disk| &disk.file);
        for path in sockets.into_iter().flatten().chain(files) {
            // To QEMU's tools a path that begins otherwise may be an address or an option.
            if !path.is_absolute() {
                return Err(format!("{} does not begin with a slash", path.display()));
            }
        }
        Ok(description)
    }

    /// The machine of a name that a folder describes.
    ///
    /// # Errors
    /// When none of the files does, or the one that might cannot be used.
    pub fn find(folder: &Path, name: &MachineName) -> Result<Self, DescriptionError> {
        let mut refused = None;
        for described in read_all(folder)? {
            match described {
                Ok(description) if description.name == *name => return Ok(description),
                Ok(_) => {}
                Err(error) => refused = Some(error),
            }
        }
        let (folder, name) = (folder.to_owned(), name.clone());
        Err(refused.unwrap_or(DescriptionError::Absent { folder, name }))
    }

    fn read(path: &Path) -> Result<Self, DescriptionError> {
        let io = |source| DescriptionError::Io {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        let file = File::open(path).map_err(io)?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(io)?;
        let parsed = match text.len() as u64 > FILE_BYTES_MAX {
            true => Err(format!("it has more than {FILE_BYTES_MAX} bytes")),
            false => Self::parse(&text),
        };
        let path = path.to_owned();
        parsed.map_err(|why| DescriptionError::Wrong { path, why })
    }
}

/// All descriptions of a folder, in the order of their files' names. One that cannot be used hides no other.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Result<Description, DescriptionError>>, DescriptionError> {
    let io = |source| DescriptionError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
        if paths.len() > DESCRIPTIONS_MAX {
            return Err(DescriptionError::TooMany(folder.to_owned()));
        }
    }
    paths.sort();
    let mut names = BTreeSet::new();
    let once = |path: PathBuf| {
        let description = Description::read(&path)?;
        match names.insert(description.name.clone()) {
            true => Ok(description),
            false => Err(DescriptionError::Twice {
                path,
                name: description.name,
            }),
        }
    };
    Ok(paths.into_iter().map(once).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_enough_and_nothing_unknown() {
        let right = "name = 'mail'\nqmp = '/run/q'\n[[disks]]\nfile = '/a.qcow2'\nformat = 'qcow2'\n";
        assert_eq!(Description::parse(right).unwrap().disks[0].format, DiskFormat::Qcow2);
        for wrong in [
            "",
            "name = 'mail'",
            "name = '../mail'\nqmp = '/run/q'",
            "name = ''\nqmp = '/run/q'",
            "name = 'mail'\nqmp = 'run/q'",
            "name = 'mail'\nqmp = '/run/q'\npassword = 'x'",
            "name = 'mail'\nqmp = '/run/q'\n[[disks]]\nfile = 'nbd:a'\nformat = 'raw'\n",
        ] {
            assert!(Description::parse(wrong).is_err(), "{wrong}");
        }
    }
}
