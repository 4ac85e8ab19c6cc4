//! One-time passwords (RFC 6238) of users, and the recovery codes for those who lost theirs.

use jiff::Timestamp;
use strongroom_model::UserId;

use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// A user's one-time passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct OneTimePasswordRow {
    /// The secret, sealed by a key that the database does not have.
    pub sealed_secret: Vec<u8>,
    /// Whether the user has shown a right one: only then they are asked for.
    pub confirmed: bool,
    /// The time step of the last one that was used.
    pub step: i64,
}

impl std::fmt::Debug for OneTimePasswordRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OneTimePasswordRow({})", self.confirmed)
    }
}

impl Db {
    /// Begins one-time passwords for a user, in place of those that were never confirmed. `false`: the user has confirmed
    /// ones; nothing was changed.
    pub async fn begin_one_time_passwords(
        &self,
        user: UserId,
        sealed_secret: &[u8],
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let action = "begin one-time passwords";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from one_time_passwords where user_id = $1 and confirmed = 0")
            .bind(&user.as_bytes()[..]);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query = sqlx::query(
            "insert into one_time_passwords (user_id, sealed_secret, confirmed, step, created) \
             values ($1, $2, 0, 0, $3) on conflict (user_id) do nothing",
        )
        .bind(&user.as_bytes()[..])
        .bind(sealed_secret)
        .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// The one-time passwords of a user.
    pub async fn one_time_passwords(&self, user: UserId) -> Result<Option<OneTimePasswordRow>, DbError> {
        let action = "find the one-time passwords";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select sealed_secret, confirmed, step from one_time_passwords where user_id = $1")
            .bind(&user.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(OneTimePasswordRow {
            sealed_secret: row.bytes("sealed_secret")?,
            confirmed: row.number("confirmed")? != 0,
            step: row.number("step")?,
        }))
    }

    /// Confirms the one-time passwords with the one of `step`, and keeps the recovery codes. `false`: they are confirmed
    /// already, or gone.
    pub async fn confirm_one_time_passwords(
        &self,
        user: UserId,
        step: i64,
        recovery: &[[u8; 32]],
    ) -> Result<bool, DbError> {
        let action = "confirm the one-time passwords";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "update one_time_passwords set confirmed = 1, step = $2 where user_id = $1 and confirmed = 0 and step < $2",
        )
        .bind(&user.as_bytes()[..])
        .bind(step);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let query = sqlx::query("delete from recovery_codes where user_id = $1").bind(&user.as_bytes()[..]);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        for hash in recovery {
            let query = sqlx::query("insert into recovery_codes (user_id, hash) values ($1, $2)")
                .bind(&user.as_bytes()[..])
                .bind(&hash[..]);
            query.execute(write.on()).await.map_err(DbError::sql(action))?;
        }
        write.commit().await?;
        Ok(true)
    }

    /// Uses up the one-time password of a time step. `false`: it, or a later one, was used before.
    pub async fn use_one_time_password(&self, user: UserId, step: i64) -> Result<bool, DbError> {
        let action = "use the one-time password";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update one_time_passwords set step = $2 where user_id = $1 and step < $2")
            .bind(&user.as_bytes()[..])
            .bind(step);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Uses up a recovery code. `false`: there is none of this hash.
    pub async fn use_recovery_code(&self, user: UserId, hash: [u8; 32]) -> Result<bool, DbError> {
        let action = "use the recovery code";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from recovery_codes where user_id = $1 and hash = $2")
            .bind(&user.as_bytes()[..])
            .bind(&hash[..]);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends one-time passwords. `false`: the user had none.
    pub async fn end_one_time_passwords(&self, user: UserId) -> Result<bool, DbError> {
        let action = "end one-time passwords";
        let mut write = self.write(action).await?;
        let mut deleted = 0;
        for text in [
            "delete from recovery_codes where user_id = $1",
            "delete from one_time_passwords where user_id = $1",
        ] {
            let done = sqlx::query(text).bind(&user.as_bytes()[..]).execute(write.on()).await;
            deleted = done.map_err(DbError::sql(action))?.rows_affected();
        }
        write.commit().await?;
        Ok(deleted > 0)
    }
}
