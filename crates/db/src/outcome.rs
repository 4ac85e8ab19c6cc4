//! What the end of a job means for its item.

use jiff::Timestamp;
use sqlx::AnyConnection;
use strongroom_model::{ItemState, JobState, Operation};

use crate::DbError;
use crate::column::{Columns, moment_or_zero, nanoseconds};
use crate::jobs::JobRow;

/// Notes on the item how its backup went. One that was cancelled says nothing about its health.
pub(crate) async fn note(connection: &mut AnyConnection, job: &JobRow, now: Timestamp) -> Result<(), DbError> {
    let action = "note how the backup went";
    if job.operation != Operation::Backup || job.state == JobState::Cancelled {
        return Ok(());
    }
    let query = sqlx::query("select state from items where id = $1").bind(job.item.as_bytes().to_vec());
    let row = query
        .fetch_optional(&mut *connection)
        .await
        .map_err(DbError::sql(action))?;
    let Some(row) = row else { return Ok(()) };
    let before: ItemState = row.parsed("state")?;
    let succeeded = job.state != JobState::Failed;
    // A good backup is as old as its beginning: what changed since is not in it.
    let good_from = succeeded.then(|| job.started.unwrap_or(now));
    let query = sqlx::query(
        "update items set state = $3, last_backup = $4, last_backup_at = $5, \
         rpo_from = (case $6 when 0 then rpo_from else $6 end) where id = $1 and state = $2",
    )
    .bind(job.item.as_bytes().to_vec())
    .bind(before.as_str())
    .bind(before.after_backup(succeeded).as_str())
    .bind(job.state.as_str())
    .bind(nanoseconds(now))
    .bind(moment_or_zero(good_from));
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql(action))
}
