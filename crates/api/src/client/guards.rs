//! What people call about resource guards and approvals.

use strongroom_model::{ApprovalId, GuardName, ResourceGroupName, VaultName};

use super::call::Call;
use super::{Client, ClientError};
use crate::routes::RouteId;
use crate::{
    ApprovalList, ApprovalView, CreateGuard, GuardList, GuardView, RequestApproval, SetVaultGuard, VaultGuardView,
};

impl Client {
    /// Lists the resource guards of a resource group, by name.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn guards(&self, group: &ResourceGroupName) -> Result<GuardList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListGuards, &[group])).await
    }

    /// Makes a resource guard.
    ///
    /// # Errors
    /// [`crate::Code::GuardExists`] among others.
    pub async fn create_guard(
        &self,
        group: &ResourceGroupName,
        create: &CreateGuard,
    ) -> Result<GuardView, ClientError> {
        self.send_for_json(Call::new(RouteId::CreateGuard, &[group]).json(create))
            .await
    }

    /// Shows one resource guard.
    ///
    /// # Errors
    /// [`crate::Code::GuardNotFound`] among others.
    pub async fn guard(&self, group: &ResourceGroupName, guard: &GuardName) -> Result<GuardView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowGuard, &[group, guard])).await
    }

    /// Deletes a resource guard that no vault is under.
    ///
    /// # Errors
    /// [`crate::Code::GuardInUse`] among others.
    pub async fn delete_guard(&self, group: &ResourceGroupName, guard: &GuardName) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::DeleteGuard, &[group, guard]))
            .await
    }

    /// Shows the resource guard that a vault is under.
    ///
    /// # Errors
    /// [`crate::Code::GuardNotFound`] when there is none.
    pub async fn vault_guard(&self, vault: &VaultName) -> Result<VaultGuardView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowVaultGuard, &[vault])).await
    }

    /// Puts a vault under a resource guard.
    ///
    /// # Errors
    /// [`crate::Code::GuardNotFound`], [`crate::Code::VaultGuarded`] among others.
    pub async fn set_vault_guard(&self, vault: &VaultName, set: &SetVaultGuard) -> Result<VaultGuardView, ClientError> {
        self.send_for_json(Call::new(RouteId::SetVaultGuard, &[vault]).json(set))
            .await
    }

    /// Takes the resource guard off a vault.
    ///
    /// # Errors
    /// [`crate::Code::ApprovalNeeded`], [`crate::Code::GuardNotFound`] among others.
    pub async fn remove_vault_guard(&self, vault: &VaultName) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::RemoveVaultGuard, &[vault]))
            .await
    }

    /// Lists what was asked of a vault's resource guard, newest first.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn approvals(&self, vault: &VaultName) -> Result<ApprovalList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListApprovals, &[vault])).await
    }

    /// Asks for approval; asking again for the very same gives the request that is open.
    ///
    /// # Errors
    /// [`crate::Code::GuardNotFound`], [`crate::Code::Forbidden`] among others.
    pub async fn request_approval(
        &self,
        vault: &VaultName,
        request: &RequestApproval,
    ) -> Result<ApprovalView, ClientError> {
        let call = Call::new(RouteId::RequestApproval, &[vault]).json(request);
        self.send_for_json(call.repeatable()).await
    }

    /// Lists what is asked of a resource guard, newest first.
    ///
    /// # Errors
    /// [`crate::Code::GuardNotFound`] among others.
    pub async fn guard_approvals(
        &self,
        group: &ResourceGroupName,
        guard: &GuardName,
    ) -> Result<ApprovalList, ClientError> {
        self.send_for_json(Call::new(RouteId::GuardApprovals, &[group, guard]))
            .await
    }

    /// Allows what another person asked for.
    ///
    /// # Errors
    /// [`crate::Code::SecondPersonNeeded`], [`crate::Code::ApprovalOver`] among others.
    pub async fn approve(
        &self,
        group: &ResourceGroupName,
        guard: &GuardName,
        approval: ApprovalId,
    ) -> Result<ApprovalView, ClientError> {
        self.send_for_json(Call::new(RouteId::Approve, &[group, guard, &approval]))
            .await
    }

    /// Does not allow it.
    ///
    /// # Errors
    /// [`crate::Code::ApprovalOver`] among others.
    pub async fn deny(
        &self,
        group: &ResourceGroupName,
        guard: &GuardName,
        approval: ApprovalId,
    ) -> Result<ApprovalView, ClientError> {
        self.send_for_json(Call::new(RouteId::Deny, &[group, guard, &approval]))
            .await
    }
}
