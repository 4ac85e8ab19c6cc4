//! Authorization codes (RFC 6749, with the proof key of RFC 7636): a person's browser carries one to the program that asked.

use jiff::Timestamp;
use strongroom_model::UserId;

use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// An authorization code that was given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCodeRow {
    /// BLAKE3 of the code.
    pub hash: [u8; 32],
    /// Who signed in.
    pub user: UserId,
    /// Which program asked.
    pub client: String,
    /// Where the browser was sent with it.
    pub redirect: String,
    /// SHA-256 of what only the program knows, base64url.
    pub challenge: String,
    /// It is refused from this moment on.
    pub expires: Timestamp,
}

impl Db {
    /// Keeps an authorization code, and forgets those that are over.
    pub async fn insert_authorization_code(&self, code: &AuthorizationCodeRow, now: Timestamp) -> Result<(), DbError> {
        let action = "insert the authorization code";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from authorization_codes where expires <= $1").bind(nanoseconds(now));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query = sqlx::query(
            "insert into authorization_codes (hash, user_id, client, redirect, challenge, expires) \
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&code.hash[..])
        .bind(&code.user.as_bytes()[..])
        .bind(&code.client)
        .bind(&code.redirect)
        .bind(&code.challenge)
        .bind(nanoseconds(code.expires));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// Takes the code away and tells what it stood for; only the first who asks is told.
    pub async fn take_authorization_code(&self, hash: [u8; 32]) -> Result<Option<AuthorizationCodeRow>, DbError> {
        let action = "take the authorization code";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "delete from authorization_codes where hash = $1 returning user_id, client, redirect, challenge, expires",
        )
        .bind(&hash[..]);
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(AuthorizationCodeRow {
            hash,
            user: UserId::from_bytes(row.array("user_id")?),
            client: row.text("client")?,
            redirect: row.text("redirect")?,
            challenge: row.text("challenge")?,
            expires: row.moment("expires")?,
        }))
    }
}
