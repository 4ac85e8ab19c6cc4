//! What people call to manage policies, items and jobs.

use strongroom_model::{JobId, MachineName, PolicyName, VaultName, VaultSettings};

use super::call::Call;
use super::{Client, ClientError};
use crate::routes::RouteId;
use crate::{
    BackUpItem, ChangePolicy, ContainerFilter, ContainerList, ContainerView, CreatePolicy, Discovering, ItemChange,
    ItemFilter, ItemList, ItemView, JobFilter, JobList, JobView, KeptPointList, KeptSettings, PolicyList, PolicyView,
    ProtectItem, SealedSettings, SecurityPin, SettingsView, StopItem, VirtualMachineList, VirtualMachineView,
};

// Machines and items are named by the names of their machines or by their ids; an id is a possible name, so one type does for both.

impl Client {
    /// Shows what guards a vault's data.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn settings(&self, vault: &VaultName) -> Result<SettingsView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowSettings, &[vault])).await
    }

    /// Changes what guards a vault's data, if it still has `version` (if one is given).
    ///
    /// # Errors
    /// [`crate::Code::InvalidSettings`], [`crate::Code::VersionMismatch`] among others.
    pub async fn change_settings(
        &self,
        vault: &VaultName,
        settings: &VaultSettings,
        version: Option<u64>,
    ) -> Result<SettingsView, ClientError> {
        let call = Call::new(RouteId::ChangeSettings, &[vault]).json(settings);
        self.send_for_json(call.if_match(version)).await
    }

    /// What the vault keeps of the settings of an item's machine.
    ///
    /// # Errors
    /// [`crate::Code::ItemNotFound`] among others.
    pub async fn item_settings(&self, vault: &VaultName, item: &MachineName) -> Result<KeptSettings, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowItemSettings, &[vault, item]))
            .await
    }

    /// Changes what an item's machine backs up, if the vault still keeps the generation `seen`; 0: nothing.
    ///
    /// # Errors
    /// [`crate::Code::VersionMismatch`] among others.
    pub async fn change_item_settings(
        &self,
        vault: &VaultName,
        item: &MachineName,
        settings: &SealedSettings,
        seen: u64,
    ) -> Result<KeptSettings, ClientError> {
        let call = Call::new(RouteId::ChangeItemSettings, &[vault, item]).json(settings);
        self.send_for_json(call.if_match(Some(seen))).await
    }

    /// Gets a new security PIN of a vault, in place of the one before.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn security_pin(&self, vault: &VaultName) -> Result<SecurityPin, ClientError> {
        self.send_for_json(Call::new(RouteId::IssueSecurityPin, &[vault])).await
    }

    /// Lists the policies of a vault, by name.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn policies(&self, vault: &VaultName) -> Result<PolicyList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListPolicies, &[vault])).await
    }

    /// Makes a policy.
    ///
    /// # Errors
    /// [`crate::Code::InvalidPolicy`], [`crate::Code::PolicyExists`] among others.
    pub async fn create_policy(&self, vault: &VaultName, create: &CreatePolicy) -> Result<PolicyView, ClientError> {
        self.send_for_json(Call::new(RouteId::CreatePolicy, &[vault]).json(create))
            .await
    }

    /// Shows one policy.
    ///
    /// # Errors
    /// [`crate::Code::PolicyNotFound`] among others.
    pub async fn policy(&self, vault: &VaultName, policy: &PolicyName) -> Result<PolicyView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowPolicy, &[vault, policy]))
            .await
    }

    /// Gives a policy other rules, if it still has `version` (if one is given).
    ///
    /// # Errors
    /// [`crate::Code::InvalidPolicy`], [`crate::Code::VersionMismatch`], [`crate::Code::Immutable`] among others.
    pub async fn change_policy(
        &self,
        vault: &VaultName,
        policy: &PolicyName,
        change: &ChangePolicy,
        version: Option<u64>,
    ) -> Result<PolicyView, ClientError> {
        let call = Call::new(RouteId::ChangePolicy, &[vault, policy]).json(change);
        self.send_for_json(call.if_match(version)).await
    }

    /// Deletes a policy that no item is under.
    ///
    /// # Errors
    /// [`crate::Code::PolicyInUse`] among others.
    pub async fn delete_policy(&self, vault: &VaultName, policy: &PolicyName) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::DeletePolicy, &[vault, policy]))
            .await
    }

    /// Lists the machines that are registered in a vault: one page.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn containers(&self, vault: &VaultName, filter: &ContainerFilter) -> Result<ContainerList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListContainers, &[vault]).query(filter))
            .await
    }

    /// Lists a vault's virtual machines by name: one page.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn virtual_machines(
        &self,
        vault: &VaultName,
        filter: &ContainerFilter,
    ) -> Result<VirtualMachineList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListVirtualMachines, &[vault]).query(filter))
            .await
    }

    /// Shows one virtual machine.
    ///
    /// # Errors
    /// [`crate::Code::MachineNotFound`] among others.
    pub async fn virtual_machine(
        &self,
        vault: &VaultName,
        name: &MachineName,
    ) -> Result<VirtualMachineView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowVirtualMachine, &[vault, name]))
            .await
    }

    /// Has the hosts of a vault look for virtual machines.
    ///
    /// # Errors
    /// [`crate::Code::OperationInProgress`] while an earlier discovery is not over, among others.
    pub async fn discover(&self, vault: &VaultName) -> Result<Discovering, ClientError> {
        self.send_for_json(Call::new(RouteId::Discover, &[vault])).await
    }

    /// Shows one registered machine.
    ///
    /// # Errors
    /// [`crate::Code::MachineNotFound`] among others.
    pub async fn container(&self, vault: &VaultName, machine: &MachineName) -> Result<ContainerView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowContainer, &[vault, machine]))
            .await
    }

    /// Unregisters a machine, and deletes its item as [`crate::StopData::Delete`] does.
    ///
    /// # Errors
    /// [`crate::Code::MachineNotFound`], [`crate::Code::Immutable`] among others.
    pub async fn unregister_container(
        &self,
        vault: &VaultName,
        machine: &MachineName,
    ) -> Result<ItemChange, ClientError> {
        self.send_for_json(Call::new(RouteId::UnregisterContainer, &[vault, machine]))
            .await
    }

    /// Lists items of a vault: one page.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn items(&self, vault: &VaultName, filter: &ItemFilter) -> Result<ItemList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListItems, &[vault]).query(filter))
            .await
    }

    /// Shows one item.
    ///
    /// # Errors
    /// [`crate::Code::ItemNotFound`] among others.
    pub async fn item(&self, vault: &VaultName, item: &MachineName) -> Result<ItemView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowItem, &[vault, item])).await
    }

    /// Puts an item under a policy.
    ///
    /// # Errors
    /// [`crate::Code::PolicyNotFound`], [`crate::Code::ItemState`] among others.
    pub async fn protect_item(
        &self,
        vault: &VaultName,
        item: &MachineName,
        protect: &ProtectItem,
    ) -> Result<ItemChange, ClientError> {
        self.send_for_json(Call::new(RouteId::ProtectItem, &[vault, item]).json(protect))
            .await
    }

    /// Stops the backups of an item.
    ///
    /// # Errors
    /// [`crate::Code::ItemState`], [`crate::Code::Immutable`] among others.
    pub async fn stop_item(
        &self,
        vault: &VaultName,
        item: &MachineName,
        stop: &StopItem,
    ) -> Result<ItemChange, ClientError> {
        self.send_for_json(Call::new(RouteId::StopItem, &[vault, item]).json(stop))
            .await
    }

    /// Brings a soft-deleted item back.
    ///
    /// # Errors
    /// [`crate::Code::ItemState`] among others.
    pub async fn undelete_item(&self, vault: &VaultName, item: &MachineName) -> Result<ItemChange, ClientError> {
        self.send_for_json(Call::new(RouteId::UndeleteItem, &[vault, item]))
            .await
    }

    /// Has an item backed up as soon as its machine hears of it.
    ///
    /// # Errors
    /// [`crate::Code::OperationInProgress`], [`crate::Code::ItemState`] among others.
    pub async fn back_up_item(
        &self,
        vault: &VaultName,
        item: &MachineName,
        wish: &BackUpItem,
    ) -> Result<JobView, ClientError> {
        self.send_for_json(Call::new(RouteId::BackUpItem, &[vault, item]).json(wish))
            .await
    }

    /// Lists an item's recovery points, and how long each is kept; newest last.
    ///
    /// # Errors
    /// [`crate::Code::ItemNotFound`] among others.
    pub async fn item_points(&self, vault: &VaultName, item: &MachineName) -> Result<KeptPointList, ClientError> {
        self.send_for_json(Call::new(RouteId::ItemPoints, &[vault, item])).await
    }

    /// Lists jobs of a vault, newest first: one page.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn jobs(&self, vault: &VaultName, filter: &JobFilter) -> Result<JobList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListJobs, &[vault]).query(filter))
            .await
    }

    /// Shows one job.
    ///
    /// # Errors
    /// [`crate::Code::JobNotFound`] among others.
    pub async fn job(&self, vault: &VaultName, job: JobId) -> Result<JobView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowJob, &[vault, &job])).await
    }

    /// Tells a job to stop.
    ///
    /// # Errors
    /// [`crate::Code::JobOver`] among others.
    pub async fn cancel_job(&self, vault: &VaultName, job: JobId) -> Result<JobView, ClientError> {
        self.send_for_json(Call::new(RouteId::CancelJob, &[vault, &job]).repeatable())
            .await
    }
}
