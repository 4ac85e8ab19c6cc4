//! What a host keeps beside what every registered machine keeps.
//!
//! ```text
//! host.json      where the descriptions of virtual machines are, and where points are kept meanwhile
//! points/        unless somebody chose another folder: fleeces and sockets of points
//! journal/       what has to be undone of points
//! vms/NAME/      the state folder of a virtual machine, as that of a machine; and in it
//!   tracked.json what the last recovery point in the vault was, so that QEMU can tell what changed since
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use strongroom_hypervisor::snapshot::{Base, Places};
use strongroom_model::{Digest, MachineName};

use crate::error::AgentError;
use crate::state::{StateFolder, to_json};

/// How a host is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSettings {
    /// The folder with a description of each virtual machine.
    pub descriptions: PathBuf,
    /// Where what guests overwrite during a backup is kept meanwhile, if not in the state folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<PathBuf>,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            descriptions: PathBuf::from("/etc/strongroom/vms"),
            points: None,
        }
    }
}

/// The last recovery point of a virtual machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tracked {
    /// What QEMU has to know of it, if QEMU has shown one yet. It may be an earlier one: what is unchanged since that is
    /// unchanged since the last.
    pub(super) base: Option<Base>,
    /// The last one in the vault.
    pub(super) digest: Digest,
}

impl StateFolder {
    /// How the host is set up; none if the machine is no host.
    pub fn host(&self) -> Result<Option<HostSettings>, AgentError> {
        self.read_json("host.json")
    }

    /// Makes the machine a host, or changes how it is set up.
    pub fn keep_host(&self, settings: &HostSettings) -> Result<(), AgentError> {
        self.write("host.json", &to_json(settings))
    }

    /// The state folder of a virtual machine of the host.
    pub fn of_virtual_machine(&self, name: &MachineName) -> StateFolder {
        StateFolder::new(self.path().join("vms").join(name.as_str()))
    }

    /// Where the host keeps what belongs to points.
    pub(super) fn places(&self, settings: &HostSettings) -> Places {
        Places {
            state: self.path().join("journal"),
            points: settings.points.clone().unwrap_or_else(|| self.path().join("points")),
        }
    }

    pub(super) fn tracked(&self) -> Result<Option<Tracked>, AgentError> {
        self.read_json("tracked.json")
    }

    pub(super) fn keep_tracked(&self, tracked: &Tracked) -> Result<(), AgentError> {
        self.write("tracked.json", &to_json(tracked))
    }
}
