//! Registration credentials: what a vault credentials file proves.

use jiff::Timestamp;
use strongroom_model::VaultId;

use crate::column::{Columns, nanoseconds, number};
use crate::{Db, DbError};

/// Names registration credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId([u8; 16]);

impl CredentialId {
    /// Wraps 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Registration credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Their id.
    pub id: CredentialId,
    /// The vault that a machine may register in.
    pub vault: VaultId,
    /// BLAKE3 of the secret (which is random, so that no slow hash is needed).
    pub secret_hash: [u8; 32],
    /// When they were issued.
    pub issued: Timestamp,
    /// They are refused from this moment on.
    pub expires: Timestamp,
    /// How many registrations they were used for.
    pub used: u64,
}

/// What became of a wish to use credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialUse {
    /// The use was counted.
    Counted,
    /// There are none of this id, or they have expired.
    Refused,
}

impl Db {
    /// Adds credentials; those of the vault that expired before they were issued go.
    pub async fn insert_credential(&self, credential: &Credential) -> Result<(), DbError> {
        let action = "insert the credentials";
        let mut write = self.write(action).await?;
        let vault = write.vault_key(credential.vault).await?;
        let expired = sqlx::query("delete from credentials where vault = $1 and expires <= $2")
            .bind(vault)
            .bind(nanoseconds(credential.issued));
        expired.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query = sqlx::query(
            "insert into credentials (id, vault, secret_hash, issued, expires, used) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&credential.id.as_bytes()[..])
        .bind(vault)
        .bind(&credential.secret_hash[..])
        .bind(nanoseconds(credential.issued))
        .bind(nanoseconds(credential.expires))
        .bind(number(credential.used));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// The credentials with this id, expired or not.
    pub async fn credential(&self, id: CredentialId) -> Result<Option<Credential>, DbError> {
        let action = "find the credentials";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select vaults.id as vault, secret_hash, issued, expires, used from credentials \
             join vaults on vaults.key = credentials.vault where credentials.id = $1",
        )
        .bind(&id.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Credential {
            id,
            vault: VaultId::from_bytes(row.array("vault")?),
            secret_hash: row.array("secret_hash")?,
            issued: row.moment("issued")?,
            expires: row.moment("expires")?,
            used: row.size("used")?,
        }))
    }

    /// Counts a use of credentials that have not expired at `now`.
    pub async fn use_credential(&self, id: CredentialId, now: Timestamp) -> Result<CredentialUse, DbError> {
        let action = "use the credentials";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update credentials set used = used + 1 where id = $1 and expires > $2")
            .bind(&id.as_bytes()[..])
            .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(match done.rows_affected() {
            0 => CredentialUse::Refused,
            _ => CredentialUse::Counted,
        })
    }
}
