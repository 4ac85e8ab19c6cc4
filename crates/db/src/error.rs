//! What can go wrong with the database.

use std::path::PathBuf;

/// A failed operation of the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The disk of the database is full. Nothing was changed; freeing space is the way out.
    #[error("no space left for the metadata database")]
    NoSpace,
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
        move |cause| match is_no_space(&cause) {
            true => DbError::NoSpace,
            false => DbError::Sql { action, cause },
        }
    }
}

fn is_no_space(cause: &sqlx::Error) -> bool {
    let code = cause.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| NO_SPACE_CODES.contains(&code.as_ref()))
}
