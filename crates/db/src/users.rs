//! Users: people who sign in with a password.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{UserId, UserName};

use crate::column::{Columns, nanoseconds};
use crate::logins::end_sign_ins;
use crate::role_assignments::{delete_assignments_of, has_owner, insert_assignment};
use crate::{AssignmentRow, Db, DbError};

/// The id of an account that has none yet.
const NONE: &[u8] = &[];

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Names the user for ever.
    pub id: UserId,
    /// The name to sign in with, unique without regard to (ASCII) case.
    pub name: String,
    /// Where mail reaches the user; may be empty.
    pub email: String,
    /// Whether the account is shut.
    pub disabled: bool,
    /// The Argon2 hash of the password, in the form of the PHC string format; empty if the user has none.
    pub password_hash: String,
    /// When the account was made.
    pub created: Timestamp,
}

/// What became of a wish to change or remove an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChanged {
    /// It was done.
    Done,
    /// There is no such user.
    Absent,
    /// Nobody who can sign in would own the subscription any more; nothing was changed.
    LastOwner,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserRow({:?})", self.name)
    }
}

macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "select id, name, email, disabled, password_hash, created from users ",
            $rest
        )
    };
}

impl Db {
    /// Adds a user, with a first role if one is given. `false`: the name is taken; nothing was changed.
    pub async fn insert_user(&self, user: &UserRow, role: Option<&AssignmentRow>) -> Result<bool, DbError> {
        let mut write = self.write("insert the user").await?;
        if !insert_user(write.on(), user).await? {
            return Ok(false);
        }
        if let Some(role) = role {
            insert_assignment(write.on(), role).await?;
        }
        write.commit().await?;
        Ok(true)
    }

    /// The names of accounts that are older than ids and roles.
    pub async fn users_without_id(&self) -> Result<Vec<String>, DbError> {
        let action = "find the users without an id";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select name from users where id = $1").bind(NONE);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(|row| row.text("name")).collect()
    }

    /// Gives such an account the id and the role of `assignment`. `false`: another node was faster.
    pub async fn adopt_user(&self, name: &str, assignment: &AssignmentRow) -> Result<bool, DbError> {
        let action = "give the user an id";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update users set id = $1 where name_folded = $2 and id = $3")
            .bind(&assignment.principal.as_bytes()[..])
            .bind(name.to_ascii_lowercase())
            .bind(NONE);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        insert_assignment(write.on(), assignment).await?;
        write.commit().await?;
        Ok(true)
    }

    /// The user of this name.
    pub async fn user(&self, name: &str) -> Result<Option<UserRow>, DbError> {
        let action = "find the user";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_users!("where name_folded = $1")).bind(name.to_ascii_lowercase());
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(user_row).transpose()
    }

    /// The user with this id.
    pub async fn user_by_id(&self, id: UserId) -> Result<Option<UserRow>, DbError> {
        let action = "find the user by id";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_users!("where id = $1")).bind(&id.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(user_row).transpose()
    }

    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<UserRow>, DbError> {
        let action = "list the users";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_users!("order by name_folded"));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(user_row).collect()
    }

    /// How many users there are.
    pub async fn count_users(&self) -> Result<u64, DbError> {
        let action = "count the users";
        let mut reader = self.read(action).await?;
        let query = sqlx::query("select count(*) as users from users");
        let row = query.fetch_one(&mut *reader).await.map_err(DbError::sql(action))?;
        row.size("users")
    }

    /// Replaces the password of a user, who still has the old one, and ends all sign-ins with it. `false`: there is none of
    /// this name, or the password is another one by now.
    pub async fn replace_password(&self, name: &str, old_hash: &str, new_hash: &str) -> Result<bool, DbError> {
        let action = "replace the password";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "update users set password_hash = $1 where name_folded = $2 and password_hash = $3 returning id",
        )
        .bind(new_hash)
        .bind(name.to_ascii_lowercase())
        .bind(old_hash);
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let Some(row) = row else { return Ok(false) };
        end_sign_ins(write.on(), &row.bytes("id")?).await?;
        write.commit().await?;
        Ok(true)
    }

    /// Changes where mail reaches a user. `false`: there is no such user.
    pub async fn set_user_email(&self, name: &UserName, email: &str) -> Result<bool, DbError> {
        let action = "change the user's address";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update users set email = $2 where name_folded = $1")
            .bind(name.folded())
            .bind(email);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Shuts an account, or opens it again. Shutting ends all sign-ins, and voids the link for a password.
    pub async fn set_user_disabled(&self, name: &UserName, disabled: bool) -> Result<UserChanged, DbError> {
        let action = "shut or open the account";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update users set disabled = $2 where name_folded = $1 returning id")
            .bind(name.folded())
            .bind(i64::from(disabled));
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let Some(row) = row else {
            return Ok(UserChanged::Absent);
        };
        if disabled {
            let user = row.bytes("id")?;
            end_sign_ins(write.on(), &user).await?;
            let query = sqlx::query("delete from password_links where user_id = $1").bind(&user);
            query.execute(write.on()).await.map_err(DbError::sql(action))?;
        }
        if !has_owner(write.on()).await? {
            return Ok(UserChanged::LastOwner);
        }
        write.commit().await?;
        Ok(UserChanged::Done)
    }

    /// Deletes a user and all that belongs to the account: roles, sign-ins, one-time passwords.
    pub async fn delete_user(&self, id: UserId) -> Result<UserChanged, DbError> {
        let action = "delete the user";
        let mut write = self.write(action).await?;
        delete_assignments_of(write.on(), id.into()).await?;
        end_sign_ins(write.on(), id.as_bytes()).await?;
        let mut deleted = 0;
        for text in [
            "delete from one_time_passwords where user_id = $1",
            "delete from recovery_codes where user_id = $1",
            "delete from external_identities where user_id = $1",
            "delete from password_links where user_id = $1",
            "delete from users where id = $1",
        ] {
            let done = sqlx::query(text).bind(&id.as_bytes()[..]).execute(write.on()).await;
            deleted = done.map_err(DbError::sql(action))?.rows_affected();
        }
        if deleted == 0 {
            return Ok(UserChanged::Absent);
        }
        if !has_owner(write.on()).await? {
            return Ok(UserChanged::LastOwner);
        }
        write.commit().await?;
        Ok(UserChanged::Done)
    }
}

/// Inserts a user; `false`: the name is taken.
pub(crate) async fn insert_user(connection: &mut AnyConnection, user: &UserRow) -> Result<bool, DbError> {
    let query = sqlx::query(
        "insert into users (id, name, name_folded, email, disabled, password_hash, created) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (name_folded) do nothing",
    )
    .bind(&user.id.as_bytes()[..])
    .bind(&user.name)
    .bind(user.name.to_ascii_lowercase())
    .bind(&user.email)
    .bind(i64::from(user.disabled))
    .bind(&user.password_hash)
    .bind(nanoseconds(user.created));
    let done = query.execute(connection).await;
    Ok(done.map_err(DbError::sql("insert the user"))?.rows_affected() == 1)
}

fn user_row(row: &AnyRow) -> Result<UserRow, DbError> {
    Ok(UserRow {
        id: UserId::from_bytes(row.array("id")?),
        name: row.text("name")?,
        email: row.text("email")?,
        disabled: row.number("disabled")? != 0,
        password_hash: row.text("password_hash")?,
        created: row.moment("created")?,
    })
}

#[cfg(test)]
mod tests {
    use strongroom_model::{AssignmentId, Role, Scope};

    use super::*;

    #[tokio::test]
    async fn an_account_of_an_earlier_version_is_adopted_once() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_file(&folder.path().join("db")).await.unwrap();
        let mut write = db.write("be an earlier version").await.unwrap();
        let query = sqlx::query(
            "insert into users (name, name_folded, password_hash, created) values ('Admin', 'admin', 'hash', 1)",
        );
        query.execute(write.on()).await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(db.users_without_id().await.unwrap(), ["Admin"]);
        let owns = |number| AssignmentRow {
            id: AssignmentId::from_bytes([number; 16]),
            principal: UserId::from_bytes([number; 16]).into(),
            role: Role::Owner,
            scope: Scope::Subscription,
            created: Timestamp::UNIX_EPOCH,
            created_by: String::new(),
        };
        assert!(db.adopt_user("admin", &owns(1)).await.unwrap());
        assert!(!db.adopt_user("admin", &owns(2)).await.unwrap());
        let user = db.user("admin").await.unwrap().unwrap();
        assert_eq!(
            (user.id, user.disabled, user.email.as_str()),
            (UserId::from_bytes([1; 16]), false, "")
        );
        assert_eq!(db.roles_of(user.id.into()).await.unwrap(), [owns(1)]);
        assert_eq!(db.users_without_id().await.unwrap(), [""; 0]);
    }
}
