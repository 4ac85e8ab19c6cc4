//! The audit log: what is in it, and what is not.

use std::time::Duration;

use strongroom_api::{AuditLine, AuditQuery, Client, PrincipalKind, Secret};
use strongroom_model::Role;
use tokio::io::AsyncWriteExt as _;

use crate::world::{World, vault_name};

fn told(line: &AuditLine) -> String {
    let action = line.action.rsplit_once('/').map_or("", |(before, _)| before);
    let action = action.rsplit('/').next().unwrap_or_default();
    let verb = line.action.rsplit('/').next().unwrap_or_default();
    format!("{} {action}/{verb} {}", line.name, line.status)
}

impl World {
    async fn audit(&self, query: AuditQuery) -> Vec<AuditLine> {
        self.administrator().await.audit(&query).await.unwrap().lines
    }
}

#[tokio::test]
async fn what_people_change_and_are_refused_is_written_down() {
    let world = World::new().await;
    let credentials = world.vault("main").await;
    world.user("eve", &[(Role::BackupReader, "vault/main")]).await;
    let eve = world.client_of("eve").await;
    eve.vaults().await.unwrap();
    eve.delete_vault(&vault_name("main")).await.unwrap_err();
    eve.users().await.unwrap_err();
    let wrong = Secret::new("wrong");
    Client::sign_in_administrator(world.client_options(), "eve", wrong)
        .await
        .unwrap_err();
    world.call("DELETE", "/api/v1/vaults/main", None, b"").await;
    // A machine's work is not the log's business.
    world
        .machine(&credentials, "web-1")
        .await
        .client
        .machine()
        .await
        .unwrap();

    let all = AuditQuery {
        limit: Some(1000),
        ..AuditQuery::default()
    };
    let lines = world.audit(all).await;
    let mut lines: Vec<&AuditLine> = lines.iter().collect();
    lines.retain(|line| line.name != "admin" || !line.action.contains("signIn"));
    let texts: Vec<String> = lines.iter().map(|line| told(line)).collect();
    assert_eq!(
        texts,
        [
            "admin Vaults/write 201",
            "admin certificates/write 201",
            "admin principals/write 201",
            "admin roleAssignments/write 201",
            "eve signIn/action 200",
            "eve signIn/action 200",
            "eve Vaults/delete 403",
            "eve principals/write 403",
            "eve signIn/action 401",
            " Vaults/delete 401",
        ]
    );
    let refused = lines[6];
    assert_eq!(refused.kind, Some(PrincipalKind::User));
    assert_eq!(refused.scope, format!("vault/{}", credentials.vault_id));
    assert_eq!(
        (refused.path.as_str(), refused.peer.as_str()),
        ("/api/v1/vaults/main", "127.0.0.1")
    );
    assert_eq!((lines[8].kind, lines[8].principal), (None, None));
}

#[tokio::test]
async fn the_log_is_read_by_pages_and_filters_and_exported() {
    let world = World::new().await;
    for name in ["one", "two", "six"] {
        world.vault(name).await;
        world.time.advance(jiff::SignedDuration::from_hours(1));
    }
    let vaults = AuditQuery {
        action: Some("microsoft.recoveryservices/vaults/WRITE".to_owned()),
        limit: Some(2),
        ..AuditQuery::default()
    };
    let administrator = world.administrator().await;
    let page = administrator.audit(&vaults).await.unwrap();
    assert_eq!(page.lines.len(), 2);
    let after = page.next;
    let rest = administrator
        .audit(&AuditQuery {
            after,
            ..vaults.clone()
        })
        .await
        .unwrap();
    assert_eq!((rest.lines.len(), rest.next), (1, None));
    let since = Some(world.now().saturating_sub(jiff::SignedDuration::from_hours(1)).unwrap());
    let late = world
        .audit(AuditQuery {
            since,
            ..vaults.clone()
        })
        .await;
    assert_eq!(late.len(), 1);
    let until = since;
    assert_eq!(
        world
            .audit(AuditQuery {
                until,
                ..vaults.clone()
            })
            .await
            .len(),
        2
    );
    let principal = Some(late[0].principal.unwrap().to_string());
    assert_eq!(
        world
            .audit(AuditQuery {
                principal,
                ..vaults.clone()
            })
            .await
            .len(),
        2
    );
    let principal = Some("nobody-of-that-name".to_owned());
    assert_eq!(world.audit(AuditQuery { principal, ..vaults }).await, []);

    let token = world.administrator_token().await;
    let path = "/api/v1/audit/export?action=Microsoft.RecoveryServices/Vaults/write";
    let export = world.call("GET", path, Some(&token), b"").await;
    assert!(export.head.contains("application/jsonl"), "{}", export.head);
    let body = String::from_utf8(export.body).unwrap();
    let objects = body.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<AuditLine> = objects.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        world.call("GET", "/api/v1/audit?x=y", Some(&token), b"").await.status,
        400
    );
}

#[tokio::test]
async fn what_is_done_is_written_down_although_its_caller_hangs_up() {
    let mut world = World::new().await;
    let token = world.administrator_token().await;
    let subscription = world.administrator().await.account().await.unwrap().subscription;
    for number in 0..64u64 {
        let (line, body) = match number % 2 {
            0 => (
                "POST /api/v1/resource-groups".to_owned(),
                format!("{{\"name\":\"group-{number}\"}}"),
            ),
            _ => (
                format!("PUT /subscriptions/{subscription}/resourceGroups/group-{number}?api-version=2021-04-01"),
                "{\"location\":\"local\"}".to_owned(),
            ),
        };
        let request = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = world.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(number / 2 % 8)).await;
        drop(stream);
    }
    // What is under way is finished first.
    world = world.restart().await;
    let groups = world
        .administrator()
        .await
        .resource_groups()
        .await
        .unwrap()
        .resource_groups;
    let all = AuditQuery {
        limit: Some(1000),
        ..AuditQuery::default()
    };
    let lines = world.audit(all).await;
    let written = lines
        .iter()
        .filter(|line| line.action.ends_with("resourceGroups/write") && line.status == 201);
    assert_eq!(written.count(), groups.len() - 1, "the group default is nobody's doing");
    assert!(groups.len() > 30, "{}", groups.len());
}

#[tokio::test]
async fn a_stranger_cannot_flood_the_log() {
    let world = World::new().await;
    for _ in 0..150 {
        assert_eq!(world.call("POST", "/api/v1/vaults", None, b"").await.status, 401);
    }
    let all = AuditQuery {
        limit: Some(1000),
        ..AuditQuery::default()
    };
    let lines = world.audit(all).await;
    assert_eq!(lines.iter().filter(|line| line.status == 401).count(), 120);
}
