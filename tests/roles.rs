//! Programs that sign in, roles and where they hold, the audit log and alerts, as people and scripts manage them with the
//! program.

use std::fs;

use serde_json::Value;

use crate::common::people::names;
use crate::common::program::run;
use crate::common::world::World;

#[test]
fn principals_sign_in_with_secrets_and_certificates() {
    let world = World::new();
    assert!(
        world
            .said_to_people(&["principal", "list"])
            .contains("strongroom principal create NAME")
    );
    let made = world
        .admin(&[
            "principal",
            "create",
            "nightly",
            "--redirect",
            "https://example.org/back",
        ])
        .done();
    let id = made["id"].as_str().unwrap();
    world
        .admin(&["principal", "create", "NIGHTLY"])
        .refused(&["NIGHTLY", "another name"]);
    world
        .admin(&["principal", "create", "other", "--redirect", "http://example.org/"])
        .refused(&["https"]);
    let as_principal = |more: &[&str]| world.login("robot", &[&["--service-principal", id], more].concat());
    as_principal(&[]).refused(&["--secret-file", "--certificate-file"]);

    let secret = world.path("nightly.secret").to_str().unwrap().to_owned();
    let added = world
        .admin(&[
            "principal",
            "add-secret",
            "nightly",
            "--label",
            "first",
            "--output",
            &secret,
        ])
        .done();
    let key = added["key"]["id"].as_str().unwrap();
    assert!(!added.to_string().contains(fs::read_to_string(&secret).unwrap().trim()));
    assert_eq!(as_principal(&["--secret-file", &secret]).done()["user"], "nightly");
    assert_eq!(
        world.run_as("robot", &["vault", "list"]).done()["vaults"],
        Value::Array(vec![])
    );
    world
        .admin(&["role", "assign", "backup-reader", "--to", "nightly"])
        .done();
    assert_eq!(
        names(&world.run_as("robot", &["vault", "list"]).done()["vaults"]),
        ["main"]
    );

    let pair = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["nightly".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&pair).unwrap().pem();
    let both = world.file("both.pem", &format!("{certificate}{}", pair.serialize_pem()));
    world
        .admin(&["principal", "add-certificate", "nightly", "--certificate-file", &both])
        .done();
    as_principal(&["--certificate-file", &both]).done();
    world.run_as("robot", &["vault", "list"]).done();
    let nothing = world.file("nothing.pem", "nothing");
    world
        .admin(&[
            "principal",
            "add-certificate",
            "nightly",
            "--certificate-file",
            &nothing,
        ])
        .refused(&["BEGIN CERTIFICATE"]);
    as_principal(&["--certificate-file", &nothing]).refused(&["nothing.pem"]);
    let shown = world.said_to_people(&["principal", "show", id]);
    for words in ["https://example.org/back", "secret       first", "certificate"] {
        assert!(shown.contains(words), "{words:?} is not said: {shown}");
    }

    assert_eq!(
        world.admin(&["principal", "remove-key", "nightly", key]).done()["deleted"],
        key
    );
    as_principal(&["--secret-file", &secret]).refused(&["unknown or disabled", "wrong or has expired"]);
    world
        .admin(&["principal", "remove-key", "nightly", key])
        .refused(&["strongroom principal show"]);
    world.admin(&["principal", "disable", "nightly"]).done();
    world
        .run_as("robot", &["vault", "list"])
        .refused(&["unknown or disabled"]);
    world.admin(&["principal", "enable", "nightly"]).done();
    world.run_as("robot", &["vault", "list"]).done();
    world.admin(&["principal", "delete", "nightly"]).done();
    world
        .run_as("robot", &["vault", "list"])
        .refused(&["unknown or disabled"]);
    world
        .admin(&["principal", "show", "nightly"])
        .refused(&["nightly", "strongroom principal list"]);
    assert_eq!(names(&world.admin(&["role", "list"]).done()["assignments"]), ["admin"]);
}

#[test]
fn roles_count_from_the_next_command_on() {
    let world = World::new();
    world.person("eve");
    let vaults = || {
        world.run_as("eve", &["vault", "list"]).done()["vaults"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(vaults(), 0);
    world
        .run_as("eve", &["vault", "show", "main"])
        .refused(&["no vault called main"]);
    let assign = |role: &str, scope: &str| world.admin(&["role", "assign", role, "--to", "eve", "--scope", scope]);
    let reader = assign("Backup Reader", "vault/main").done();
    assert_eq!(
        (&reader["name"], &reader["role"], &reader["scope"]),
        (&"eve".into(), &"Backup Reader".into(), &"vault/main".into())
    );
    assert_eq!(vaults(), 1);
    world
        .run_as("eve", &["vault", "delete", "main"])
        .refused(&["do not permit this"]);
    assign("backup-reader", "vault/MAIN").refused(&["already"]);
    assign("owner", "vault/absent").refused(&["no vault called absent"]);
    assign("owner", "resource-group/absent").refused(&["no resource group called absent"]);
    assign("owner", "everywhere")
        .with_status(2)
        .said(&["resource-group/NAME"]);
    assign("king", "subscription").with_status(2).said(&["Backup Operator"]);
    world
        .admin(&["role", "assign", "owner", "--to", "nobody"])
        .refused(&["nobody"]);
    let table = world.said_to_people(&["role", "list"]);
    assert!(table.contains("eve        Backup Reader  vault/main"), "{table}");
    let seen = world.run_as("eve", &["role", "list"]).done();
    assert_eq!(names(&seen["assignments"]), ["eve"]);

    let id = reader["id"].as_str().unwrap();
    assert_eq!(world.admin(&["role", "remove", id]).done()["removed"], id);
    assert_eq!(vaults(), 0);
    world.admin(&["role", "remove", id]).refused(&["strongroom role list"]);
    let list = world.admin(&["role", "list"]).done();
    let own = list["assignments"][0]["id"].as_str().unwrap();
    world
        .admin(&["role", "remove", own])
        .refused(&["make somebody else Owner first"]);
    assign("owner", "subscription").done();
    world.run_as("eve", &["role", "remove", own]).done();
    world.admin(&["user", "list"]).refused(&["do not permit this"]);
    let roles = world.run_as("eve", &["role", "definitions"]).done();
    let roles: Vec<_> = roles["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["role"].clone())
        .collect();
    assert_eq!(
        roles,
        ["Owner", "Backup Contributor", "Backup Operator", "Backup Reader"]
    );
}

#[test]
fn resource_groups_hold_vaults_and_roles() {
    let world = World::new();
    world.person("eve");
    let made = world
        .admin(&["resource-group", "create", "europe", "--tag", "cost=42=x"])
        .done();
    assert_eq!(
        (&made["name"], &made["tags"]["cost"]),
        (&"europe".into(), &"42=x".into())
    );
    world
        .admin(&["resource-group", "create", "Europe"])
        .refused(&["Europe", "already"]);
    world
        .admin(&["resource-group", "create", "x", "--tag", "y"])
        .with_status(2)
        .said(&["NAME=VALUE"]);
    world
        .admin(&["vault", "create", "paris", "--resource-group", "europe"])
        .done();
    world
        .admin(&[
            "role",
            "assign",
            "backup-contributor",
            "--to",
            "eve",
            "--scope",
            "resource-group/europe",
        ])
        .done();
    assert_eq!(
        names(&world.run_as("eve", &["vault", "list"]).done()["vaults"]),
        ["paris"]
    );
    assert_eq!(
        names(&world.run_as("eve", &["resource-group", "list"]).done()["resource_groups"]),
        ["europe"]
    );
    world
        .run_as("eve", &["resource-group", "show", "default"])
        .refused(&["no resource group called default"]);
    world
        .run_as("eve", &["resource-group", "delete", "europe"])
        .refused(&["do not permit this"]);
    let shown = world.said_to_people(&["resource-group", "show", "EUROPE"]);
    assert!(shown.contains("tags        cost=42=x"), "{shown}");
    assert!(
        world
            .said_to_people(&["resource-group", "list"])
            .starts_with("NAME     REGION")
    );
    world
        .admin(&["resource-group", "delete", "europe"])
        .refused(&["europe", "vault"]);
    world.admin(&["vault", "delete", "paris"]).done();
    assert_eq!(
        world.admin(&["resource-group", "delete", "europe"]).done()["deleted"],
        "europe"
    );
    world
        .admin(&["resource-group", "delete", "default"])
        .refused(&["default"]);
    world
        .admin(&["resource-group", "show", "europe"])
        .refused(&["no resource group called europe", "strongroom resource-group list"]);
}

#[test]
fn what_was_done_is_in_the_audit_log() {
    let world = World::new();
    world.person("eve");
    world.run_as("eve", &["user", "list"]).refused(&["do not permit this"]);
    world.sign_in_as("eve", "a wrong password").refused(&["wrong"]);
    let lines = |arguments: &[&str]| {
        let page = world.admin(&[&["audit", "list"], arguments].concat()).done();
        page["lines"].as_array().unwrap().clone()
    };
    let by_eve = lines(&["--principal", "eve"]);
    let seen: Vec<_> = by_eve
        .iter()
        .map(|line| (line["method"].as_str().unwrap(), line["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [("POST", 200), ("GET", 403), ("POST", 401)]);
    assert_eq!(
        (&by_eve[2]["name"], by_eve[2].get("kind")),
        (&"eve".into(), None),
        "nobody proved to be eve"
    );
    let created = lines(&["--action", "Microsoft.RecoveryServices/Vaults/write"]);
    assert_eq!(
        (created.len(), &created[0]["name"], &created[0]["path"]),
        (1, &"admin".into(), &"/api/v1/vaults".into())
    );
    assert_eq!(
        lines(&["--since", "2000-01-01T00:00:00Z", "--until", "2000-01-02T00:00:00Z"]).len(),
        0
    );
    world.admin(&["audit", "list", "--since", "yesterday"]).with_status(2);
    let table = world.said_to_people(&["audit", "list", "--limit", "2"]);
    assert!(
        table.contains("TIME") && table.contains("There may be more: --after 2"),
        "{table}"
    );
    assert!(world.said_to_people(&["audit", "list"]).contains("nobody (as eve)"));

    let all = lines(&[]);
    let exported = world.said_to_people(&["audit", "export"]);
    let exported: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(exported[..all.len()], all[..]);
    let rest = world.said_to_people(&["audit", "export", "--after", "1"]);
    assert_eq!(rest.lines().count(), exported.len() - 1);
    world
        .run_as("eve", &["audit", "export"])
        .refused(&["do not permit this"]);
    world.run_as("eve", &["audit", "list"]).refused(&["do not permit this"]);
}

#[test]
fn alerts_are_seen_to_with_a_note() {
    let world = World::new();
    world.person("eve");
    let machine = world.machine("web-1");
    world
        .admin(&["item", "protect", "web-1", "--policy", "DefaultFilesPolicy"])
        .done();
    let none = world.said_to_people(&["alert", "list"]);
    assert!(none.contains("There are no such alerts"), "{none}");
    run(machine.backup_command(&world.folder("source"))).done();
    world.admin(&["item", "stop", "web-1", "--delete-data"]).done();
    let list = world.admin(&["alert", "list", "--kind", "DeleteBackupData"]).done();
    let [alert] = &list["alerts"].as_array().unwrap()[..] else {
        panic!("{list}")
    };
    let id = alert["id"].as_str().unwrap();
    assert_eq!(
        (&alert["state"], &alert["severity"]),
        (&"Active".into(), &"Critical".into())
    );
    let shown = world.said_to_people(&["alert", "show", id]);
    assert!(
        shown.contains("state       Active") && shown.contains("about       web-1"),
        "{shown}"
    );
    assert!(
        world
            .said_to_people(&["alert", "list", "--status", "Active"])
            .contains("DeleteBackupData")
    );
    assert_eq!(
        world.admin(&["alert", "list", "--severity", "Information"]).done()["alerts"],
        Value::Array(vec![])
    );

    world
        .run_as("eve", &["alert", "list", "--vault", "main"])
        .refused(&["no vault called main"]);
    world
        .run_as("eve", &["alert", "close", id, "--vault", "main"])
        .refused(&["no vault called main"]);
    world.admin(&["role", "assign", "backup-reader", "--to", "eve"]).done();
    assert_eq!(world.run_as("eve", &["alert", "show", id]).done()["id"], id);
    world
        .run_as("eve", &["item", "undelete", "web-1"])
        .refused(&["do not permit this"]);
    let closed = world
        .run_as("eve", &["alert", "close", id, "--note", "eve saw to it"])
        .done();
    assert_eq!(
        (&closed["state"], &closed["ended_by"], &closed["note"]),
        (&"Inactive".into(), &"eve".into(), &"eve saw to it".into())
    );
    assert!(
        world
            .said_to_people(&["alert", "show", id])
            .contains("note        eve saw to it")
    );
    world.admin(&["alert", "close", id]).refused(&["Inactive"]);
    let nothing = "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e";
    world.admin(&["alert", "show", nothing]).refused(&["alert"]);
    world.admin(&["alert", "show", "x"]).with_status(2).said(&["alert id"]);
    world
        .admin(&["alert", "list", "--status", "Open"])
        .with_status(2)
        .said(&["Active"]);
    assert_eq!(
        world.admin(&["alert", "notify", "--mail", "ops@example.org"]).done()["settings"]["recipients"][0],
        "ops@example.org"
    );
    let test = world.admin(&["alert", "test"]);
    test.with_status(1);
    assert!(test.stdout.contains("no mail server"), "{test}");
}
