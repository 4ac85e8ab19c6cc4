//! The promises of the tables, kept by PostgreSQL: by the server that `./scripts/test` starts.

mod tables;

use std::process::Command;

use strongroom_db::*;

/// The address of a new database.
fn new_database() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres");
    let output = Command::new(script).arg("database").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

async fn empty() -> (Db, ()) {
    (Db::open(&new_database()).await.unwrap(), ())
}

promises_on!(empty);

#[tokio::test]
async fn nodes_that_start_at_once_share_the_database() {
    let address = new_database();
    let nodes = futures_util::future::join_all((0..4).map(|_| Db::open(&address))).await;
    let nodes: Vec<Db> = nodes.into_iter().map(Result::unwrap).collect();
    let id = tables::vault(&nodes[0], 1).await;
    for node in &nodes {
        node.check().await.unwrap();
        assert_eq!(node.vault(id).await.unwrap(), Some(tables::vault_row(1, "vault-1")));
    }
}

#[tokio::test]
async fn of_two_nodes_one_makes_the_vault() {
    let address = new_database();
    let nodes = [Db::open(&address).await.unwrap(), Db::open(&address).await.unwrap()];
    for round in 0..20 {
        let rows = [1, 2].map(|node| tables::vault_row(round * 2 + node, &format!("contested-{round}")));
        let [one, two] = &rows;
        let (one, two) = tokio::join!(nodes[0].insert_vault(one), nodes[1].insert_vault(two));
        assert!(one.unwrap() != two.unwrap(), "round {round}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let gone = Db::open("postgres://somebody:secret@127.0.0.1:1/db")
        .await
        .unwrap_err()
        .to_string();
    assert!(gone.contains("is not available") && !gone.contains("secret"), "{gone}");
}
