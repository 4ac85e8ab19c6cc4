//! What clients of Azure say about a vault and want to read again: a document that only they understand.

use strongroom_model::VaultId;

use crate::column::Columns;
use crate::{Db, DbError};

/// A vault's document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultRecord {
    /// The text; its shape is the caller's.
    pub document: String,
    /// Counts the changes.
    pub version: i64,
}

impl Db {
    /// A vault's document, if it has one.
    pub async fn vault_record(&self, vault: VaultId) -> Result<Option<VaultRecord>, DbError> {
        let action = "read the vault's record";
        let mut reader = self.read(action).await?;
        let query =
            sqlx::query("select document, version from vault_records where vault = $1").bind(&vault.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        let Some(row) = row else { return Ok(None) };
        let (document, version) = (row.text("document")?, row.number("version")?);
        Ok(Some(VaultRecord { document, version }))
    }

    /// Writes a vault's document, if it still has the version that was read (zero: none). `false`: it was changed
    /// meanwhile, and nothing was written.
    pub async fn write_vault_record(&self, vault: VaultId, read: i64, document: &str) -> Result<bool, DbError> {
        let action = "write the vault's record";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "insert into vault_records (vault, document, version) values ($1, $2, $3 + 1) \
             on conflict (vault) do update set document = excluded.document, version = excluded.version \
             where vault_records.version = $3",
        )
        .bind(&vault.as_bytes()[..])
        .bind(document)
        .bind(read);
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}
