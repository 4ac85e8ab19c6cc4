//! What is called about people, service principals and their roles.

use strongroom_model::{AssignmentId, IdentityId, KeyId, ResourceGroupName, UserName};

use super::call::Call;
use super::{Client, ClientError};
use crate::routes::RouteId;
use crate::{
    AccountView, AddCertificate, AddSecret, AddedSecret, AssignRole, AssignmentList, AssignmentView, AuditPage,
    AuditQuery, BeginOneTimePasswords, ChangeServicePrincipal, ChangeUser, ConfirmOneTimePasswords,
    CreateResourceGroup, CreateServicePrincipal, CreateUser, CreatedUser, EndOneTimePasswords, IdentityView,
    Invitation, KeyView, LinkIdentity, OneTimePasswordSecret, RecoveryCodes, ResourceGroupList, ResourceGroupView,
    RoleDefinitionList, Secret, ServicePrincipalList, ServicePrincipalView, UserList, UserView,
};

impl Client {
    /// Shows the caller's own account.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn account(&self) -> Result<AccountView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowAccount, &[])).await
    }

    /// Begins one-time passwords for the caller.
    ///
    /// # Errors
    /// [`crate::Code::WrongPassword`], [`crate::Code::OneTimePasswordsState`] among others.
    pub async fn begin_one_time_passwords(&self, password: Secret) -> Result<OneTimePasswordSecret, ClientError> {
        let request = BeginOneTimePasswords { password };
        self.send_for_json(Call::new(RouteId::BeginOneTimePasswords, &[]).json(&request))
            .await
    }

    /// Has the caller asked for one-time passwords from now on.
    ///
    /// # Errors
    /// [`crate::Code::WrongPassword`] when this is not what the authenticator shows.
    pub async fn confirm_one_time_passwords(&self, one_time_password: Secret) -> Result<RecoveryCodes, ClientError> {
        let request = ConfirmOneTimePasswords { one_time_password };
        self.send_for_json(Call::new(RouteId::ConfirmOneTimePasswords, &[]).json(&request))
            .await
    }

    /// Has the caller not asked for one-time passwords any more.
    ///
    /// # Errors
    /// [`crate::Code::WrongPassword`] among others.
    pub async fn end_one_time_passwords(&self, password: Secret, one_time_password: Secret) -> Result<(), ClientError> {
        let request = EndOneTimePasswords {
            password,
            one_time_password,
        };
        self.send_for_nothing(Call::new(RouteId::EndOneTimePasswords, &[]).json(&request))
            .await
    }

    /// Lists the users by name.
    ///
    /// # Errors
    /// [`crate::Code::Forbidden`] among others.
    pub async fn users(&self) -> Result<UserList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListUsers, &[])).await
    }

    /// Creates a user.
    ///
    /// # Errors
    /// [`crate::Code::PrincipalExists`] among others.
    pub async fn create_user(&self, create: &CreateUser) -> Result<CreatedUser, ClientError> {
        self.send_for_json(Call::new(RouteId::CreateUser, &[]).json(create))
            .await
    }

    /// Shows one user.
    ///
    /// # Errors
    /// [`crate::Code::PrincipalNotFound`] among others.
    pub async fn user(&self, name: &UserName) -> Result<UserView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowUser, &[name])).await
    }

    /// Makes a link by which a user sets a password.
    ///
    /// # Errors
    /// [`crate::Code::AccountDisabled`] among others.
    pub async fn invite_user(&self, name: &UserName) -> Result<Invitation, ClientError> {
        self.send_for_json(Call::new(RouteId::InviteUser, &[name])).await
    }

    /// Lets a person whom another provider vouches for sign in as the user.
    ///
    /// # Errors
    /// [`crate::Code::ProviderNotFound`], [`crate::Code::IdentityExists`] among others.
    pub async fn link_identity(&self, name: &UserName, link: &LinkIdentity) -> Result<IdentityView, ClientError> {
        self.send_for_json(Call::new(RouteId::LinkIdentity, &[name]).json(link))
            .await
    }

    /// Takes an identity off a user.
    ///
    /// # Errors
    /// [`crate::Code::IdentityNotFound`], [`crate::Code::LastOwner`] among others.
    pub async fn unlink_identity(&self, name: &UserName, id: IdentityId) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::UnlinkIdentity, &[name, &id]))
            .await
    }

    /// Disables a user, enables one again, or changes the address.
    ///
    /// # Errors
    /// [`crate::Code::LastOwner`] among others.
    pub async fn change_user(&self, name: &UserName, change: &ChangeUser) -> Result<UserView, ClientError> {
        self.send_for_json(Call::new(RouteId::ChangeUser, &[name]).json(change))
            .await
    }

    /// Deletes a user.
    ///
    /// # Errors
    /// [`crate::Code::LastOwner`] among others.
    pub async fn delete_user(&self, name: &UserName) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::DeleteUser, &[name])).await
    }

    /// Takes the one-time passwords off a user.
    ///
    /// # Errors
    /// [`crate::Code::PrincipalNotFound`] among others.
    pub async fn reset_one_time_passwords(&self, name: &UserName) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::ResetOneTimePasswords, &[name]))
            .await
    }

    /// Lists the service principals by name.
    ///
    /// # Errors
    /// [`crate::Code::Forbidden`] among others.
    pub async fn service_principals(&self) -> Result<ServicePrincipalList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListServicePrincipals, &[])).await
    }

    /// Creates a service principal.
    ///
    /// # Errors
    /// [`crate::Code::PrincipalExists`] among others.
    pub async fn create_service_principal(
        &self,
        create: &CreateServicePrincipal,
    ) -> Result<ServicePrincipalView, ClientError> {
        self.send_for_json(Call::new(RouteId::CreateServicePrincipal, &[]).json(create))
            .await
    }

    /// Shows the service principal of this name or id.
    ///
    /// # Errors
    /// [`crate::Code::PrincipalNotFound`] among others.
    pub async fn service_principal(&self, principal: &str) -> Result<ServicePrincipalView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowServicePrincipal, &[&principal]))
            .await
    }

    /// Disables the service principal of this name or id, or enables it again.
    ///
    /// # Errors
    /// [`crate::Code::PrincipalNotFound`] among others.
    pub async fn change_service_principal(
        &self,
        principal: &str,
        change: &ChangeServicePrincipal,
    ) -> Result<ServicePrincipalView, ClientError> {
        self.send_for_json(Call::new(RouteId::ChangeServicePrincipal, &[&principal]).json(change))
            .await
    }

    /// Deletes the service principal of this name or id.
    ///
    /// # Errors
    /// [`crate::Code::PrincipalNotFound`] among others.
    pub async fn delete_service_principal(&self, principal: &str) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::DeleteServicePrincipal, &[&principal]))
            .await
    }

    /// Makes a secret for the service principal of this name or id.
    ///
    /// # Errors
    /// [`crate::Code::TooManyKeys`] among others.
    pub async fn add_secret(&self, principal: &str, add: &AddSecret) -> Result<AddedSecret, ClientError> {
        self.send_for_json(Call::new(RouteId::AddSecret, &[&principal]).json(add))
            .await
    }

    /// Has a certificate taken for the service principal of this name or id.
    ///
    /// # Errors
    /// [`crate::Code::InvalidCertificate`] among others.
    pub async fn add_certificate(&self, principal: &str, add: &AddCertificate) -> Result<KeyView, ClientError> {
        self.send_for_json(Call::new(RouteId::AddCertificate, &[&principal]).json(add))
            .await
    }

    /// Removes a secret or certificate of the service principal of this name or id.
    ///
    /// # Errors
    /// [`crate::Code::PrincipalNotFound`] among others.
    pub async fn delete_key(&self, principal: &str, key: KeyId) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::DeleteKey, &[&principal, &key]))
            .await
    }

    /// Lists the roles.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn roles(&self) -> Result<RoleDefinitionList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListRoles, &[])).await
    }

    /// Lists who has which role, as far as the caller may see it.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn role_assignments(&self) -> Result<AssignmentList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListAssignments, &[])).await
    }

    /// Gives a role.
    ///
    /// # Errors
    /// [`crate::Code::AssignmentExists`] among others.
    pub async fn assign_role(&self, assign: &AssignRole) -> Result<AssignmentView, ClientError> {
        self.send_for_json(Call::new(RouteId::AssignRole, &[]).json(assign))
            .await
    }

    /// Takes a role away.
    ///
    /// # Errors
    /// [`crate::Code::LastOwner`] among others.
    pub async fn remove_assignment(&self, id: AssignmentId) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::RemoveAssignment, &[&id]))
            .await
    }

    /// Lists the resource groups that the caller may see.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn resource_groups(&self) -> Result<ResourceGroupList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListResourceGroups, &[])).await
    }

    /// Creates a resource group.
    ///
    /// # Errors
    /// [`crate::Code::ResourceGroupExists`] among others.
    pub async fn create_resource_group(&self, create: &CreateResourceGroup) -> Result<ResourceGroupView, ClientError> {
        self.send_for_json(Call::new(RouteId::CreateResourceGroup, &[]).json(create))
            .await
    }

    /// Shows one resource group.
    ///
    /// # Errors
    /// [`crate::Code::ResourceGroupNotFound`] among others.
    pub async fn resource_group(&self, name: &ResourceGroupName) -> Result<ResourceGroupView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowResourceGroup, &[name])).await
    }

    /// Deletes a resource group that no vault is in.
    ///
    /// # Errors
    /// [`crate::Code::ResourceGroupNotEmpty`] among others.
    pub async fn delete_resource_group(&self, name: &ResourceGroupName) -> Result<(), ClientError> {
        self.send_for_nothing(Call::new(RouteId::DeleteResourceGroup, &[name]))
            .await
    }

    /// Reads a page of the audit log.
    ///
    /// # Errors
    /// [`crate::Code::Forbidden`] among others.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, ClientError> {
        let call = Call::new(RouteId::ReadAudit, &[]).query(query);
        self.send_for_json(call).await
    }
}
