//! Who is told of a vault's alerts, and what nobody was told of yet.

use jiff::Timestamp;
use strongroom_model::{AlertEvent, NotificationSettings, VaultId, VaultName};

use crate::alerts::{AlertRow, alert_columns, alert_row};
use crate::column::{Columns, nanoseconds, number};
use crate::{Db, DbError};

/// Who is told of a vault's alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationsRow {
    /// Who, and how.
    pub settings: NotificationSettings,
    /// What signs webhooks, sealed by the caller; empty if there is none.
    pub secret: Vec<u8>,
    /// Grows with each change; zero if nobody ever said anything.
    pub version: u64,
}

/// Names what happened to an alert, until somebody was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKey(pub(crate) i64);

/// Something that happened to an alert, and that nobody was told of yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Names it.
    pub key: EventKey,
    /// What happened.
    pub event: AlertEvent,
    /// When.
    pub at: Timestamp,
    /// The end of the hour, if it waited for that.
    pub due: Option<Timestamp>,
    /// The alert as it is now.
    pub alert: AlertRow,
    /// The name of its vault.
    pub vault: VaultName,
    /// Who is told.
    pub settings: NotificationSettings,
}

impl Db {
    /// Who is told of a vault's alerts.
    pub async fn notifications(&self, vault: VaultId) -> Result<NotificationsRow, DbError> {
        let action = "find who is told";
        let mut reader = self.read(action).await?;
        let key = self.vault_key(&mut reader, vault).await?;
        let query = sqlx::query("select settings, secret, version from notifications where vault = $1").bind(key);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        let Some(row) = row else {
            return Ok(NotificationsRow::default());
        };
        Ok(NotificationsRow {
            settings: parse_settings(&row.text("settings")?)?,
            secret: row.bytes("secret")?,
            version: row.size("version")?,
        })
    }

    /// Changes who is told, if the version is still `version`. Returns the new version; `None`: it is another one.
    pub async fn change_notifications(
        &self,
        vault: VaultId,
        settings: &NotificationSettings,
        secret: &[u8],
        version: u64,
    ) -> Result<Option<u64>, DbError> {
        let action = "change who is told";
        let mut write = self.write(action).await?;
        let key = write.vault_key(vault).await?;
        let text = serde_json::to_string(settings).expect("plain fields always serialise");
        let query = match version {
            0 => sqlx::query(
                "insert into notifications (vault, settings, secret, version) values ($1, $2, $3, $4 + 1) \
                 on conflict (vault) do nothing",
            ),
            _ => sqlx::query(
                "update notifications set settings = $2, secret = $3, version = version + 1 \
                 where vault = $1 and version = $4",
            ),
        };
        let query = query.bind(key).bind(text).bind(secret.to_vec()).bind(number(version));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok((done.rows_affected() == 1).then_some(version + 1))
    }

    /// What happened to alerts and somebody is to be told of now, oldest first, at most `limit`.
    pub async fn events_to_tell(&self, now: Timestamp, limit: u32) -> Result<Vec<EventRow>, DbError> {
        let action = "find what to tell";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(concat!(
            "select alert_events.key as event_key, event, at, due, vaults.name as vault_name, \
             coalesce(settings_of.settings, '{}') as settings, ",
            alert_columns!(),
            " from alert_events join alerts on alerts.key = alert_events.alert \
             join vaults on vaults.key = alerts.vault \
             left join notifications settings_of on settings_of.vault = alerts.vault \
             where due <= $1 order by alert_events.key limit $2"
        ))
        .bind(nanoseconds(now))
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        let event = |row: &sqlx::any::AnyRow| {
            Ok(EventRow {
                key: EventKey(row.number("event_key")?),
                event: row.parsed("event")?,
                at: row.moment("at")?,
                due: row.moment_if_any("due")?,
                alert: alert_row(row)?,
                vault: row.parsed("vault_name")?,
                settings: parse_settings(&row.text("settings")?)?,
            })
        };
        rows.iter().map(event).collect()
    }
}

fn parse_settings(text: &str) -> Result<NotificationSettings, DbError> {
    serde_json::from_str(text).map_err(|_| DbError::Value("settings"))
}
