//! What takes protection away, as people do it: at a machine with a security PIN, and with a second person's approval.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::common;
use crate::common::program::{Ended, run, strongroom};
use crate::common::world::World;

const PASSWORD: &str = "a password of a test";

/// Somebody with a session of his own.
struct Person<'a> {
    world: &'a World,
    name: &'static str,
}

impl<'a> Person<'a> {
    /// Makes the user, with a role, and signs in.
    fn new(world: &'a World, name: &'static str, role: &str, scope: &str) -> Self {
        let password = world.path(&format!("{name}.password"));
        fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        let password = password.to_str().unwrap();
        world
            .admin(&["user", "create", name, "--password-file", password])
            .done();
        world
            .admin(&["role", "assign", role, "--to", name, "--scope", scope])
            .done();
        let person = Self { world, name };
        let ca_file = world.service.ca_file.to_str().unwrap();
        let url = world.service.url.clone();
        person
            .run(&[
                "login",
                &url,
                "--ca",
                ca_file,
                "--user",
                name,
                "--password-file",
                password,
            ])
            .done();
        person
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = strongroom(["--json"]);
        command
            .args(arguments)
            .env("STRONGROOM_CONFIG", self.world.path(self.name));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(self.command(arguments))
    }

    /// A file with a new PIN of the vault.
    fn pin_file(&self) -> PathBuf {
        let given = self.run(&["vault", "pin", "main"]).done();
        let file = self.world.path("pin");
        fs::write(&file, format!("{}\n", given["pin"].as_str().unwrap())).unwrap();
        file
    }
}

#[test]
fn a_machine_leaves_with_a_pin() {
    let world = World::new();
    let machine = world.machine("web");
    let source = world.folder("source");
    fs::write(source.join("letter"), "dear all").unwrap();
    machine.back_up(&source);
    world.admin(&["item", "protect", "web"]).done();
    let vera = Person::new(&world, "vera", "owner", "vault/main");

    let wrong = world.path("wrong");
    let pin = vera.pin_file();
    let text = fs::read_to_string(&pin).unwrap();
    let number: u32 = text.trim().parse().unwrap();
    fs::write(&wrong, format!("{:06}\n", (number + 1) % 1_000_000)).unwrap();
    let delete = |file: &PathBuf| {
        machine.run(&[
            "agent",
            "stop-protection",
            "--delete-data",
            "--pin-file",
            file.to_str().unwrap(),
        ])
    };
    delete(&wrong).refused(&["100130", "strongroom vault pin main"]);
    let stopped = delete(&pin).done();
    assert_eq!(stopped["item"]["state"], "ProtectionStopped");
    delete(&pin).refused(&["100130"]);
    world.admin(&["item", "undelete", "web"]).done();

    fs::write(&wrong, "12345\n").unwrap();
    let leave = |file: &PathBuf| machine.run(&["agent", "unregister", "--pin-file", file.to_str().unwrap()]);
    leave(&wrong).refused(&["six digits"]);
    machine.run(&["agent", "unregister"]).refused(&["--pin-file"]);
    leave(&vera.pin_file()).done();
    machine.run(&["agent", "status"]).refused(&["not registered"]);
    // The folder takes a new registration, and what it left is brought back by people.
    assert!(machine.state.join("master.key").exists());
    let passphrase = world.passphrase_file("web", common::world::PASSPHRASE);
    world.register(&machine, &world.credentials(), &passphrase).done();
    assert!(machine.points().is_empty());
}

#[test]
fn one_asks_and_another_approves() {
    let world = World::new();
    let machine = world.machine("web");
    world.admin(&["item", "protect", "web"]).done();
    let vera = Person::new(&world, "vera", "owner", "vault/main");
    world.admin(&["resource-group", "create", "security"]).done();
    let eve = Person::new(&world, "eve", "owner", "resource-group/security");
    let at = ["--resource-group", "security"];
    let guard = eve
        .run(
            &[
                &["guard", "create", "two-people", "--except", "StopProtection"],
                &at[..],
            ]
            .concat(),
        )
        .done();
    assert_eq!(guard["operations"].as_array().unwrap().len(), 7);
    eve.run(&[&["guard", "create", "weak", "--except", "RemoveGuard"], &at[..]].concat())
        .refused(&["cannot be excepted"]);
    let set = [&["vault", "guard", "set", "main", "--guard", "two-people"], &at[..]].concat();
    vera.run(&set).refused(&["no resource group called security"]);
    let under = world.admin(&set).done();
    assert!(
        under["warning"].as_str().unwrap().contains("belongs to somebody else"),
        "{under}"
    );

    // The refusal says how to ask; word for word that is what Vera does.
    let delete = ["item", "stop", "web", "--delete-data"];
    let asks = ["approval", "request", "DeleteData", "--vault", "main", "--item", "web"];
    vera.run(&delete)
        .refused(&[&format!("`strongroom {}`", asks.join(" "))]);
    let asked = vera.run(&[&asks[..], &["--reason", "it is scrapped"]].concat()).done();
    let id = asked["id"].as_str().unwrap();
    let decide = |word| [&["approval", word, id, "--guard", "two-people"], &at[..]].concat();
    vera.run(&delete).refused(&["second person"]);
    vera.run(&decide("approve")).refused(&["no resource group"]);
    let waiting = eve
        .run(&[&["approval", "list", "--guard", "two-people"], &at[..]].concat())
        .done();
    let waiting = &waiting["approvals"][0];
    assert_eq!(
        (&waiting["requester"], &waiting["reason"]),
        (&"vera".into(), &"it is scrapped".into())
    );
    eve.run(&decide("approve")).done();
    eve.run(&decide("deny")).refused(&["Approved"]);
    let stopped = vera.run(&delete).done();
    assert_eq!(stopped["item"]["state"], "ProtectionStopped");
    let list = vera.run(&["approval", "list"]).done();
    assert_eq!(list["approvals"][0]["state"], "Used");
    vera.run(&["item", "undelete", "web"]).done();
    vera.run(&delete).refused(&["second person"]);

    // At the machine it takes both: a PIN, which is guarded too, and the approval.
    vera.run(&["vault", "pin", "main"])
        .refused(&["approval request GetSecurityPin --vault main`"]);
    for words in [&["GetSecurityPin"][..], &["DeleteData", "--item", "web"]] {
        let asked = vera.run(&[&["approval", "request"], words].concat()).done();
        let id = asked["id"].as_str().unwrap();
        eve.run(&[&["approval", "approve", id, "--guard", "two-people"], &at[..]].concat())
            .done();
    }
    let pin = vera.pin_file();
    machine
        .run(&["agent", "unregister", "--pin-file", pin.to_str().unwrap()])
        .done();

    eve.run(&[&["guard", "delete", "two-people"], &at[..]].concat())
        .refused(&["(main)"]);
    vera.run(&["vault", "guard", "remove", "main"])
        .refused(&["RemoveGuard"]);
    let asked = vera.run(&["approval", "request", "RemoveGuard"]).done();
    let id = asked["id"].as_str().unwrap();
    eve.run(&[&["approval", "approve", id, "--guard", "two-people"], &at[..]].concat())
        .done();
    vera.run(&["vault", "guard", "remove", "main"]).done();
    vera.run(&["vault", "guard", "show", "main"])
        .refused(&["under no resource guard"]);
    eve.run(&[&["guard", "delete", "two-people"], &at[..]].concat()).done();
}
