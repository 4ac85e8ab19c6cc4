//! The audit log: who did what, and what came of it. Rows are appended and read; there is no function that changes or
//! removes one.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use strongroom_model::{PrincipalId, Scope};

use crate::column::{Columns, nanoseconds};
use crate::{Db, DbError};

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody who was not signed in.
    Nobody {
        /// The name that was claimed; may be empty.
        name: String,
    },
    /// A user.
    User {
        /// The user's id.
        id: PrincipalId,
        /// The user's name at that time.
        name: String,
    },
    /// A service principal.
    Application {
        /// Its id.
        id: PrincipalId,
        /// Its name at that time.
        name: String,
    },
}

/// A line to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuditRow {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: an action such as `Microsoft.RecoveryServices/Vaults/write`.
    pub action: String,
    /// The method of the request.
    pub method: String,
    /// The path of the request.
    pub path: String,
    /// Where the action had to be allowed.
    pub scope: Scope,
    /// The status of the answer.
    pub status: u16,
    /// The address of the other side.
    pub peer: String,
    /// The id that the request was given.
    pub request: [u8; 16],
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number: later lines have higher ones.
    pub number: i64,
    /// What it says.
    pub line: NewAuditRow,
}

/// Which lines to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Only of this actor: an id or a name, without regard to case.
    pub actor: Option<String>,
    /// Only this action, without regard to case.
    pub action: Option<String>,
}

const NOBODY: i64 = 0;
const USER: i64 = 1;
const APPLICATION: i64 = 2;

impl Actor {
    /// Its number, id and name, as columns have them.
    pub(crate) fn columns(&self) -> (i64, &[u8], &str) {
        match self {
            Actor::Nobody { name } => (NOBODY, &[], name),
            Actor::User { id, name } => (USER, &id.as_bytes()[..], name),
            Actor::Application { id, name } => (APPLICATION, &id.as_bytes()[..], name),
        }
    }

    /// The actor whose number, id and name these columns have.
    pub(crate) fn of_columns(row: &AnyRow, [number, id, name]: [&'static str; 3]) -> Result<Self, DbError> {
        let name = row.text(name)?;
        let principal = || Ok::<_, DbError>(PrincipalId::from_bytes(row.array(id)?));
        match row.number(number)? {
            NOBODY => Ok(Actor::Nobody { name }),
            USER => Ok(Actor::User { id: principal()?, name }),
            APPLICATION => Ok(Actor::Application { id: principal()?, name }),
            _ => Err(DbError::Value(number)),
        }
    }

    /// Its id; of nobody none.
    pub fn id(&self) -> Option<PrincipalId> {
        match self {
            Actor::Nobody { .. } => None,
            Actor::User { id, .. } | Actor::Application { id, .. } => Some(*id),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Actor::Nobody { name } | Actor::User { name, .. } | Actor::Application { name, .. } => name,
        }
    }
}

impl Db {
    /// Appends a line.
    pub async fn append_audit(&self, line: &NewAuditRow) -> Result<(), DbError> {
        let action = "append to the audit log";
        let (actor, id, name) = line.actor.columns();
        let mut write = self.write(action).await?;
        let query = sqlx::query(
            "insert into audit (time, actor, actor_id, actor_name, action, method, path, scope, status, peer, request) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(nanoseconds(line.time))
        .bind(actor)
        .bind(id)
        .bind(name)
        .bind(&line.action)
        .bind(&line.method)
        .bind(&line.path)
        .bind(line.scope.to_string())
        .bind(i64::from(line.status))
        .bind(&line.peer)
        .bind(&line.request[..]);
        query.execute(write.on()).await.map_err(DbError::sql(action))?;
        write.commit().await
    }

    /// At most `limit` lines with numbers above `after`, oldest first.
    pub async fn audit(&self, filter: &AuditFilter, after: i64, limit: u32) -> Result<Vec<AuditRow>, DbError> {
        let action = "read the audit log";
        let id: Option<PrincipalId> = filter.actor.as_deref().and_then(|actor| actor.parse().ok());
        let id = id.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        let folded = |text: &Option<String>| text.as_deref().unwrap_or_default().to_ascii_lowercase();
        let mut reader = self.read(action).await?;
        let query = sqlx::query(
            "select key, time, actor, actor_id, actor_name, action, method, path, scope, status, peer, request \
             from audit where key > $1 and time >= $2 and time < $3 \
             and ($4 = '' or lower(actor_name) = $4 or (actor <> 0 and actor_id = $5)) \
             and ($6 = '' or lower(action) = $6) order by key limit $7",
        )
        .bind(after)
        .bind(filter.since.map_or(i64::MIN, nanoseconds))
        .bind(filter.until.map_or(i64::MAX, nanoseconds))
        .bind(folded(&filter.actor))
        .bind(id)
        .bind(folded(&filter.action))
        .bind(i64::from(limit));
        let rows = query.fetch_all(&mut *reader).await.map_err(DbError::sql(action))?;
        rows.iter().map(audit_row).collect()
    }
}

fn audit_row(row: &AnyRow) -> Result<AuditRow, DbError> {
    let line = NewAuditRow {
        time: row.moment("time")?,
        actor: Actor::of_columns(row, ["actor", "actor_id", "actor_name"])?,
        action: row.text("action")?,
        method: row.text("method")?,
        path: row.text("path")?,
        scope: row.parsed("scope")?,
        status: u16::try_from(row.number("status")?).map_err(|_| DbError::Value("status"))?,
        peer: row.text("peer")?,
        request: row.array("request")?,
    };
    let number = row.number("key")?;
    Ok(AuditRow { number, line })
}
