//! Links by which a person sets a password, once.

use jiff::Timestamp;
use strongroom_model::UserId;

use crate::column::{Columns, nanoseconds};
use crate::logins::end_sign_ins;
use crate::{Db, DbError};

impl Db {
    /// Keeps a link of a user, by the BLAKE3 of its secret; an earlier one of the same user is worth nothing any more.
    pub async fn put_password_link(&self, user: UserId, hash: [u8; 32], expires: Timestamp) -> Result<(), DbError> {
        let action = "keep the password link";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "insert into password_links (user_id, hash, expires) values ($1, $2, $3) \
             on conflict (user_id) do update set hash = $2, expires = $3",
        )
        .bind(&user.as_bytes()[..])
        .bind(&hash[..])
        .bind(nanoseconds(expires));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// Whose link this is, if it is good at `now`. It stays good.
    pub async fn password_link(&self, hash: [u8; 32], now: Timestamp) -> Result<Option<UserId>, DbError> {
        let action = "find the password link";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select user_id from password_links where hash = $1 and expires > $2")
            .bind(&hash[..])
            .bind(nanoseconds(now));
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.map(|row| Ok(UserId::from_bytes(row.array("user_id")?))).transpose()
    }

    /// Uses the link up: the user has the password of `password_hash` from now on, and all sign-ins are over. `false`: the link
    /// is not good, or not any more; nothing was changed.
    pub async fn use_password_link(
        &self,
        hash: [u8; 32],
        password_hash: &str,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let action = "use the password link";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from password_links where hash = $1 and expires > $2 returning user_id")
            .bind(&hash[..])
            .bind(nanoseconds(now));
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let Some(row) = row else { return Ok(false) };
        let user = row.bytes("user_id")?;
        let query = sqlx::query("update users set password_hash = $2 where id = $1")
            .bind(&user)
            .bind(password_hash);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        end_sign_ins(write.on(), &user).await?;
        write.commit().await?;
        Ok(true)
    }
}
