//! Who calls, and what that allows.

use strongroom_api::PrincipalKind;
use strongroom_db::{Actor, CredentialId};
use strongroom_model::{ContainerId, ItemId, Permission, PrincipalId, VaultId};

use crate::access::Access;

/// A caller whose credential was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A user or a service principal.
    Account(Account),
    /// A registered machine.
    Machine(Machine),
    /// The bearer of a vault credentials file.
    Registration(Registration),
}

/// A user or a service principal, with the roles of this very moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) kind: PrincipalKind,
    pub(crate) id: PrincipalId,
    /// As it was given when the account was made, not as it was typed.
    pub(crate) name: String,
    pub(crate) access: Access,
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

impl Account {
    /// Who is written down in the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let (id, name) = (self.id, self.name.clone());
        match self.kind {
            PrincipalKind::User => Actor::User { id, name },
            PrincipalKind::ServicePrincipal => Actor::Application { id, name },
        }
    }
}

impl Principal {
    /// Whether the caller may, wherever it is. What a machine may, it may only on what is its own: the vault's rules see to
    /// that. Accounts are asked by the gate, which knows what place the request is about.
    pub(crate) fn holds(&self, permission: Permission) -> bool {
        use Permission::*;
        let held: &[Permission] = match self {
            Self::Account(account) if account.kind == PrincipalKind::User => &[OwnAccount, PasswordChange],
            Self::Account(_) => &[OwnAccount],
            Self::Machine(_) => &[Backup, Restore, Scrub, Link, RemoveOwn],
            Self::Registration(_) => &[MachineRegister],
        };
        permission == Public || held.contains(&permission)
    }

    /// How the caller appears in logs: never with a secret.
    pub(crate) fn log_name(&self) -> String {
        match self {
            Self::Account(account) if account.kind == PrincipalKind::User => format!("user {}", account.name),
            Self::Account(account) => format!("service principal {}", account.name),
            Self::Machine(machine) => format!("machine {}", machine.container),
            Self::Registration(registration) => format!("credentials of vault {}", registration.vault),
        }
    }
}
