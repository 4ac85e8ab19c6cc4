//! Administrators.

use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// An administrator.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The name to sign in with, unique without regard to (ASCII) case.
    pub name: String,
    /// The Argon2 hash of the password, in the form of the PHC string format.
    pub password_hash: String,
    /// When the account was made.
    pub created: Timestamp,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserRow({:?})", self.name)
    }
}

impl Db {
    /// Adds an administrator. `false`: the name is taken; nothing was changed.
    pub async fn insert_user(&self, user: &UserRow) -> Result<bool, DbError> {
        let action = "insert the user";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "insert into users (name, name_folded, password_hash, created) values ($1, $2, $3, $4) \
             on conflict (name_folded) do nothing",
        )
        .bind(&user.name)
        .bind(user.name.to_ascii_lowercase())
        .bind(&user.password_hash)
        .bind(nanoseconds(user.created));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// The administrator of this name.
    pub async fn user(&self, name: &str) -> Result<Option<UserRow>, DbError> {
        let action = "find the user";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select name, password_hash, created from users where name_folded = $1")
            .bind(name.to_ascii_lowercase());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(user_row).transpose()
    }

    /// How many administrators there are.
    pub async fn count_users(&self) -> Result<u64, DbError> {
        let action = "count the users";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select count(*) as users from users");
        let row = query.fetch_one(&mut *reader).await.map_err(DbError::sql(action))?;
        row.size("users")
    }

    /// Replaces the password of an administrator, who still has the old one. `false`: there is none of this name, or the
    /// password is another one by now.
    pub async fn replace_password(&self, name: &str, old_hash: &str, new_hash: &str) -> Result<bool, DbError> {
        let action = "replace the password";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update users set password_hash = $1 where name_folded = $2 and password_hash = $3")
            .bind(new_hash)
            .bind(name.to_ascii_lowercase())
            .bind(old_hash);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

fn user_row(row: &AnyRow) -> Result<UserRow, DbError> {
    Ok(UserRow {
        name: row.text("name")?,
        password_hash: row.text("password_hash")?,
        created: row.moment("created")?,
    })
}
