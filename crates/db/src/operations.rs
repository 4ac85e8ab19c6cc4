//! Operations: requests whose outcome is asked for at another address.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use strongroom_model::JobId;

use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// Names an operation.
pub type OperationId = [u8; 16];

/// An operation. It is over when its row is written; a job that it began goes on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRow {
    /// Its id.
    pub id: OperationId,
    /// Where it belongs, as the caller names places.
    pub place: String,
    /// When it was asked for.
    pub begun: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// The job that it began or was.
    pub job: Option<JobId>,
    /// Why it failed, if it did: a code and a sentence.
    pub error: Option<(String, String)>,
    /// What else it has to tell; its shape is the caller's.
    pub details: String,
}

impl Db {
    /// Keeps an operation, and forgets those that ended before `forget`.
    pub async fn insert_operation(&self, row: &OperationRow, forget: Timestamp) -> Result<(), DbError> {
        let action = "keep the operation";
        let mut write = self.write(action).await?;
        let query = sqlx::query("delete from operations where ended < $1").bind(nanoseconds(forget));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        let (code, message) = row.error.clone().unwrap_or_default();
        let query = sqlx::query(
            "insert into operations (id, place, begun, ended, job, error_code, error_message, details) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&row.id[..])
        .bind(&row.place)
        .bind(nanoseconds(row.begun))
        .bind(nanoseconds(row.ended))
        .bind(row.job.map_or(Vec::new(), |job| job.as_bytes().to_vec()))
        .bind(code)
        .bind(message)
        .bind(&row.details);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// The operation with this id.
    pub async fn operation(&self, id: OperationId) -> Result<Option<OperationRow>, DbError> {
        let action = "find the operation";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select id, place, begun, ended, job, error_code, error_message, details from operations where id = $1",
        )
        .bind(&id[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        row.as_ref().map(operation).transpose()
    }
}

fn operation(row: &AnyRow) -> Result<OperationRow, DbError> {
    let (code, message) = (row.text("error_code")?, row.text("error_message")?);
    Ok(OperationRow {
        id: row.array("id")?,
        place: row.text("place")?,
        begun: row.moment("begun")?,
        ended: row.moment("ended")?,
        job: row.optional("job")?.map(JobId::from_bytes),
        error: (!code.is_empty()).then_some((code, message)),
        details: row.text("details")?,
    })
}
