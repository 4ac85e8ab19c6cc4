//! What administrators call.

use jiff::{SignedDuration, Timestamp};
use strongroom_model::{VaultId, VaultName};

use super::call::Call;
use super::{Client, ClientError, ClientOptions, SignIn};
use crate::routes::RouteId;
use crate::{
    COMMAND_LINE_CLIENT, ChangePassword, CreateVault, DeletedVaultList, DeletedVaultView, DeviceAuthorization,
    DeviceAuthorizationRequest, NewPassword, PasswordChanged, PointList, Secret, TokenRequest, TokenResponse,
    VaultCredentials, VaultDeletion, VaultList, VaultView,
};

/// An administrator's session: keep it in a file that only its owner may read.
#[derive(Debug, Clone)]
pub struct AdministratorSession {
    /// Asks for access tokens until the session ends: see [`SignIn::Administrator`].
    pub refresh_token: Secret,
    /// When the session ends.
    pub expires: Timestamp,
}

/// What came of a new password.
#[derive(Debug, Clone)]
pub struct ChangedPassword {
    /// The session that takes the place of the caller's; the others are over.
    pub session: AdministratorSession,
    /// As in [`PasswordChanged`].
    pub first_password_file: bool,
}

impl AdministratorSession {
    fn begun(answer: TokenResponse, now: Timestamp) -> Result<Self, ClientError> {
        let (Some(refresh_token), Some(seconds)) = (answer.refresh_token, answer.refresh_expires_in) else {
            let what = "the sign-in gave no session".to_owned();
            return Err(ClientError::Protocol { what });
        };
        let life = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let expires = now.saturating_add(life).unwrap_or(Timestamp::MAX);
        Ok(Self { refresh_token, expires })
    }
}

impl Client {
    /// Signs an administrator in with a password and returns the session.
    ///
    /// # Errors
    /// When the service is not reachable, not trusted, or refuses.
    pub async fn sign_in_administrator(
        options: ClientOptions,
        username: &str,
        password: Secret,
    ) -> Result<AdministratorSession, ClientError> {
        let request = TokenRequest::Password {
            username: username.to_owned(),
            password,
            one_time_password: None,
        };
        Self::sign_in(options, &request).await
    }

    /// Begins a person's session with whatever the request proves.
    ///
    /// # Errors
    /// When the service is not reachable, not trusted, or refuses: [`crate::Code::OneTimePasswordRequired`],
    /// [`crate::Code::AuthorizationPending`] among others.
    pub async fn sign_in(options: ClientOptions, request: &TokenRequest) -> Result<AdministratorSession, ClientError> {
        let clock = options.clock.clone();
        let client = Self::new(options, SignIn::Nobody)?;
        let answer = client.ask_for_token(request).await?;
        AdministratorSession::begun(answer, clock.now())
    }

    /// Asks for a code that a person types elsewhere, to let the command line sign in.
    ///
    /// # Errors
    /// When the service is not reachable, not trusted, or too many wait.
    pub async fn device_authorization(options: ClientOptions) -> Result<DeviceAuthorization, ClientError> {
        let client = Self::new(options, SignIn::Nobody)?;
        let request = DeviceAuthorizationRequest {
            client_id: COMMAND_LINE_CLIENT.to_owned(),
        };
        let call = Call::new(RouteId::DeviceAuthorization, &[]).form(&request);
        client.send_for_json(call).await
    }

    /// Changes the password of the administrator who calls. Not tried again when the answer is lost: whether it was
    /// changed is unknown then.
    ///
    /// # Errors
    /// [`crate::Code::WrongPassword`], [`crate::Code::TooManyAttempts`] among others.
    pub async fn change_password(&self, password: Secret, new: NewPassword) -> Result<ChangedPassword, ClientError> {
        let new_password = new.into_secret();
        let request = ChangePassword { password, new_password };
        let call = Call::new(RouteId::ChangePassword, &[]).json(&request);
        let changed: PasswordChanged = self.send_for_json(call).await?;
        Ok(ChangedPassword {
            session: AdministratorSession::begun(changed.session, self.shared.clock.now())?,
            first_password_file: changed.first_password_file,
        })
    }

    /// Creates a vault.
    ///
    /// # Errors
    /// [`crate::Code::VaultExists`] among others.
    pub async fn create_vault(&self, create: &CreateVault) -> Result<VaultView, ClientError> {
        self.send_for_json(Call::new(RouteId::CreateVault, &[]).json(create))
            .await
    }

    /// Lists the vaults by name.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn vaults(&self) -> Result<VaultList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListVaults, &[])).await
    }

    /// Shows one vault.
    ///
    /// # Errors
    /// [`crate::Code::VaultNotFound`] among others.
    pub async fn vault(&self, name: &VaultName) -> Result<VaultView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowVault, &[name])).await
    }

    /// Deletes a vault that holds nothing but soft-deleted items; with such, softly.
    ///
    /// # Errors
    /// [`crate::Code::VaultNotEmpty`], [`crate::Code::Immutable`] among others.
    pub async fn delete_vault(&self, name: &VaultName) -> Result<VaultDeletion, ClientError> {
        self.send_for_json(Call::new(RouteId::DeleteVault, &[name])).await
    }

    /// Lists the soft-deleted vaults.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn deleted_vaults(&self) -> Result<DeletedVaultList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListDeletedVaults, &[])).await
    }

    /// Shows one soft-deleted vault.
    ///
    /// # Errors
    /// [`crate::Code::VaultNotFound`] among others.
    pub async fn deleted_vault(&self, id: VaultId) -> Result<DeletedVaultView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowDeletedVault, &[&id])).await
    }

    /// Brings a soft-deleted vault back.
    ///
    /// # Errors
    /// [`crate::Code::VaultNotFound`], [`crate::Code::VaultExists`] among others.
    pub async fn undelete_vault(&self, id: VaultId) -> Result<VaultView, ClientError> {
        self.send_for_json(Call::new(RouteId::UndeleteVault, &[&id])).await
    }

    /// Lists the recovery points of all machines of a vault, newest last.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn vault_points(&self, name: &VaultName) -> Result<PointList, ClientError> {
        self.send_for_json(Call::new(RouteId::VaultPoints, &[name])).await
    }

    /// Issues a vault credentials file.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn issue_credentials(&self, name: &VaultName) -> Result<VaultCredentials, ClientError> {
        self.send_for_json(Call::new(RouteId::IssueCredentials, &[name])).await
    }
}
