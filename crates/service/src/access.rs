//! What an account may do, and where: its roles, asked for a permission at a place.

use std::collections::HashMap;

use strongroom_db::{AssignmentRow, VaultRow};
use strongroom_model::{Permission, Place, ResourceGroupName, Role, Scope, ScopeName, VaultId};

use crate::refusal::{Answer, Refusal};
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// The roles of an account, read from the database for the request at hand: one that was taken away counts no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Access(Vec<(Role, Scope)>);

impl Access {
    pub(crate) fn new(assignments: Vec<AssignmentRow>) -> Self {
        Self(assignments.into_iter().map(|one| (one.role, one.scope)).collect())
    }

    /// Whether a role permits it at the place.
    pub(crate) fn permits(&self, permission: Permission, place: &Place) -> bool {
        let counts = |(role, scope): &(Role, Scope)| place.is_within(scope) && role.permits(permission);
        self.0.iter().any(counts)
    }

    /// Whether a role allows at the place what Azure calls so.
    pub(crate) fn allows(&self, action: &str, place: &Place) -> bool {
        let counts = |(role, scope): &(Role, Scope)| place.is_within(scope) && role.allows(action);
        self.0.iter().any(counts)
    }

    /// Whether a role permits it at any place at all.
    pub(crate) fn permits_somewhere(&self, permission: Permission) -> bool {
        self.0.iter().any(|(role, _)| role.permits(permission))
    }

    /// Whether a role permits it on a vault.
    pub(crate) fn permits_on(&self, permission: Permission, vault: &VaultRow) -> bool {
        self.permits(permission, &Place::vault(&vault.resource_group, vault.id))
    }

    /// Refuses what no role permits at the place: as `hidden` to whoever may not even read there, so that nobody learns
    /// what exists.
    pub(crate) fn require(
        &self,
        permission: Permission,
        read: Permission,
        place: &Place,
        hidden: impl FnOnce() -> Refusal,
    ) -> Answer<()> {
        match (self.permits(permission, place), self.permits(read, place)) {
            (true, _) => Ok(()),
            (false, true) => Err(Refusal::forbidden()),
            (false, false) => Err(hidden()),
        }
    }

    /// The roles, and where they hold.
    pub(crate) fn roles(&self) -> &[(Role, Scope)] {
        &self.0
    }
}

/// The vaults of the service, to tell where a scope lies and what people call it.
pub(crate) struct Places(HashMap<VaultId, VaultRow>);

impl Places {
    pub(crate) async fn load(shared: &Shared) -> Answer<Self> {
        let vaults = shared.db.vaults().await.map_err(|error| refuse(error.into()))?;
        Ok(Self(vaults.into_iter().map(|vault| (vault.id, vault)).collect()))
    }

    /// The place of a scope; `None` when its vault is gone.
    pub(crate) fn place(&self, scope: &Scope) -> Option<Place> {
        Some(match scope {
            Scope::Subscription => Place::subscription(),
            Scope::ResourceGroup(name) => Place::resource_group(&group(name)?),
            Scope::Vault(id) => {
                let vault = self.0.get(id)?;
                Place::vault(&vault.resource_group, vault.id)
            }
        })
    }

    /// How people write a scope; `None` when its vault is gone.
    pub(crate) fn name(&self, scope: &Scope) -> Option<ScopeName> {
        Some(match scope {
            Scope::Subscription => ScopeName::Subscription,
            Scope::ResourceGroup(name) => ScopeName::ResourceGroup(group(name)?),
            Scope::Vault(id) => ScopeName::Vault(self.0.get(id)?.name.clone()),
        })
    }
}

fn group(name: &str) -> Option<ResourceGroupName> {
    name.parse().ok()
}
