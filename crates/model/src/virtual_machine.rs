//! What a host tells of its virtual machines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::notice::line;
use crate::word::words;

/// The most virtual machines of a host.
pub const MACHINES_PER_HOST_MAX: usize = 1000;

/// The most disks of a virtual machine that are told, backed up or not.
pub const DISKS_PER_MACHINE_MAX: usize = 64;

/// The longest text about a disk or a machine, in characters.
const TEXT_MAX: usize = 200;

words!(
    /// What a virtual machine does.
    PowerState, "power state" {
        /// It runs.
        Running,
        /// It stands still, as somebody or a failed write has paused it.
        Paused,
        /// It is switched off.
        Off,
        /// Its hypervisor could not be asked.
        Unknown,
    }
);

words!(
    /// What is known of the agent in the guest, without which a recovery point is crash-consistent.
    GuestAgentState, "state of a guest agent" {
        /// The host knows of none.
        None,
        /// Nobody in the guest listens.
        Absent,
        /// It is there, and does not answer.
        Silent,
        /// It answers.
        Ready,
    }
);

/// What a host knows of a virtual machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineFacts {
    /// The UUID that its firmware shows, if the hypervisor gives it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// What it does.
    pub power: PowerState,
    /// The agent in the guest.
    pub agent: GuestAgentState,
    /// The hypervisor that runs it, such as `QEMU 7.2.22`; empty if it is off.
    #[serde(default)]
    pub hypervisor: String,
    /// Its disks, the one that it starts from first.
    #[serde(default)]
    pub disks: Vec<DiskFacts>,
    /// What it has that cannot be backed up.
    #[serde(default)]
    pub left_out: Vec<LeftOutDisk>,
    /// Why it could not be asked, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A disk of a virtual machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiskFacts {
    /// How it is called in recovery points, unique in its machine.
    pub name: String,
    /// As the guest sees it.
    pub bytes: u64,
    /// Such as `qcow2` or `raw`.
    pub format: String,
}

/// A device that is not backed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutDisk {
    /// How the hypervisor calls it.
    pub device: String,
    /// The end of a sentence.
    pub why: String,
}

impl MachineFacts {
    /// Nothing is known.
    pub fn unknown() -> Self {
        Self {
            uuid: None,
            power: PowerState::Unknown,
            agent: GuestAgentState::None,
            hypervisor: String::new(),
            disks: Vec::new(),
            left_out: Vec::new(),
            problem: None,
        }
    }

    /// As a host may tell them: texts of one line and of bounded length, and not too many disks.
    pub fn of_host(mut self) -> Self {
        let short = |text: &str| line(text, TEXT_MAX);
        self.hypervisor = short(&self.hypervisor);
        self.problem = self.problem.as_deref().map(short);
        self.disks.truncate(DISKS_PER_MACHINE_MAX);
        for disk in &mut self.disks {
            (disk.name, disk.format) = (short(&disk.name), short(&disk.format));
        }
        self.left_out.truncate(DISKS_PER_MACHINE_MAX);
        for left_out in &mut self.left_out {
            (left_out.device, left_out.why) = (short(&left_out.device), short(&left_out.why));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_tells_is_bounded() {
        let disk = DiskFacts {
            name: "d\n".repeat(500),
            bytes: 1,
            format: "raw".to_owned(),
        };
        let facts = MachineFacts {
            uuid: None,
            power: PowerState::Running,
            agent: GuestAgentState::Ready,
            hypervisor: "x".repeat(1000),
            disks: vec![disk; 100],
            left_out: Vec::new(),
            problem: Some("two\nlines".to_owned()),
        };
        let told = facts.of_host();
        assert_eq!(told.disks.len(), DISKS_PER_MACHINE_MAX);
        assert!(told.disks[0].name.chars().count() <= TEXT_MAX && !told.disks[0].name.contains('\n'));
        assert!(told.hypervisor.chars().count() <= TEXT_MAX && !told.problem.unwrap().contains('\n'));
    }
}
