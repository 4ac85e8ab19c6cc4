//! What a service says of itself is what it does: Schemathesis makes requests of the served description, right ones and wrong
//! ones, and holds every answer against it. `scripts/schemathesis` installs it from the network
//! the first time.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use strongroom_api::{AssertionClaims, MachineKey};

use crate::common::machine::Machine;
use crate::common::world::World;

/// Where `scripts/schemathesis` has put it.
fn python() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/schemathesis");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// What proves that somebody is the machine, for five minutes.
fn assertion(machine: &Machine) -> String {
    let file = |name| fs::read(machine.state.join(name)).unwrap();
    let key = MachineKey::from_pkcs8(&file("machine.key")).unwrap();
    let state: Value = serde_json::from_slice(&file("machine.json")).unwrap();
    let container = state["container"].as_str().unwrap().parse().unwrap();
    AssertionClaims::new(container, jiff::Timestamp::now())
        .sign(&key)
        .reveal()
        .to_owned()
}

/// Tries every operation as this caller, on a service with something of everything in it.
fn check(caller: &str) {
    let world = World::new();
    let source = world.folder("source");
    fs::write(source.join("file"), "contents").unwrap();
    let machines = ["a", "b"].map(|name| world.machine(name));
    for machine in &machines {
        machine.back_up(&source);
    }
    let facts = json!({
        "url": world.service.url,
        "ca": world.service.ca_file,
        "password": fs::read_to_string(&world.service.password_file).unwrap().trim(),
        "assertion": assertion(&machines[0]),
    });
    let file = world.folder("schemathesis").join("world.json");
    fs::write(&file, facts.to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/run.py");
    let output = Command::new(python())
        .args([script, caller])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success(),
        "{caller}:\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let log = world.service.log();
    let amiss = log
        .lines()
        .find(|line| line.contains("panicked at") || line.contains("\"ERROR\""));
    assert_eq!(amiss, None);
}

#[test]
fn the_administrator_meets_no_answer_that_is_not_described() {
    check("administrator");
}

#[test]
fn a_machine_meets_no_answer_that_is_not_described() {
    check("machine");
}

#[test]
fn nobody_meets_no_answer_that_is_not_described() {
    check("nobody");
}
