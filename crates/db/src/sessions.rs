//! Sessions: leases under which packs are taken in and a recovery point is committed.

use jiff::Timestamp;
use sqlx::AnyConnection;
use strongroom_model::{ContainerId, ItemId, JobId, SessionId, VaultId};

use crate::column::{Columns, nanoseconds};
use crate::containers::container_key;
use crate::{Db, DbError};

/// How many sessions a container may have at once. One more ends the one whose lease would end first.
pub const SESSIONS_PER_CONTAINER_MAX: u32 = 16;

/// A session to begin.
#[derive(Clone, Copy, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub container: ContainerId,
    /// Now.
    pub begun: Timestamp,
    /// It is refused from this moment on.
    pub lease_until: Timestamp,
    /// The job that it is for.
    pub job: Option<JobId>,
}

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub container: ContainerId,
    /// The container's vault.
    pub vault: VaultId,
    /// The container's item.
    pub item: ItemId,
    /// When it began.
    pub begun: Timestamp,
    /// It is refused from this moment on.
    pub lease_until: Timestamp,
}

impl Db {
    /// Begins a session. Those of the container that have expired go.
    pub async fn begin_session(&self, new: NewSession) -> Result<(), DbError> {
        let action = "begin the session";
        let mut write = self.write(action).await?;
        let container = container_key(write.on(), new.container).await?;
        // Of two that begin at once, through two nodes, the second counts the first.
        let lock = sqlx::query("update containers set name = name where key = $1 and unregistered = 0").bind(container);
        let done = lock.execute(write.on()).await.map_err(DbError::sql(action))?;
        if done.rows_affected() == 0 {
            return Err(DbError::NoContainer);
        }
        make_room(write.on(), container, new.begun).await?;
        let query =
            sqlx::query("insert into sessions (id, container, begun, lease_until, job) values ($1, $2, $3, $4, $5)")
                .bind(&new.id.as_bytes()[..])
                .bind(container)
                .bind(nanoseconds(new.begun))
                .bind(nanoseconds(new.lease_until))
                .bind(new.job.map_or(Vec::new(), |job| job.as_bytes().to_vec()));
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// The session with this id, if it is one of this container; expired or not.
    pub async fn session(&self, id: SessionId, container: ContainerId) -> Result<Option<SessionRow>, DbError> {
        let action = "find the session";
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select vaults.id as vault, items.id as item, begun, lease_until from sessions \
             join containers on containers.key = sessions.container join items on items.key = containers.item \
             join vaults on vaults.key = containers.vault where sessions.id = $1 and containers.id = $2",
        )
        .bind(&id.as_bytes()[..])
        .bind(&container.as_bytes()[..]);
        let row = query.fetch_optional(&mut *reader).await.map_err(DbError::sql(action))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(SessionRow {
            id,
            container,
            vault: VaultId::from_bytes(row.array("vault")?),
            item: ItemId::from_bytes(row.array("item")?),
            begun: row.moment("begun")?,
            lease_until: row.moment("lease_until")?,
        }))
    }

    /// Renews the lease of a session that lives at `now`. `false`: it does not live any more.
    pub async fn renew_session(&self, id: SessionId, now: Timestamp, until: Timestamp) -> Result<bool, DbError> {
        let action = "renew the session";
        let mut write = self.write(action).await?;
        let query = sqlx::query("update sessions set lease_until = $1 where id = $2 and lease_until > $3")
            .bind(nanoseconds(until))
            .bind(&id.as_bytes()[..])
            .bind(nanoseconds(now));
        let done = query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a session of this container. That there is none is fine.
    pub async fn end_session(&self, id: SessionId, container: ContainerId) -> Result<(), DbError> {
        let action = "end the session";
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "delete from sessions where id = $1 and container = (select key from containers where id = $2)",
        )
        .bind(&id.as_bytes()[..])
        .bind(&container.as_bytes()[..]);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }
}

/// Deletes what has expired, and what one more session would make too many.
async fn make_room(connection: &mut AnyConnection, container: i64, now: Timestamp) -> Result<(), DbError> {
    let query = sqlx::query(
        "delete from sessions where container = $1 and (lease_until <= $2 or id not in \
         (select id from sessions where container = $1 order by lease_until desc, id desc limit $3))",
    )
    .bind(container)
    .bind(nanoseconds(now))
    .bind(i64::from(SESSIONS_PER_CONTAINER_MAX - 1));
    let done = query.execute(connection).await;
    done.map(drop).map_err(DbError::sql("end old sessions"))
}
