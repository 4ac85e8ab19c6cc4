//! Kinds of things that are protected, as far as policies tell them apart.

use crate::word::words;

words!(
    /// What a policy is for. Each kind has limits of its own (SEMANTICS.md §2.6, §3.3, §11.1).
    Workload, "workload" {
        /// Files and folders of a machine.
        FilesAndFolders,
        /// A virtual machine.
        VirtualMachine,
        /// A database.
        Database,
    }
);

impl Workload {
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::FilesAndFolders => "Files and folders",
            Self::VirtualMachine => "Virtual machines",
            Self::Database => "Databases",
        }
    }

    pub(super) fn times_per_day_max(self) -> usize {
        match self {
            Self::FilesAndFolders => 3,
            Self::VirtualMachine | Self::Database => 1,
        }
    }

    // What a thief who holds a machine cannot go below: the limits of Azure's enhanced security for hybrid workloads.

    pub(super) fn daily_keep_min(self) -> u32 {
        7
    }

    pub(super) fn weekly_keep_min(self) -> u32 {
        match self {
            Self::FilesAndFolders => 4,
            Self::VirtualMachine | Self::Database => 1,
        }
    }

    pub(super) fn monthly_keep_min(self) -> u32 {
        match self {
            Self::FilesAndFolders => 3,
            Self::VirtualMachine | Self::Database => 1,
        }
    }
}
