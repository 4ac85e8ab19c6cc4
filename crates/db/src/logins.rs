//! Logins: sign-ins of people that go on by refresh tokens, each of which is good once.

use jiff::Timestamp;
use sqlx::AnyConnection;
use strongroom_model::UserId;

use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// Names a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoginId([u8; 16]);

impl LoginId {
    /// Wraps 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A login; the refresh token of generation 0 belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRow {
    /// Its id.
    pub id: LoginId,
    /// Who signed in.
    pub user: UserId,
    /// By which program.
    pub client: String,
    /// When.
    pub begun: Timestamp,
    /// It is over from this moment on.
    pub expires: Timestamp,
}

/// What became of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRenewed {
    /// It was the newest one; the next one has this generation.
    Renewed(i64),
    /// It was the one before the newest, and so shortly after the newest was given out that its answer may have been
    /// lost, or that two programs of one person asked at once. The newest has this generation.
    Again(i64),
    /// It was given out long ago and used since: it was stolen, or the newer one was. The login is over for both.
    Reused,
    /// There is no such login, or not any more.
    Over,
}

impl Db {
    /// Begins a login, and forgets those that are over.
    pub async fn begin_login(&self, login: &LoginRow) -> Result<(), DbError> {
        let action = "begin the login";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from logins where expires <= $1").bind(nanoseconds(login.begun));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query = sqlx::query(
            "insert into logins (id, user_id, client, generation, renewed, expires) values ($1, $2, $3, 0, $4, $5)",
        )
        .bind(&login.id.as_bytes()[..])
        .bind(&login.user.as_bytes()[..])
        .bind(&login.client)
        .bind(nanoseconds(login.begun))
        .bind(nanoseconds(login.expires));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// Uses the refresh token of a generation. Until `forgiving_since` the one before the newest is taken too.
    pub async fn renew_login(
        &self,
        id: LoginId,
        generation: i64,
        now: Timestamp,
        forgiving_since: Timestamp,
    ) -> Result<LoginRenewed, DbError> {
        let action = "renew the login";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "update logins set generation = generation + 1, renewed = $3 \
             where id = $1 and generation = $2 and expires > $3",
        )
        .bind(&id.as_bytes()[..])
        .bind(generation)
        .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 1 {
            write.commit().await?;
            return Ok(LoginRenewed::Renewed(generation + 1));
        }
        let query = sqlx::query("select generation, renewed from logins where id = $1 and expires > $2")
            .bind(&id.as_bytes()[..])
            .bind(nanoseconds(now));
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        let Some(row) = row else {
            return Ok(LoginRenewed::Over);
        };
        let newest = row.number("generation")?;
        if generation + 1 == newest && row.moment("renewed")? >= forgiving_since {
            return Ok(LoginRenewed::Again(newest));
        }
        let query = sqlx::query("delete from logins where id = $1").bind(&id.as_bytes()[..]);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(LoginRenewed::Reused)
    }

    /// Ends all sign-ins of a user, those that are about to become one too.
    pub async fn end_sign_ins(&self, user: UserId) -> Result<(), DbError> {
        let mut write = self.write("end the sign-ins").await?;
        end_sign_ins(write.on(), user.as_bytes()).await?;
        write.commit().await
    }
}

/// Ends all sign-ins of the user with this id: logins, and codes that the user has allowed and for which a program would yet
/// get a login. Whoever is still at another provider is nobody yet: what comes of it is decided when he comes back.
pub(crate) async fn end_sign_ins(connection: &mut AnyConnection, user: &[u8]) -> Result<(), DbError> {
    for text in [
        "delete from logins where user_id = $1",
        "delete from authorization_codes where user_id = $1",
        "delete from device_codes where user_id = $1",
    ] {
        let done = sqlx::query(text).bind(user).execute(&mut *connection).await;
        done.map_err(DbError::sql("end the sign-ins"))?;
    }
    Ok(())
}
