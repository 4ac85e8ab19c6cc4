//! Finding the virtual machines of a host, and telling the service of them.

use strongroom_api::{FoundMachine, FoundMachines, HostedIds};
use strongroom_hypervisor::{AgentState, Discovered, Disk, Found, QomPath, State, discover};
use strongroom_model::{DiskFacts, GuestAgentState, LeftOutDisk, MachineFacts, MachineName, PowerState};

use super::Host;
use crate::error::AgentError;
use crate::machine::Machine;
use crate::state::MachineState;

/// A virtual machine that was found.
#[derive(Clone, Debug)]
pub struct VirtualMachine {
    /// Its name.
    pub name: MachineName,
    /// What is known of it.
    pub facts: MachineFacts,
}

/// What was found, and what the service made of it.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The virtual machines that this host backs up.
    pub machines: Vec<VirtualMachine>,
    /// Those that it does not, as another host has one of the name: theirs and that host's.
    pub elsewhere: Vec<(MachineName, MachineName)>,
    /// Descriptions that cannot be used, and why.
    pub unusable: Vec<(String, String)>,
}

impl Host {
    /// Asks each virtual machine that is described, and tells nobody.
    pub async fn look(&self) -> Result<Listed, AgentError> {
        let mut listed = Listed::default();
        for Discovered { name, found } in discover(&self.settings.descriptions).await? {
            match (name.parse::<MachineName>(), found) {
                (Ok(name), Found::Machine(machine)) => {
                    let facts = facts(&machine);
                    listed.machines.push(VirtualMachine { name, facts });
                }
                // It is described, and may answer another time.
                (Ok(name), Found::Unasked(why)) if !name.as_str().ends_with(".toml") => {
                    let facts = MachineFacts {
                        problem: Some(why.to_string()),
                        ..MachineFacts::unknown()
                    };
                    listed.machines.push(VirtualMachine { name, facts });
                }
                (_, Found::Unasked(why)) => listed.unusable.push((name, why.to_string())),
                (Err(error), Found::Machine(_)) => listed.unusable.push((name, error.to_string())),
            }
        }
        Ok(listed)
    }

    /// Asks each virtual machine that is described, and tells the service. For each that this host backs up from now on,
    /// there is a state folder.
    pub async fn discover(&self) -> Result<Listed, AgentError> {
        let mut listed = self.look().await?;
        let found = FoundMachines {
            machines: listed
                .machines
                .iter()
                .map(|machine| FoundMachine {
                    name: machine.name.clone(),
                    facts: machine.facts.clone(),
                })
                .collect(),
        };
        let hosted = self.machine.client().found_machines(&found).await?.machines;
        for hosted in hosted {
            match (hosted.ids, hosted.elsewhere) {
                (Some(ids), _) => self.take_in(&hosted.name, ids).await?,
                (None, elsewhere) => {
                    listed.machines.retain(|machine| machine.name != hosted.name);
                    listed.elsewhere.extend(elsewhere.map(|host| (hosted.name, host)));
                }
            }
        }
        Ok(listed)
    }

    /// Sees to it that a virtual machine has a state folder, with the host's keys.
    async fn take_in(&self, name: &MachineName, ids: HostedIds) -> Result<(), AgentError> {
        let own = self.machine.state();
        let state = MachineState {
            container: ids.container,
            item: ids.item,
            name: name.clone(),
            ..own.clone()
        };
        let folder = self.machine.folder().of_virtual_machine(name);
        let (key, master) = (
            self.machine.folder().machine_key()?,
            self.machine.folder().master_key()?,
        );
        if folder.machine()?.as_ref() == Some(&state) && folder.machine_key()?.as_pkcs8() == key.as_pkcs8() {
            return Ok(());
        }
        folder.make()?;
        folder.keep(&state, &key, &master)?;
        let machine = Machine::open(folder, self.machine.clock().clone(), self.retry)?;
        let membership = master.keys().membership();
        machine.client().join_key_set(own.key_set, membership).await?;
        Ok(())
    }
}

fn facts(machine: &strongroom_hypervisor::Machine) -> MachineFacts {
    MachineFacts {
        uuid: machine.uuid,
        power: match machine.state {
            State::Running => PowerState::Running,
            State::Paused | State::IoError => PowerState::Paused,
            State::Off => PowerState::Off,
        },
        agent: match machine.agent {
            AgentState::None => GuestAgentState::None,
            AgentState::Absent => GuestAgentState::Absent,
            AgentState::Silent => GuestAgentState::Silent,
            AgentState::Answers(_) => GuestAgentState::Ready,
        },
        hypervisor: machine
            .qemu
            .as_ref()
            .map_or(String::new(), |version| format!("QEMU {version}")),
        disks: machine
            .disks
            .iter()
            .enumerate()
            .map(|(number, disk)| DiskFacts {
                name: name_of_disk(disk, number),
                bytes: disk.size.bytes(),
                format: disk.format.to_string(),
            })
            .collect(),
        left_out: machine
            .left_out
            .iter()
            .map(|left_out| LeftOutDisk {
                device: left_out.device.clone(),
                why: left_out.why.to_string(),
            })
            .collect(),
        problem: None,
    }
}

/// How a disk is called in recovery points: by its device, or by its place among the disks of a machine that is off.
pub(super) fn name_of_disk(disk: &Disk, number: usize) -> String {
    match &disk.device {
        Some(device) => name_of_device(device),
        None => format!("disk{number}"),
    }
}

/// The device's id if it has one, else its path in a form that is a file's name.
pub(super) fn name_of_device(device: &QomPath) -> String {
    let path = device.as_str();
    let path = path.strip_prefix("/machine/").unwrap_or(path);
    let path = path.strip_prefix("peripheral/").unwrap_or(path);
    let path = path.strip_suffix("/virtio-backend").unwrap_or(path);
    let plain = |c: char| match c.is_ascii_alphanumeric() || "._-".contains(c) {
        true => c,
        false => '-',
    };
    path.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_called_by_their_devices() {
        for (path, name) in [
            ("/machine/peripheral/dev-d0/virtio-backend", "dev-d0"),
            ("/machine/peripheral/sata0", "sata0"),
            ("/machine/peripheral-anon/device[3]", "peripheral-anon-device-3-"),
            ("/machine/unattached/x", "unattached-x"),
        ] {
            assert_eq!(name_of_device(&path.parse().unwrap()), name);
        }
    }
}
