//! The promises of the tables, kept by SQLite; and those of its file.

mod tables;

use std::os::unix::fs::PermissionsExt;

use strongroom_db::*;

async fn empty() -> (Db, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open_file(&folder.path().join("meta data#1.db")).await.unwrap();
    (db, folder)
}

promises_on!(empty);

#[tokio::test]
async fn the_file_is_private_and_opens_again() {
    let (db, folder) = empty().await;
    let id = tables::vault(&db, 1).await;
    db.check().await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
    db.close().await;
    let address = folder.path().join("meta data#1.db");
    let again = Db::open(&format!("sqlite:{}", address.display())).await.unwrap();
    assert_eq!(again.vault(id).await.unwrap(), Some(tables::vault_row(1, "vault-1")));
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_says_why() {
    let missing = Db::open("/nowhere/at/all/db").await.unwrap_err().to_string();
    assert!(missing.contains("/nowhere/at/all/db"), "{missing}");
    let other = Db::open("mysql://localhost/db").await.unwrap_err().to_string();
    assert!(other.contains("names no database"), "{other}");
}
