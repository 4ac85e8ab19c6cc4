//! Alerts of a vault: listed, closed, and raised where no change of a row does it.

use jiff::{SignedDuration, Timestamp};
use strongroom_db::{AlertQuery, AlertRow, NotificationsRow};
use strongroom_model::{AlertId, AlertKind, AlertState, NotificationSettings, VaultId};

use crate::{VaultError, Vaults};

/// The longest note, in characters.
const NOTE_MAX: usize = 1000;

/// So many are looked at at a time.
const BATCH: u32 = 200;

/// How long deliveries are remembered that are over.
const DELIVERIES_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Vaults {
    /// An alert of a vault.
    pub async fn alert(&self, vault: VaultId, id: AlertId) -> Result<AlertRow, VaultError> {
        let found = self.db().alert(id).await?.filter(|alert| alert.vault == vault);
        found.ok_or(VaultError::AlertNotFound)
    }

    /// Alerts of a vault, newest first, and where the next page begins.
    pub async fn alerts(&self, vault: VaultId, query: &AlertQuery) -> Result<(Vec<AlertRow>, Option<u64>), VaultError> {
        Ok(self.db().alerts(vault, query).await?)
    }

    /// Notes that somebody saw to an alert, and what they say about it.
    pub async fn inactivate_alert(
        &self,
        vault: VaultId,
        id: AlertId,
        by: &str,
        note: &str,
    ) -> Result<AlertRow, VaultError> {
        if note.chars().count() > NOTE_MAX {
            let why = format!("a note has at most {NOTE_MAX} characters");
            return Err(VaultError::SettingsRefused { why });
        }
        let alert = self.alert(vault, id).await?;
        match self.db().inactivate_alert(id, by, note.trim(), self.now()).await? {
            true => self.alert(vault, id).await,
            false => {
                let state = match alert.state {
                    AlertState::Active => self.alert(vault, id).await?.state,
                    state => state,
                };
                Err(VaultError::AlertOver { state })
            }
        }
    }

    /// Who is told of a vault's alerts.
    pub async fn notifications(&self, vault: VaultId) -> Result<NotificationsRow, VaultError> {
        Ok(self.db().notifications(vault).await?)
    }

    /// Changes who is told, and the sealed secret that signs webhooks, if it still has `version`.
    pub async fn change_notifications(
        &self,
        vault: VaultId,
        settings: &NotificationSettings,
        secret: &[u8],
        version: u64,
    ) -> Result<NotificationsRow, VaultError> {
        if let Some(why) = settings.refuses() {
            return Err(VaultError::SettingsRefused { why });
        }
        let changed = self.db().change_notifications(vault, settings, secret, version).await?;
        let present = self.db().notifications(vault).await?;
        match changed {
            Some(_) => Ok(present),
            None => Err(VaultError::OtherVersion {
                version: present.version,
            }),
        }
    }

    /// Raises alerts for scheduled backups that have waited for their machines for longer than `grace`, and for what is
    /// purged soon. Returns how many backups have waited.
    pub async fn raise_overdue(&self, grace: SignedDuration) -> Result<u64, VaultError> {
        let now = self.now();
        let missed = self.db().raise_missed(grace, now, BATCH).await?;
        self.db().raise_upcoming_purges(now, BATCH).await?;
        self.db().raise_upcoming_vault_purges(now, BATCH).await?;
        Ok(missed)
    }

    /// Resolves the alerts of a clock that jumped, when none of its time is doubted any more.
    pub async fn resolve_clock_jumped(&self) -> Result<(), VaultError> {
        let now = self.now();
        Ok(self.db().resolve_kind(AlertKind::ClockJumped, now, now).await?)
    }

    /// Forgets alerts that had not stood for so long at that moment, which is believed, and deliveries that were over a
    /// week before.
    pub async fn forget_alerts(&self, now: Timestamp, kept: SignedDuration) -> Result<(), VaultError> {
        let before = |kept| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        while self.db().prune_alerts(before(kept), BATCH).await? == u64::from(BATCH) {}
        while self.db().prune_deliveries(before(DELIVERIES_KEPT), BATCH).await? == u64::from(BATCH) {}
        Ok(())
    }
}
