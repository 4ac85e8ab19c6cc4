//! What can go wrong with the database.

use std::path::PathBuf;

/// A failed operation of the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The disk of the database is full. Nothing was changed; freeing space is the way out.
    #[error("no space left for the metadata database")]
    NoSpace,
    /// The database does not answer, restarts, or has more to do than it can: nothing is known to have changed. Trying
    /// again is the way out.
    #[error("the metadata database is not available: {0}")]
    Unavailable(String),
    /// The vault is not there, or was deleted meanwhile.
    #[error("the vault is not in the database")]
    NoVault,
    /// The resource group is not there, or was deleted meanwhile.
    #[error("the resource group is not in the database")]
    NoResourceGroup,
    /// The container is not there, or was deleted meanwhile.
    #[error("the container is not in the database")]
    NoContainer,
    /// The file of the database cannot be made or its mode not be set.
    #[error("could not {action} the metadata database {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried, a verb.
        action: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The text that names a database is neither a path nor a URL that is known.
    #[error("\"{0}\" names no database: give the path of a file, or a URL that begins with postgres://")]
    Address(String),
    /// A newer program has changed the database, or a migration did not get through.
    #[error("could not bring the metadata database up to date: {0}")]
    Migrate(sqlx::migrate::MigrateError),
    /// A value in the database is not what was written there.
    #[error("the metadata database holds an impossible value in {0}")]
    Value(&'static str),
    /// Anything else.
    #[error("could not {action}: {cause}")]
    Sql {
        /// What was tried.
        action: &'static str,
        /// What the database said.
        cause: sqlx::Error,
    },
    /// The simulated machine stopped; see [`Steps`](crate::Steps). Production never answers this.
    #[error("the simulated machine stopped")]
    Crashed,
    /// A simulated failure; see [`Steps`](crate::Steps). Production never answers this.
    #[error("could not {0}: simulated failure")]
    Simulated(&'static str),
}

/// SQLite: the disk is full; the shared-memory file cannot grow. PostgreSQL: `disk_full`.
const NO_SPACE_CODES: [&str; 3] = ["13", "4874", "53100"];

impl DbError {
    /// Wraps what the database said.
    pub(crate) fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> DbError {
        move |cause| {
            let code = cause.as_database_error().and_then(|error| error.code());
            match code.as_deref() {
                Some(code) if NO_SPACE_CODES.contains(&code) => DbError::NoSpace,
                // What it belongs to went meanwhile, through another node.
                Some(code) if GONE_CODES.contains(&code) => DbError::NoVault,
                Some(code) if is_passing(code) => DbError::Unavailable(cause.to_string()),
                None if is_lost(&cause) => DbError::Unavailable(cause.to_string()),
                _ => DbError::Sql { action, cause },
            }
        }
    }
}

/// A reference leads nowhere: SQLite, PostgreSQL.
const GONE_CODES: [&str; 2] = ["787", "23503"];

/// PostgreSQL: no connection, or one too many; it stops or starts; two transactions were in each other's way.
fn is_passing(code: &str) -> bool {
    let passing = ["40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03"];
    passing.contains(&code) || (code.len() == 5 && code.starts_with("08"))
}

/// The connection broke, or there was none in time.
fn is_lost(cause: &sqlx::Error) -> bool {
    matches!(
        cause,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed
    )
}
