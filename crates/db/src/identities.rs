//! External identities: whom another provider vouches for, and which user that is here.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use strongroom_model::{IdentityId, UserId};

use crate::column::{Columns, moment_or_zero, nanoseconds};
use crate::logins::end_sign_ins;
use crate::role_assignments::has_owner;
use crate::users::insert_user;
use crate::{Db, DbError, UserChanged, UserRow};

/// An identity that is linked with a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRow {
    /// Its id.
    pub id: IdentityId,
    /// Who vouches.
    pub issuer: String,
    /// What the issuer calls the person, for ever.
    pub subject: String,
    /// Who that is here.
    pub user: UserId,
    /// When they were linked.
    pub created: Timestamp,
    /// The name of whoever linked them.
    pub created_by: String,
    /// When the person last signed in with it.
    pub used: Option<Timestamp>,
}

macro_rules! select_identities {
    ($rest:literal) => {
        concat!(
            "select id, issuer, subject, user_id, created, created_by, used from external_identities ",
            $rest
        )
    };
}

impl Db {
    /// Links an identity with a user. `false`: it is linked already, or there is no such user; nothing was changed.
    pub async fn link_identity(&self, identity: &IdentityRow) -> Result<bool, DbError> {
        let mut write = self.write("link the identity").await?;
        let linked = insert_identity(write.on(), identity).await?;
        write.commit().await?;
        Ok(linked)
    }

    /// Adds a user, and links the identity with it. `false`: the name or the identity is taken; nothing was changed.
    pub async fn insert_user_of(&self, user: &UserRow, identity: &IdentityRow) -> Result<bool, DbError> {
        let mut write = self.write("insert the user of the identity").await?;
        if !insert_user(write.on(), user).await? || !insert_identity(write.on(), identity).await? {
            return Ok(false);
        }
        write.commit().await?;
        Ok(true)
    }

    /// The identity that the issuer calls so.
    pub async fn identity(&self, issuer: &str, subject: &str) -> Result<Option<IdentityRow>, DbError> {
        let action = "find the identity";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(select_identities!("where issuer = $1 and subject = $2"))
            .bind(issuer)
            .bind(subject);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(identity_row).transpose()
    }

    /// The identities of a user, oldest first.
    pub async fn identities_of(&self, user: UserId) -> Result<Vec<IdentityRow>, DbError> {
        let action = "list the user's identities";
        let mut reader = self.read(action).await?;
        let query =
            sqlx::query(select_identities!("where user_id = $1 order by created, id")).bind(&user.as_bytes()[..]);
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(identity_row).collect()
    }

    /// Notes that a person signed in with the identity.
    pub async fn use_identity(&self, id: IdentityId, now: Timestamp) -> Result<(), DbError> {
        let action = "note the use of the identity";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update external_identities set used = $2 where id = $1")
            .bind(&id.as_bytes()[..])
            .bind(nanoseconds(now));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// Unlinks an identity of a user, and ends the user's sign-ins.
    pub async fn unlink_identity(&self, user: UserId, id: IdentityId) -> Result<UserChanged, DbError> {
        let action = "unlink the identity";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from external_identities where id = $1 and user_id = $2")
            .bind(&id.as_bytes()[..])
            .bind(&user.as_bytes()[..]);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 0 {
            return Ok(UserChanged::Absent);
        }
        if !has_owner(write.on()).await? {
            return Ok(UserChanged::LastOwner);
        }
        end_sign_ins(write.on(), user.as_bytes()).await?;
        write.commit().await?;
        Ok(UserChanged::Done)
    }
}

async fn insert_identity(connection: &mut AnyConnection, identity: &IdentityRow) -> Result<bool, DbError> {
    let query = sqlx::query(
        "insert into external_identities (id, issuer, subject, user_id, created, created_by, used) \
         select $1, $2, $3, id, $5, $6, $7 from users where id = $4 on conflict do nothing",
    )
    .bind(&identity.id.as_bytes()[..])
    .bind(&identity.issuer)
    .bind(&identity.subject)
    .bind(&identity.user.as_bytes()[..])
    .bind(nanoseconds(identity.created))
    .bind(&identity.created_by)
    .bind(moment_or_zero(identity.used));
    let done = query.execute(connection).await;
    Ok(done.map_err(DbError::sql("link the identity"))?.rows_affected() == 1)
}

fn identity_row(row: &AnyRow) -> Result<IdentityRow, DbError> {
    Ok(IdentityRow {
        id: IdentityId::from_bytes(row.array("id")?),
        issuer: row.text("issuer")?,
        subject: row.text("subject")?,
        user: UserId::from_bytes(row.array("user_id")?),
        created: row.moment("created")?,
        created_by: row.text("created_by")?,
        used: row.moment_if_any("used")?,
    })
}
