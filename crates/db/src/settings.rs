//! Settings of the service: text under names.

use crate::column::Columns;
use crate::{Db, DbError};

impl Db {
    /// The value of a setting.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, DbError> {
        let action = "read the setting";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select value from settings where name = $1").bind(name);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.map(|row| row.text("value")).transpose()
    }

    /// The value of a setting, which is `value` if it was not set before. Of several nodes that ask at once, all get the
    /// same.
    pub async fn setting_or(&self, name: &str, value: &str) -> Result<String, DbError> {
        let action = "write the setting once";
        let mut write = self.write(action).await?;
        let query = sqlx::query("insert into settings (name, value) values ($1, $2) on conflict (name) do nothing")
            .bind(name)
            .bind(value);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query = sqlx::query("select value from settings where name = $1").bind(name);
        let row = query.fetch_one(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        row.text("value")
    }

    /// Sets a setting, whether or not it was set before.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<(), DbError> {
        let action = "write the setting";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "insert into settings (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value",
        )
        .bind(name)
        .bind(value);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }
}
