//! External sign-ins: browsers that were sent to another provider, until they come back.

use jiff::Timestamp;

use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// A browser that was sent to another provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSignInRow {
    /// BLAKE3 of the state that it comes back with.
    pub hash: [u8; 32],
    /// BLAKE3 of what only this browser has.
    pub browser: [u8; 32],
    /// The name of the provider.
    pub provider: String,
    /// The network that it was sent from.
    pub network: String,
    /// What goes on then, as the caller writes it.
    pub continues: String,
    /// It comes too late from this moment on.
    pub expires: Timestamp,
}

/// How many browsers may be on their way at once, and how many of one network, so that none can take all places: whoever
/// asks for more has to wait for earlier ones to expire.
const WAITING_MAX: i64 = 10_000;
const WAITING_OF_NETWORK_MAX: i64 = 100;

impl Db {
    /// Keeps an external sign-in, and forgets those that are over. `false`: too many are on their way,
    /// of this network or of all.
    pub async fn insert_external_sign_in(&self, row: &ExternalSignInRow, now: Timestamp) -> Result<bool, DbError> {
        let action = "insert the external sign-in";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from external_sign_ins where expires <= $1").bind(nanoseconds(now));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let query = sqlx::query(
            "insert into external_sign_ins (hash, browser, provider, continues, expires, network) \
             select $1, $2, $3, $4, $5, $6 where (select count(*) from external_sign_ins) < $7 \
             and (select count(*) from external_sign_ins where network = $6) < $8",
        )
        .bind(&row.hash[..])
        .bind(&row.browser[..])
        .bind(&row.provider)
        .bind(&row.continues)
        .bind(nanoseconds(row.expires))
        .bind(&row.network)
        .bind(WAITING_MAX)
        .bind(WAITING_OF_NETWORK_MAX);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes the external sign-in with this state away from the browser that began it; only the first who asks gets it, and
    /// another browser takes nothing away.
    pub async fn take_external_sign_in(
        &self,
        hash: [u8; 32],
        browser: [u8; 32],
    ) -> Result<Option<ExternalSignInRow>, DbError> {
        let action = "take the external sign-in";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "delete from external_sign_ins where hash = $1 and browser = $2 returning provider, network, continues, expires",
        )
        .bind(&hash[..])
        .bind(&browser[..]);
        let row = query.fetch_optional(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(ExternalSignInRow {
            hash,
            browser,
            provider: row.text("provider")?,
            network: row.text("network")?,
            continues: row.text("continues")?,
            expires: row.moment("expires")?,
        }))
    }
}
