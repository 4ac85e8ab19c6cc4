//! The open database: its connections, and the two ways to use them.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection as _, Executor};
use strongroom_model::VaultId;

use crate::address::Address;
use crate::dialect::Dialect;
use crate::{DbError, file, migrations};

/// Longest wait for a connection, the one writer's too: then something hangs, and an error is better.
const WAIT_MAX: Duration = Duration::from_secs(60);
const OPEN: &str = "open the metadata database";

/// The metadata database. A handle: clones are the same database.
#[derive(Clone)]
pub struct Db {
    /// SQLite: one connection. Waiting for it is what puts writers in a row.
    writers: AnyPool,
    readers: AnyPool,
    dialect: Dialect,
    steps: Option<Steps>,
    vault_keys: Arc<Mutex<HashMap<VaultId, i64>>>,
}

/// A simulation looks at every transaction through this, and stops the machine or fails the transaction by answering an
/// error. It is called with what the transaction does, before each, and after each that writes has committed.
pub type Steps = Arc<dyn Fn(&'static str, Moment) -> Result<(), DbError> + Send + Sync>;

/// When a step is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has happened yet. After an error nothing will.
    Before,
    /// It is durable. After an error its caller does not learn so: the answer was lost.
    Committed,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Db({:?})", self.dialect)
    }
}

impl Db {
    /// Opens the database at `address`, and brings it up to date: the path of a file, or `sqlite:` and a path, which is
    /// made if there is none; or the URL of a PostgreSQL database, `postgres://user:password@host:port/name`. What such a
    /// URL leaves out comes from the environment (`PGPASSWORD`, `PGPASSFILE`, `PGSSLMODE` …).
    pub async fn open(address: &str) -> Result<Db, DbError> {
        match Address::parse(address)? {
            Address::File(path) => Db::open_file(&path).await,
            Address::Postgres(url) => Db::connect(&url, Dialect::Postgres).await,
        }
    }

    /// Opens the SQLite database in the file `path`; makes it, with mode 0600, if there is none.
    pub async fn open_file(path: &Path) -> Result<Db, DbError> {
        Db::connect(&file::url_of(&file::prepare(path)?), Dialect::Sqlite).await
    }

    async fn connect(url: &str, dialect: Dialect) -> Result<Db, DbError> {
        sqlx::any::install_default_drivers();
        reach(url).await?;
        let writers = pool(url, dialect, dialect.writers_max()).await?;
        let run = migrations::migrator(dialect).run(&writers).await;
        run.map_err(DbError::Migrate)?;
        Ok(Db {
            writers,
            readers: pool(url, dialect, dialect.readers_max()).await?,
            dialect,
            steps: None,
            vault_keys: Arc::default(),
        })
    }

    /// The same database, with a simulation that looks at every transaction.
    pub fn with_steps(self, steps: Steps) -> Db {
        Db {
            steps: Some(steps),
            ..self
        }
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<(), DbError> {
        let mut reader = self.read("check the database").await?;
        let query = sqlx::query("select count(*) from settings");
        let answer = query.fetch_one(&mut *reader).await;
        answer.map(drop).map_err(DbError::sql("check the database"))
    }

    /// Waits for what is under way, and closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }

    /// A connection that reads what was committed before.
    pub(crate) async fn read(&self, action: &'static str) -> Result<PoolConnection<Any>, DbError> {
        self.step(action, Moment::Before)?;
        self.readers.acquire().await.map_err(DbError::sql(action))
    }

    /// Begins a transaction that writes. With SQLite there is one at a time.
    pub(crate) async fn write(&self, action: &'static str) -> Result<Write<'_>, DbError> {
        self.step(action, Moment::Before)?;
        let mut write = Write {
            db: self,
            action,
            connection: self.writers.acquire().await.map_err(DbError::sql(action))?,
            is_over: false,
        };
        write.execute(self.dialect.begin()).await?;
        Ok(write)
    }

    /// The small key of a vault.
    pub(crate) async fn vault_key(&self, connection: &mut AnyConnection, vault: VaultId) -> Result<i64, DbError> {
        if let Some(&key) = self.vault_keys().get(&vault) {
            return Ok(key);
        }
        let query = sqlx::query_scalar("select key from vaults where id = $1").bind(&vault.as_bytes()[..]);
        let found: Option<i64> = (query.fetch_optional(connection).await).map_err(DbError::sql("find the vault"))?;
        let key = found.ok_or(DbError::NoVault)?;
        self.vault_keys().insert(vault, key);
        Ok(key)
    }

    /// Forgets the key of a deleted vault. Another node that remembers it finds nothing under it: keys are never reused.
    pub(crate) fn forget_vault(&self, vault: VaultId) {
        self.vault_keys().remove(&vault);
    }

    fn vault_keys(&self) -> std::sync::MutexGuard<'_, HashMap<VaultId, i64>> {
        self.vault_keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, action: &'static str, moment: Moment) -> Result<(), DbError> {
        self.steps.as_ref().map_or(Ok(()), |steps| steps(action, moment))
    }
}

/// A transaction that writes. Dropped, it is rolled back, by closing its connection: a full disk may have ended it already
/// (SQLite then rolls back by itself), and no later writer may inherit a connection in a state that nobody knows.
pub(crate) struct Write<'a> {
    db: &'a Db,
    action: &'static str,
    connection: PoolConnection<Any>,
    is_over: bool,
}

impl Write<'_> {
    /// The connection to write with.
    pub(crate) fn on(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }

    /// The small key of a vault.
    pub(crate) async fn vault_key(&mut self, vault: VaultId) -> Result<i64, DbError> {
        self.db.vault_key(&mut self.connection, vault).await
    }

    /// Ends it with nothing changed, where whoever asked may ask again as often as he likes: its connection stays.
    pub(crate) async fn leave(mut self) -> Result<(), DbError> {
        self.execute("rollback").await?;
        self.is_over = true;
        Ok(())
    }

    /// Makes it durable.
    pub(crate) async fn commit(mut self) -> Result<(), DbError> {
        self.execute("commit").await?;
        self.is_over = true;
        self.db.step(self.action, Moment::Committed)
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), DbError> {
        let done = self.connection.execute(statement).await;
        done.map(drop).map_err(DbError::sql(self.action))
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}

/// Connects once. A pool would go on trying for [`WAIT_MAX`] before it says that nobody is there.
async fn reach(url: &str) -> Result<(), DbError> {
    let failed = DbError::sql(OPEN);
    let options: AnyConnectOptions = url.parse().map_err(&failed)?;
    let connection = options.connect().await.map_err(&failed)?;
    connection.close().await.map_err(failed)
}

async fn pool(url: &str, dialect: Dialect, connections: u32) -> Result<AnyPool, DbError> {
    let failed = DbError::sql(OPEN);
    let options: AnyConnectOptions = url.parse().map_err(&failed)?;
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(WAIT_MAX)
        // Thousands of machines that come at the same moment wait for each other: no warning for each of them.
        .acquire_slow_threshold(WAIT_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        // A server may have restarted since; a file has not.
        .test_before_acquire(dialect == Dialect::Postgres)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(dialect.greeting()).await.map(drop) })
        });
    pool.connect_with(options.disable_statement_logging())
        .await
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that is shut out may come as often as it likes.
    #[tokio::test]
    async fn who_is_refused_does_not_cost_the_writers_connection() {
        use strongroom_model::{ContainerId, ItemId, Redundancy, Region, ResourceGroupName, VaultSettings};
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_file(&folder.path().join("db")).await.unwrap();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let vault = crate::VaultRow {
            id: VaultId::from_bytes([1; 16]),
            name: "main".parse().unwrap(),
            resource_group: ResourceGroupName::default(),
            region: Region::default(),
            redundancy: Redundancy::GeoRedundant,
            created: now,
            salt: [0; 32],
            file_digest: strongroom_model::Digest::from_bytes([0; 32]),
            settings: VaultSettings::default(),
            version: 1,
            deleted: None,
            purge_at: None,
        };
        assert!(db.insert_vault(&vault).await.unwrap());
        let machine = crate::NewContainer {
            id: ContainerId::from_bytes([1; 16]),
            item: ItemId::from_bytes([1; 16]),
            name: &"web".parse().unwrap(),
            public_key: &[0; 32],
            registered: now,
        };
        let machine = db.register_container(vault.id, machine).await.unwrap().id;
        // Only the connection that made it sees such a table.
        let mut mark = db.write("mark the connection").await.unwrap();
        mark.execute("create temporary table mark (x)").await.unwrap();
        mark.commit().await.unwrap();
        let shut = crate::PinLimits {
            per_pin: 1,
            per_machine: 0,
            shut_for: jiff::SignedDuration::from_hours(1),
        };
        for _ in 0..3 {
            let tried = db.try_pin(vault.id, machine, shut, now, |_| true).await.unwrap();
            assert!(matches!(tried, crate::PinTried::ShutUntil(_)));
        }
        let mut marked = db.write("find the mark").await.unwrap();
        marked.execute("select x from mark").await.unwrap();
        marked.leave().await.unwrap();
    }

    /// What SQLite does by itself when the disk is full: the transaction is over before its owner knows.
    #[tokio::test]
    async fn a_transaction_that_ended_by_itself_does_not_stop_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_file(&folder.path().join("db")).await.unwrap();
        for _ in 0..3 {
            let mut ended = db.write("end by itself").await.unwrap();
            ended.execute("rollback").await.unwrap();
            assert!(ended.commit().await.is_err());
            let mut next = db.write("go on").await.unwrap();
            next.execute("update settings set name = name").await.unwrap();
            next.commit().await.unwrap();
        }
    }
}
