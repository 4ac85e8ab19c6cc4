//! The promises of the tables, kept by SQLite; and those of its file.

mod tables;

use std::os::unix::fs::PermissionsExt;

use strongroom_db::*;
use strongroom_model::POINTS_PER_ITEM_MAX;

async fn empty() -> (Db, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open_file(&folder.path().join("meta data#1.db")).await.unwrap();
    (db, folder)
}

promises_on!(empty);

/// The last of 9,999 recovery points is taken, and none after it.
#[tokio::test]
async fn an_item_has_a_bounded_number_of_points() {
    let (db, folder) = empty().await;
    let vault = tables::vault(&db, 1).await;
    let web = tables::machine(&db, vault, 1, "web").await;
    db.add_key_set(vault, tables::key_set(1, web.id)).await.unwrap();
    db.insert_pack(vault, tables::pack(1), &[tables::blob(1, 0)])
        .await
        .unwrap();
    db.mark_verified(vault, &[tables::blob_id(1)]).await.unwrap();
    let session = tables::session(&db, 1, web.id).await;
    let point = |number, predecessor| tables::point(number, vault, &web, predecessor);
    let commit = async |point: &NewPoint| db.commit_point(session, point).await.unwrap();
    let first = point(1, None);
    assert_eq!(commit(&first).await, CommitRow::Committed);
    sqlx::any::install_default_drivers();
    let path = folder.path().join("meta data#1.db");
    let url = format!("sqlite:{}", path.display())
        .replace('#', "%23")
        .replace(' ', "%20");
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    let copies = sqlx::query(
        "with recursive n (i) as (values (1) union all select i + 1 from n where i < 9997) \
         insert into points (vault, id, item, key_set, root, created, committed, consistency, total_bytes, new_bytes, files, \
         size, digest, predecessor) select vault, randomblob(16), item, key_set, root, created, committed, consistency, \
         total_bytes, new_bytes, files, size, digest, predecessor from points, n",
    );
    assert_eq!(copies.execute(&pool).await.unwrap().rows_affected(), 9997);
    pool.close().await;
    assert_eq!(db.points_of(first.item).await.unwrap(), POINTS_PER_ITEM_MAX - 1);
    let last = point(2, Some(first.digest));
    assert_eq!(commit(&last).await, CommitRow::Committed);
    assert_eq!(commit(&point(3, Some(last.digest))).await, CommitRow::TooMany);
    assert_eq!(db.latest_point(first.item).await.unwrap().unwrap().0, last.id);
}

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
