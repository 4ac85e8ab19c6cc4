//! What people call about alerts.

use strongroom_model::{AlertId, VaultName};

use super::call::Call;
use super::{Client, ClientError};
use crate::routes::RouteId;
use crate::{
    AlertFilter, AlertList, AlertView, ChangeNotifications, InactivateAlert, NotificationTest, NotificationsView,
};

impl Client {
    /// Lists alerts of a vault, newest first: one page.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn alerts(&self, vault: &VaultName, filter: &AlertFilter) -> Result<AlertList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListAlerts, &[vault]).query(filter))
            .await
    }

    /// Shows one alert.
    ///
    /// # Errors
    /// [`crate::Code::AlertNotFound`] among others.
    pub async fn alert(&self, vault: &VaultName, alert: AlertId) -> Result<AlertView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowAlert, &[vault, &alert]))
            .await
    }

    /// Says that somebody saw to an alert.
    ///
    /// # Errors
    /// [`crate::Code::AlertOver`] among others.
    pub async fn inactivate_alert(
        &self,
        vault: &VaultName,
        alert: AlertId,
        inactivate: &InactivateAlert,
    ) -> Result<AlertView, ClientError> {
        self.send_for_json(Call::new(RouteId::InactivateAlert, &[vault, &alert]).json(inactivate))
            .await
    }

    /// Shows who is told of a vault's alerts.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn notifications(&self, vault: &VaultName) -> Result<NotificationsView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowNotifications, &[vault]))
            .await
    }

    /// Changes who is told of a vault's alerts, if that still has `version` (if one is given).
    ///
    /// # Errors
    /// [`crate::Code::InvalidSettings`], [`crate::Code::VersionMismatch`] among others.
    pub async fn change_notifications(
        &self,
        vault: &VaultName,
        change: &ChangeNotifications,
        version: Option<u64>,
    ) -> Result<NotificationsView, ClientError> {
        let call = Call::new(RouteId::ChangeNotifications, &[vault]).json(change);
        self.send_for_json(call.if_match(version)).await
    }

    /// Sends a test message to everybody who is told of a vault's alerts, and says how that went.
    ///
    /// # Errors
    /// [`crate::Code::InvalidSettings`] if nobody is told, among others.
    pub async fn test_notifications(&self, vault: &VaultName) -> Result<NotificationTest, ClientError> {
        self.send_for_json(Call::new(RouteId::TestNotifications, &[vault]))
            .await
    }
}
