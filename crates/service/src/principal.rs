//! Who calls, and what that allows.

use strongroom_db::CredentialId;
use strongroom_model::{ContainerId, ItemId, Permission, VaultId};

/// A caller whose credential was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A person who administers the service.
    Administrator(Administrator),
    /// A registered machine.
    Machine(Machine),
    /// The bearer of a vault credentials file.
    Registration(Registration),
}

/// A person who administers the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Administrator {
    /// The name, as it was typed at the sign-in.
    pub(crate) user: String,
}

/// A registered machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) vault: VaultId,
    pub(crate) container: ContainerId,
    pub(crate) item: ItemId,
}

/// The right to register machines in one vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) vault: VaultId,
    pub(crate) credential: CredentialId,
}

impl Principal {
    /// Whether the caller may. What a machine may, it may only on what is its own: the vault's rules see to that.
    pub(crate) fn permits(&self, permission: Permission) -> bool {
        use Permission::*;
        let held: &[Permission] = match self {
            Self::Administrator(_) => &[
                PasswordChange,
                VaultsRead,
                VaultsWrite,
                VaultsDelete,
                CredentialsIssue,
                VaultConfigRead,
                VaultConfigWrite,
                PoliciesRead,
                PoliciesWrite,
                PoliciesDelete,
                ItemsRead,
                ItemsWrite,
                ItemsDelete,
                BackupNow,
                PointsRead,
                JobsRead,
                JobsCancel,
                AlertsRead,
                AlertsWrite,
                MonitoringWrite,
            ],
            Self::Machine(_) => &[Backup, Restore, Scrub, Link],
            Self::Registration(_) => &[MachineRegister],
        };
        permission == Public || held.contains(&permission)
    }

    /// How the caller appears in logs: never with a secret.
    pub(crate) fn log_name(&self) -> String {
        match self {
            Self::Administrator(administrator) => format!("administrator {}", administrator.user),
            Self::Machine(machine) => format!("machine {}", machine.container),
            Self::Registration(registration) => format!("credentials of vault {}", registration.vault),
        }
    }
}
