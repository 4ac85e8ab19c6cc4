//! Who may do what, as people and scripts manage it with the program.

use serde_json::Value;

use crate::common::people::{PASSWORD, names};
use crate::common::program::{Running, run, strongroom, wait_for};
use crate::common::world::World;

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
