//! The migrations, embedded, forward only. A released one is never changed: the database remembers its checksum.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::dialect::Dialect;

/// Version, name and text of each, oldest first. The files lie in `migrations/`.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "foundation", include_str!("../migrations/0001_foundation.sql")),
    (2, "control_plane", include_str!("../migrations/0002_control_plane.sql")),
    (3, "identity", include_str!("../migrations/0003_identity.sql")),
    (4, "arm", include_str!("../migrations/0004_arm.sql")),
    (5, "alerts", include_str!("../migrations/0005_alerts.sql")),
    (
        6,
        "deleted_vaults",
        include_str!("../migrations/0006_deleted_vaults.sql"),
    ),
    (7, "guards", include_str!("../migrations/0007_guards.sql")),
    (
        8,
        "external_identity",
        include_str!("../migrations/0008_external_identity.sql"),
    ),
    (
        9,
        "machine_settings",
        include_str!("../migrations/0009_machine_settings.sql"),
    ),
    (
        11,
        "waiting_places",
        include_str!("../migrations/0011_waiting_places.sql"),
    ),
    (
        12,
        "virtual_machines",
        include_str!("../migrations/0012_virtual_machines.sql"),
    ),
];

/// All migrations in a dialect.
pub(crate) fn migrator(dialect: Dialect) -> Migrator {
    let migration = |&(version, name, text): &(i64, &'static str, &str)| {
        let sql = AssertSqlSafe(dialect.translate(text)).into_sql_str();
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<String> = (MIGRATIONS.iter())
            .map(|(version, name, _)| format!("{version:04}_{name}.sql"))
            .collect();
        assert_eq!(files, listed);
    }

    #[test]
    fn only_portable_types_are_used() {
        let statements = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with("--"));
            lines
                .collect::<Vec<_>>()
                .join("\n")
                .to_lowercase()
                .replace("not null", "")
        };
        for (_, name, text) in MIGRATIONS {
            let statements = statements(text);
            for word in [
                " integer",
                " int ",
                " blob ",
                "boolean",
                "timestamp",
                "varchar",
                " null",
                "serial",
            ] {
                assert!(!statements.contains(word), "{name} uses {word}");
            }
        }
    }
}
