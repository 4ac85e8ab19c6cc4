//! Virtual machines, as their hosts tell of them.

use jiff::SignedDuration;
use strongroom_db::{DiscoveryAsked, FoundMachine, Hosted, VirtualMachineRow};
use strongroom_model::{ContainerId, ItemId, MachineFacts, MachineName, VaultId};

use crate::{VaultError, Vaults, fresh};

/// How long is waited for what a host finds before somebody may ask it again.
const DISCOVERY_PATIENCE: SignedDuration = SignedDuration::from_mins(2);

impl Vaults {
    /// Takes note of all virtual machines that a host has. Each gets a container and an item, which only this host signs in
    /// for.
    pub async fn found_machines(
        &self,
        host: ContainerId,
        found: Vec<(MachineName, MachineFacts)>,
    ) -> Result<Vec<Hosted>, VaultError> {
        let now = self.now();
        let with_ids = found.into_iter().map(|(name, facts)| FoundMachine {
            id: ContainerId::from_uuid(fresh::uuid(now, self.entropy())),
            item: ItemId::from_uuid(fresh::uuid(now, self.entropy())),
            name,
            facts: facts.of_host(),
        });
        let found: Vec<FoundMachine> = with_ids.collect();
        Ok(self.db().found_machines(host, &found, now).await?)
    }

    /// At most `limit` of a vault's virtual machines by name, those whose places come after `after`.
    pub async fn virtual_machines(
        &self,
        vault: VaultId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<VirtualMachineRow>, VaultError> {
        Ok(self.db().virtual_machines(vault, after, limit).await?)
    }

    /// The virtual machine of this name.
    pub async fn virtual_machine(&self, vault: VaultId, name: &MachineName) -> Result<VirtualMachineRow, VaultError> {
        let found = self.db().virtual_machine(vault, name).await?;
        found.ok_or(VaultError::NoSuchContainer)
    }

    /// Asks the hosts of a vault to look for their virtual machines. Returns the hosts.
    ///
    /// # Errors
    /// [`VaultError::DiscoveryUnderway`] while an earlier one is not over.
    pub async fn discover(&self, vault: VaultId) -> Result<Vec<ContainerId>, VaultError> {
        let now = self.now();
        let patience = now.checked_sub(DISCOVERY_PATIENCE).unwrap_or(now);
        match self.db().ask_for_discovery(vault, patience, now).await? {
            DiscoveryAsked::Asked(_) => Ok(self.db().hosts(vault).await?),
            DiscoveryAsked::Underway => Err(VaultError::DiscoveryUnderway),
        }
    }

    /// Whether somebody waits for what a host finds.
    pub async fn discovery_wanted(&self, host: ContainerId) -> Result<bool, VaultError> {
        Ok(self.db().discovery_wanted(host).await?.is_some())
    }
}
