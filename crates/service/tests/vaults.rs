//! Vaults, as administrators handle them.

use strongroom_api::Code;

use crate::world::{World, vault_name};

#[tokio::test]
async fn vaults_are_made_listed_shown_and_deleted() {
    let world = World::new().await;
    let administrator = world.administrator().await;
    let credentials = world.vault("Main").await;
    world.vault("archive").await;
    let names = async || {
        let list = administrator.vaults().await.unwrap().vaults;
        list.into_iter().map(|vault| vault.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["archive", "Main"]);
    let shown = administrator.vault(&vault_name("main")).await.unwrap();
    assert_eq!(
        (shown.id, shown.machines, shown.points, shown.stored_bytes),
        (credentials.vault_id, 0, 0, 0)
    );

    world.machine(&credentials, "web-1").await;
    let refused = administrator.delete_vault(&vault_name("main")).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().code, Code::VaultNotEmpty);
    administrator.delete_vault(&vault_name("archive")).await.unwrap();
    assert_eq!(names().await, ["Main"]);
    let refused = administrator.vault(&vault_name("archive")).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().code, Code::VaultNotFound);
}

#[tokio::test]
async fn names_break_the_rules_or_are_taken() {
    let world = World::new().await;
    world.vault("main").await;
    let token = world.administrator_token().await;
    for (name, status, code) in [
        ("1bad", 400, "InvalidRequest"),
        ("", 400, "InvalidRequest"),
        ("MAIN", 409, "VaultExists"),
        ("fine", 201, ""),
    ] {
        let body = format!("{{\"name\": \"{name}\"}}");
        let reply = world
            .call("POST", "/api/v1/vaults", Some(&token), body.as_bytes())
            .await;
        assert_eq!(
            (reply.status, reply.code().unwrap_or_default().as_str()),
            (status, code),
            "{name}"
        );
        if name == "1bad" {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(text.contains("1bad") && text.contains("begin with a letter"), "{text}");
        }
    }
    for path in ["/api/v1/vaults/1bad", "/api/v1/vaults/a%20b"] {
        let reply = world.call("GET", path, Some(&token), b"").await;
        assert_eq!(
            (reply.status, reply.code().as_deref()),
            (400, Some("InvalidName")),
            "{path}"
        );
    }
    for body in [
        "",
        "{}",
        "[]",
        "{\"name\": \"ok\", \"colour\": 1}",
        "{\"name\": \"ok\", \"region\": \"../x\"}",
    ] {
        let reply = world
            .call("POST", "/api/v1/vaults", Some(&token), body.as_bytes())
            .await;
        assert_eq!(reply.status, 400, "{body}");
    }
}
