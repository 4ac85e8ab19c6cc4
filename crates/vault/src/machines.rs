//! Registration of machines, and its end.

use jiff::Timestamp;
use strongroom_db::{Actor, ItemLeft, ItemSeen, JobReport, NewContainer};
use strongroom_model::{
    ContainerId, GuardedOperation, ItemId, ItemState, JobError, JobState, MachineName, Operation, Trigger, VaultId,
};

use crate::guards::{Subject, Wish};
use crate::items::{refuse_deletion, stopped};
use crate::{Container, ItemChanged, Stop, VaultError, Vaults, fresh};

impl Vaults {
    /// Registers a machine with the public key that it will sign in with. One that is registered in the vault under this
    /// name (without regard to case) keeps its ids and gets the new key: the caller must have seen fresh credentials. One
    /// that was unregistered has nothing to do with it.
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

    /// Registered machines of a vault by name: at most `limit` of those whose folded names come after `after`.
    pub async fn containers(&self, vault: VaultId, after: &str, limit: u32) -> Result<Vec<Container>, VaultError> {
        Ok(self.db().containers(vault, after, limit).await?)
    }

    /// A registered machine of a vault: by its id, or by its name.
    pub async fn find_container(&self, vault: VaultId, text: &str) -> Result<Container, VaultError> {
        let found = match text.parse::<ContainerId>() {
            Ok(id) => self.db().container(id).await?.filter(|found| found.vault == vault),
            Err(_) => match text.parse::<MachineName>() {
                Ok(name) => match self.db().container_by_name(vault, &name).await? {
                    Some(found) => Some(found),
                    None => self.virtual_container(vault, &name).await?,
                },
                Err(_) => None,
            },
        };
        found.ok_or(VaultError::NoSuchContainer)
    }

    async fn virtual_container(&self, vault: VaultId, name: &MachineName) -> Result<Option<Container>, VaultError> {
        match self.db().virtual_machine(vault, name).await? {
            Some(found) => Ok(self.db().container(found.container).await?),
            None => Ok(None),
        }
    }

    /// Unregisters a machine: its key and its sessions are good no more, what it does is cancelled, its name is free, and
    /// its item is deleted as [`Stop::Delete`] does it. A machine that later registers under the name is another one; it
    /// reads what this one left, once that is brought back, if it opens the same key set.
    ///
    /// Returns the item that is left, if there is something in it to keep.
    ///
    /// # Errors
    /// [`VaultError::Immutable`], when the vault is and the time of a point has not come. Then nothing was changed.
    pub async fn unregister(&self, by: &Actor, container: &Container) -> Result<ItemChanged, VaultError> {
        let item = self.item_of(container.item).await?;
        // Nothing is taken away from what is deleted already, or was never anything.
        let is_nothing = item.state == ItemState::NotProtected && item.latest_point.is_none();
        let operations: &[_] = match item.deleted.is_some() || is_nothing {
            true => &[],
            false => &[GuardedOperation::DeleteData],
        };
        let wish = Wish {
            vault: container.vault,
            by,
            operations,
            subject: &Subject::Item(Box::new(item)),
        };
        let is_free = operations.is_empty();
        self.guarded(wish, self.unregister_approved(container, is_free)).await
    }

    /// `is_free`: nobody was asked, as nothing was seen that would be taken away.
    async fn unregister_approved(&self, container: &Container, is_free: bool) -> Result<ItemChanged, VaultError> {
        let job = self.new_job(
            container.item,
            Operation::UnRegister,
            Trigger::OnDemand,
            JobState::Completed,
        );
        let report = JobReport {
            errors: vec![ended()],
            ..JobReport::default()
        };
        let decide = move |seen: &ItemSeen<'_>| match left(seen, job.now)? {
            ItemLeft::Changed(_) if is_free => Err(VaultError::OtherVersion {
                version: seen.item.version,
            }),
            left => Ok(left),
        };
        let unregistered = self
            .db()
            .unregister_container(container.id, job, &report, decide)
            .await?;
        let item = unregistered.ok_or(VaultError::ContainerNotFound)??;
        let told = self.db().job(job.id).await?.ok_or(VaultError::JobNotFound)?;
        let item = match item {
            None => None,
            Some(item) => self.unless_gone(item, job.now).await?,
        };
        Ok(ItemChanged { item, job: told })
    }
}

/// What becomes of the item of a machine that goes.
fn left(seen: &ItemSeen<'_>, now: Timestamp) -> Result<ItemLeft, VaultError> {
    let &ItemSeen {
        item, aging, settings, ..
    } = seen;
    if item.deleted.is_some() {
        return Ok(ItemLeft::Same);
    }
    if item.state == ItemState::NotProtected && aging.points.is_empty() {
        return Ok(ItemLeft::Gone);
    }
    refuse_deletion(aging, settings, now)?;
    stopped(item, Stop::Delete, None, settings, now).map(ItemLeft::Changed)
}

fn ended() -> JobError {
    JobError {
        code: "MachineUnregistered".to_owned(),
        message: "The machine was unregistered before this job was over".to_owned(),
        recommendations: Vec::new(),
    }
}
