//! Who may do what, as people and scripts manage it with the program.

mod common;

use std::fs;

use common::people::PASSWORD;
use common::program::{Running, run, strongroom, wait_for};
use common::world::World;
use serde_json::Value;

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list").iter();
    list.map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn users_are_made_changed_shut_and_deleted() {
    let world = World::new();
    let password = world.file("password", PASSWORD);
    let made = world.admin(&[
        "user",
        "create",
        "eve",
        "--email",
        "eve@example.org",
        "--password-file",
        &password,
    ]);
    let made = made.done();
    assert_eq!(
        (&made["name"], &made["email"], &made["has_password"]),
        (&"eve".into(), &"eve@example.org".into(), &true.into())
    );
    assert_eq!(made.get("invitation"), None);
    assert_eq!(names(&world.admin(&["user", "list"]).done()["users"]), ["admin", "eve"]);
    let shown = world.said_to_people(&["user", "show", "EVE"]);
    for line in [
        "name                eve",
        "e-mail              eve@example.org",
        "state               enabled",
        "one-time passwords  no",
    ] {
        assert!(shown.contains(line), "{line:?} is not said: {shown}");
    }
    assert!(world.said_to_people(&["user", "list"]).contains("E-MAIL"));
    let changed = world
        .admin(&["user", "set", "eve", "--email", "eve@example.com"])
        .done();
    assert_eq!(changed["email"], "eve@example.com");
    assert!(
        world
            .said_to_people(&["user", "set", "eve", "--no-email"])
            .contains("No mail reaches eve")
    );

    world.sign_in_as("eve", PASSWORD).done();
    world.run_as("eve", &["vault", "list"]).done();
    assert_eq!(world.admin(&["user", "disable", "eve"]).done()["disabled"], true);
    world
        .run_as("eve", &["vault", "list"])
        .refused(&["session is over", "strongroom login"]);
    world
        .sign_in_as("eve", PASSWORD)
        .refused(&["user name or the password is wrong"]);
    world
        .admin(&["user", "invite", "eve"])
        .refused(&["shut", "strongroom user enable eve"]);
    assert!(
        world
            .said_to_people(&["user", "enable", "eve"])
            .contains("eve is enabled now")
    );
    world.sign_in_as("eve", PASSWORD).done();
    assert_eq!(world.admin(&["user", "delete", "eve"]).done()["deleted"], "eve");
    world.run_as("eve", &["vault", "list"]).refused(&["session is over"]);
}

#[test]
fn users_that_cannot_be_made_or_changed() {
    let world = World::new();
    world.person("eve");
    let (good, short) = (world.file("good", PASSWORD), world.file("short", "eleven char"));
    let create = |name: &str, file: &str| world.admin(&["user", "create", name, "--password-file", file]);
    create("EVE", &good).refused(&["a user called EVE already", "another name"]);
    create("bob", &short).refused(&["11 characters", "at least 12"]);
    create("bob", "/nowhere/password").refused(&["/nowhere/password"]);
    create("b b", &good).with_status(2).said(&["1 to 64 characters"]);
    world
        .admin(&["user", "create", "bob", "--email", "bob"])
        .with_status(2)
        .said(&["bob"]);
    world.admin(&["user", "set", "eve"]).with_status(2).said(&["--email"]);
    for arguments in [
        ["user", "show", "nobody"].as_slice(),
        &["user", "disable", "nobody"],
        &["user", "delete", "nobody"],
        &["user", "invite", "nobody"],
        &["user", "set", "nobody", "--no-email"],
        &["user", "totp", "reset", "nobody"],
    ] {
        world
            .admin(arguments)
            .refused(&["no user called nobody", "strongroom user list"]);
    }
    for arguments in [["user", "delete", "admin"].as_slice(), &["user", "disable", "admin"]] {
        world
            .admin(arguments)
            .refused(&["Nobody who can sign in would own", "make somebody else Owner first"]);
    }
    world
        .admin(&["user", "link", "eve", "--provider", "corp", "--subject", "1"])
        .refused(&["no provider called corp", "configuration"]);
    let nothing = "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e";
    world
        .admin(&["user", "unlink", "eve", nothing])
        .refused(&["no identity of this id", "strongroom user show eve"]);
    world
        .admin(&["user", "unlink", "eve", "x"])
        .with_status(2)
        .said(&["identity id"]);
    for arguments in [
        ["user", "list"].as_slice(),
        &["user", "show", "admin"],
        &["user", "delete", "admin"],
        &["user", "create", "mallory"],
        &["principal", "list"],
        &["audit", "list"],
    ] {
        world.run_as("eve", arguments).refused(&["do not permit this"]);
    }
    world
        .run_as("stranger", &["user", "list"])
        .refused(&["not signed in", "strongroom login"]);
}

#[test]
fn who_is_invited_sets_a_password_once() {
    let world = World::new();
    let said = world.said_to_people(&["user", "create", "eve"]);
    assert!(said.contains("Hand this link to eve by a safe way"), "{said}");
    let link = said
        .split_whitespace()
        .find(|word| word.contains("/welcome?link="))
        .expect("a link");
    let form = |password: &str| format!("password={password}&again={password}");
    assert!(world.browse(link, &[&form("short")]).contains("has 5 characters"));
    let page = world.browse(link, &[&form("short"), &form("twelve+letters")]);
    assert!(page.contains("Your password is set"), "{page}");
    world.sign_in_as("eve", "twelve letters").done();
    assert!(world.browse(link, &[]).contains("strongroom user invite"));
    let again = world.admin(&["user", "invite", "eve"]).done();
    let link = again["link"].as_str().unwrap();
    assert!(
        world
            .browse(link, &[&form("another+password")])
            .contains("eve has the new password")
    );
    world.run_as("eve", &["vault", "list"]).refused(&["session is over"]);
    world
        .sign_in_as("eve", "twelve letters")
        .refused(&["password is wrong"]);
    world.sign_in_as("eve", "another password").done();
}

#[test]
fn somebody_signs_in_by_a_code_in_a_browser_elsewhere() {
    let world = World::new();
    world.person("eve");
    let code_of = |waiting: &Running| {
        wait_for("the code", || {
            let said = waiting.has_said();
            said.strip_suffix('\n')
                .map(|line| line.split(' ').next_back().unwrap().to_owned())
        })
    };
    let waiting = Running::start(world.login_command("laptop", &[]));
    let code = code_of(&waiting);
    assert!(
        waiting
            .has_said()
            .contains(&format!("open {}/device in a browser", world.service.url))
    );
    let device = format!("{}/device", world.service.url);
    assert!(
        world
            .browse(&device, &["user_code=BBBB-BBBB"])
            .contains("There is no such code")
    );
    let code_form = format!("user_code={}", code.to_lowercase());
    let person = |password: &str| format!("username=eve&password={}&decision=allow", password.replace(' ', "+"));
    let page = world.browse(&device, &[&code_form, &person("wrong"), &person(PASSWORD)]);
    assert!(page.contains("The program goes on by itself"), "{page}");
    let ended = waiting.wait();
    ended.with_status(0);
    assert_eq!(ended.value()["user"], "eve");
    assert_eq!(
        world.run_as("laptop", &["vault", "list"]).done()["vaults"],
        Value::Array(vec![])
    );

    let refused = Running::start(world.login_command("laptop", &[]));
    let form = format!("user_code={}", code_of(&refused));
    assert!(
        world
            .browse(&device, &[&form, "decision=refuse"])
            .contains("The program was told so")
    );
    let ended = refused.wait();
    ended.with_status(1);
    assert!(
        ended.stderr.ends_with("strongroom: The sign-in was refused\n"),
        "{ended}"
    );
    assert_eq!(world.admin(&["logout"]).done()["signed_out"], true);
    world.admin(&["vault", "list"]).refused(&["not signed in"]);
}

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
fn guesses_cost_patience_and_lock_nobody_else_out() {
    let world = World::new();
    world.person("eve");
    let wrong = || world.sign_in_as("eve", "a wrong password");
    let slowed = (0..12).map(|_| wrong()).find(|ended| ended.stderr.contains("Too many"));
    slowed
        .expect("nobody slows the guesses down")
        .refused(&["Too many sign-ins have failed", "wait", "seconds"]);
    // Whoever is signed in already, and whoever else signs in, is not held up.
    world.run_as("eve", &["vault", "list"]).done();
    world.sign_in().done();
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
    assert!(none.contains("There are no alerts"), "{none}");
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
        .run_as("eve", &["alert", "notify", "--severity", "Critical"])
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
        world.admin(&["alert", "notify", "--mail", "ops@example.org"]).done()["notifications"]["settings"]["recipients"]
            [0],
        "ops@example.org"
    );
    let test = world.admin(&["alert", "test"]);
    test.with_status(1);
    assert!(test.stdout.contains("no mail server"), "{test}");
}

#[test]
fn a_provider_that_cannot_be_used_is_named() {
    let world = World::new();
    let secret = world.file("secret", "a secret");
    let provider = |issuer: &str, secret: &str, more: &str| {
        format!(
            "[[provider]]\nname = \"corp\"\nissuer = \"{issuer}\"\nclient_id = \"strongroom\"\nsecret_file = \"{secret}\"\n{more}\n"
        )
    };
    let right = provider("https://login.example.org", &secret, "");
    for (config, words) in [
        (
            provider("http://login.example.org", &secret, ""),
            ["provider corp", "is no issuer"],
        ),
        (
            provider("https://login.example.org", "/nowhere/secret", ""),
            ["cannot read", "/nowhere/secret"],
        ),
        (
            provider("https://login.example.org", &secret, "required_claim = \"groups\""),
            ["corp", "required_values"],
        ),
        (
            provider("https://login.example.org", &secret, &format!("ca_file = \"{secret}\"")),
            ["corp", "no certificate"],
        ),
        (format!("{right}{right}"), ["corp", "two of that name"]),
        (
            provider("https://login.example.org", &secret, "secret = \"x\""),
            ["cannot use", "secret"],
        ),
    ] {
        let file = world.file("config.toml", &config);
        let data = world.path("other").to_str().unwrap().to_owned();
        let ended = run(strongroom([
            "serve",
            "-q",
            "--listen",
            "127.0.0.1:0",
            "--data",
            &data,
            "--config",
            &file,
        ]));
        ended.with_status(1).said(&words);
    }
}
