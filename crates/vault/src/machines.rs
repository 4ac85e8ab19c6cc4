//! Registration of machines.

use strongroom_db::NewContainer;
use strongroom_model::{ContainerId, ItemId, MachineName, VaultId};

use crate::{Container, VaultError, Vaults, fresh};

impl Vaults {
    /// Registers a machine with the public key that it will sign in with. One that is registered in the vault under this
    /// name (without regard to case) keeps its ids and gets the new key: the caller must have seen fresh credentials.
    pub async fn register_container(
        &self,
        vault: VaultId,
        name: &MachineName,
        public_key: &[u8; 32],
    ) -> Result<Container, VaultError> {
        let registered = self.now();
        let new = NewContainer {
            id: ContainerId::from_uuid(fresh::uuid(registered, self.entropy())),
            item: ItemId::from_uuid(fresh::uuid(registered, self.entropy())),
            name,
            public_key,
            registered,
        };
        Ok(self.db().register_container(vault, new).await?)
    }
}
