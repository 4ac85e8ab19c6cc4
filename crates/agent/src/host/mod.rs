//! The role of a host: it tells the service of its virtual machines, and backs them up.
//!
//! Each virtual machine is a machine of the vault, with an item and a state folder of its own, that the host signs in for
//! with its own key. So what holds for machines holds for them: jobs, recovery points, restores. Only where the data come
//! from differs: from QEMU, which shows the disks as they were at one moment.

mod backup;
mod disks;
mod form;
mod found;
mod map;
mod restore;
mod run;
mod shot;
mod state;
mod vhd;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use strongroom_api::RetryPolicy;
use strongroom_hypervisor::snapshot::Places;
use strongroom_hypervisor::{Description, DescriptionError};
use strongroom_model::{Clock, MachineName};
use tempfile::TempDir;

use crate::error::AgentError;
use crate::machine::Machine;
use crate::state::StateFolder;

pub use backup::MachineBackup;
pub use form::{DiskForm, DiskFormError};
pub use found::{Listed, VirtualMachine};
pub use restore::{DiskRestore, RestoredDisks};
pub use run::{HostEvent, run_host};
pub use state::HostSettings;

/// A folder of sockets, which goes with this.
struct SocketFolder(TempDir);

impl SocketFolder {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A registered machine that is a host.
pub struct Host {
    machine: Arc<Machine>,
    settings: HostSettings,
    retry: RetryPolicy,
}

impl Host {
    /// The host that is registered with this state folder.
    ///
    /// # Errors
    /// [`AgentError::NoHost`] when the machine is registered as something else.
    pub fn open(folder: StateFolder, clock: Clock, retry: RetryPolicy) -> Result<Self, AgentError> {
        let machine = Machine::open(folder, clock, retry)?;
        let settings = machine.folder().host()?;
        let settings = settings.ok_or_else(|| AgentError::NoHost(machine.folder().path().to_owned()))?;
        Ok(Self {
            machine: Arc::new(machine),
            settings,
            retry,
        })
    }

    /// Who it is.
    pub fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    /// How it is set up.
    pub fn settings(&self) -> &HostSettings {
        &self.settings
    }

    /// One of its virtual machines, as a machine at work: it was found before.
    pub fn virtual_machine(&self, name: &MachineName) -> Result<Machine, AgentError> {
        let folder = self.machine.folder().of_virtual_machine(name);
        if folder.machine()?.is_none() {
            return Err(AgentError::NoVirtualMachine(name.clone()));
        }
        Machine::open(folder, self.machine.clock().clone(), self.retry)
    }

    /// A new folder for sockets, of this user only.
    fn folder_for_sockets(&self) -> Result<SocketFolder, AgentError> {
        let above = self.places().points;
        let failed = |source| AgentError::State {
            action: "make a folder in",
            path: above.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(&above)
            .map_err(failed)?;
        TempDir::with_prefix_in("s", &above).map(SocketFolder).map_err(failed)
    }

    fn places(&self) -> Places {
        self.machine.folder().places(&self.settings)
    }

    fn description(&self, name: &MachineName) -> Result<Description, DescriptionError> {
        let name = name
            .as_str()
            .parse()
            .expect("a name that was found is one of a description");
        Description::find(&self.settings.descriptions, &name)
    }
}
