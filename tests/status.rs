//! How a machine stands, and how it is stopped, for the person at it.

use std::path::Path;

use serde_json::Value;

use crate::common::machine::Machine;
use crate::common::program::{Running, run, strongroom, wait_for};
use crate::common::random::Random;
use crate::common::tree::{self, Size};
use crate::common::world::World;

fn status(machine: &Machine) -> Value {
    machine.run(&["agent", "status"]).done()
}

/// Half a minute's work at the lowest limit, which is set.
fn slow_source(world: &World, machine: &Machine) -> std::path::PathBuf {
    let source = world.path("slow");
    let size = Size {
        small: 2,
        large: 4,
        large_bytes: 2 << 20,
    };
    tree::make(&source, &mut Random::new(), &size);
    let slow = [
        "agent",
        "settings",
        "--upload-work=512kbit",
        "--upload-non-work=512kbit",
    ];
    machine.run(&slow).done();
    source
}

fn text_of(machine: &Machine) -> String {
    let mut command = strongroom(["agent", "status", "--state"]);
    command.arg(&machine.state);
    let ended = run(command);
    ended.with_status(0);
    ended.stdout
}

fn protect(world: &World, name: &str) {
    let protect = [
        "item",
        "protect",
        name,
        "--vault",
        "main",
        "--policy",
        "DefaultFilesPolicy",
    ];
    world.admin(&protect).done();
}

#[test]
fn a_machine_knows_how_it_stands() {
    let world = World::new();
    let machine = world.machine("web-1");
    let fresh = status(&machine);
    assert_eq!((&fresh["machine"], &fresh["vault"]), (&"web-1".into(), &"main".into()));
    assert_eq!(fresh["agent_runs"], false);
    assert_eq!(fresh["latest_point"], Value::Null);
    assert_eq!(fresh["protection"]["policy"], Value::Null);
    assert!(text_of(&machine).contains("nothing yet"), "nothing is selected");

    let source = world.folder("source");
    std::fs::write(source.join("file"), "contents").unwrap();
    let path = source.to_str().unwrap();
    let set = [
        "agent",
        "settings",
        "--path",
        path,
        "--upload-work=20mbit",
        "--upload-non-work=20mbit",
    ];
    machine.run(&set).done();
    protect(&world, "web-1");
    machine.back_up(&source);
    machine.run(&[
        "restore",
        "latest",
        "/does/not/exist",
        "--to",
        world.path("nowhere").to_str().unwrap(),
    ]);
    let agent = Running::start(machine.command(&["agent", "run"]));
    let known = wait_for("the agent", || {
        let known = status(&machine);
        (known["agent_runs"] == true).then_some(known)
    });
    assert_eq!(known["protection"]["policy"], "DefaultFilesPolicy");
    assert!(known["protection"]["next_backup"].is_string());
    assert_eq!(known["paths"][0], path);
    assert_eq!(known["limits"]["upload"], "20mbit");
    assert_eq!(known["limits"]["download"], "unlimited");
    assert_eq!(known["latest_point"]["id"], machine.points()[0].as_str());
    let last = known["last"].as_array().unwrap();
    let backup = last.iter().find(|job| job["operation"] == "Backup").unwrap();
    assert_eq!(
        (&backup["state"], &backup["point"]),
        (&"Completed".into(), &known["latest_point"]["id"])
    );
    let text = text_of(&machine);
    for words in [
        "web-1",
        "main at https://",
        "waits for work",
        path,
        "upload 20mbit, download unlimited",
        "DefaultFilesPolicy",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // However it ends: the lock is the kernel's.
    drop(agent);
    assert_eq!(status(&machine)["agent_runs"], false);
}

#[test]
fn what_is_known_here_is_shown_while_the_service_is_away() {
    let mut world = World::new();
    let machine = world.machine("alone");
    machine.run(&["agent", "settings", "--path", "/etc"]).done();
    world.service.stop();
    let ended = machine.run(&["agent", "status"]);
    ended.with_status(3);
    let known = ended.value();
    assert_eq!(
        (&known["reachable"], &known["paths"][0]),
        (&false.into(), &"/etc".into())
    );
    assert!(
        known["problem"].as_str().unwrap().contains(&world.service.listen),
        "{known}"
    );
    assert_eq!(known.get("protection"), None);
    machine.run(&["agent", "cancel"]).refused(&[&world.service.listen]);
    world.service.start_again();
    assert_eq!(status(&machine)["reachable"], true);
}

#[test]
fn alerts_that_stand_are_told() {
    let world = World::new();
    let machine = world.machine("amiss");
    // A scheduled backup of nothing fails, and raises an alert.
    protect(&world, "amiss");
    let agent = Running::start(machine.command(&["agent", "run"]));
    world.admin(&["item", "backup", "amiss", "--vault", "main"]).done();
    let known = wait_for("an alert", || {
        let known = status(&machine);
        (!known["alerts"].as_array().unwrap().is_empty()).then_some(known)
    });
    assert_eq!(known["last"][0]["state"], "Failed");
    assert_eq!(known["last"][0]["errors"][0]["code"], "NothingSelected");
    assert!(text_of(&machine).contains("alerts"), "{}", agent.has_said());
}

/// A backup that goes on until it is stopped.
fn begin_slow_backup(machine: &Machine, source: &Path) -> (Running, String) {
    let running = Running::start(machine.backup_command(source));
    let job = wait_for("the backup", || {
        let known = status(machine);
        Some(known["running"].as_array()?.first()?["id"].as_str()?.to_owned())
    });
    (running, job)
}

#[test]
fn a_machine_stops_its_own_backup_and_no_others() {
    let world = World::new();
    let machines = ["one", "other"].map(|name| world.machine(name));
    let [one, other] = &machines;
    one.run(&["agent", "cancel"]).refused(&["nothing to cancel"]);
    let source = slow_source(&world, one);
    let (running, job) = begin_slow_backup(one, &source);

    other.run(&["agent", "cancel"]).refused(&["nothing to cancel"]);
    other.run(&["agent", "cancel", &job]).refused(&["There is no such job"]);
    assert_eq!(status(one)["running"][0]["state"], "InProgress");

    let told = one.run(&["agent", "cancel"]).done();
    assert_eq!(
        (&told["id"], &told["state"]),
        (&job.as_str().into(), &"Cancelling".into())
    );
    let ended = running.wait();
    ended.with_status(1).said(&["what was done so far is kept"]);
    wait_for("its end", || {
        (status(one)["last"][0]["state"] == "Cancelled").then_some(())
    });
    one.run(&["agent", "cancel", &job]).refused(&["over"]);

    // It goes on where it was.
    one.run(&[
        "agent",
        "settings",
        "--upload-work=unlimited",
        "--upload-non-work=unlimited",
    ])
    .done();
    one.back_up(&source);
}
