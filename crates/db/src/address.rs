//! Which database a text names.

use std::path::PathBuf;

use crate::DbError;

const SQLITE: &str = "sqlite:";
const POSTGRES: [&str; 2] = ["postgres:", "postgresql:"];

/// Where a database is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// The file of an SQLite database.
    File(PathBuf),
    /// The URL of a PostgreSQL database.
    Postgres(String),
}

impl Address {
    /// Reads a path, `sqlite:PATH`, `sqlite://PATH`, or a URL that begins with `postgres://`.
    pub(crate) fn parse(text: &str) -> Result<Self, DbError> {
        if let Some(scheme) = POSTGRES.iter().find(|scheme| text.starts_with(**scheme)) {
            return match text[scheme.len()..].starts_with("//") {
                true => Ok(Self::Postgres(text.to_owned())),
                false => Err(DbError::Address(format!("{scheme}…"))),
            };
        }
        let path = match text.strip_prefix(SQLITE) {
            Some(path) => path.strip_prefix("//").unwrap_or(path),
            None => text,
        };
        let is_other = path.contains("://") || path.is_empty() || path.contains(":memory:");
        match is_other {
            true => Err(DbError::Address(shown(text))),
            false => Ok(Self::File(PathBuf::from(path))),
        }
    }
}

/// Whether a text names a database server, which several nodes can share, rather than a file.
pub fn is_server(text: &str) -> bool {
    matches!(Address::parse(text), Ok(Address::Postgres(_)))
}

/// A text that names no database, without what may be a password.
fn shown(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls() {
        let file = |path: &str| Address::File(path.into());
        let server = |url: &str| Address::Postgres(url.to_owned());
        for (text, expected) in [
            ("a/b.db", file("a/b.db")),
            ("/a b", file("/a b")),
            ("sqlite:a", file("a")),
            ("sqlite:///a", file("/a")),
            ("postgres://h/d", server("postgres://h/d")),
            (
                "postgresql://u@h:5432/d?sslmode=require",
                server("postgresql://u@h:5432/d?sslmode=require"),
            ),
        ] {
            assert_eq!(Address::parse(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "mysql://user:secret@h/d",
            "postgres:user:secret@h/d",
        ] {
            let refused = Address::parse(text).unwrap_err().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
