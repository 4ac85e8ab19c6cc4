//! What a machine backs up is kept in the vault, sealed. It is changed at the machine or from elsewhere, and whatever is put
//! back to an older state, both agree again, and say so.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::machine::Machine;
use crate::common::program::{Ended, Running, run, wait_for};
use crate::common::service::files_below;
use crate::common::world::World;

struct Scene {
    world: World,
    machine: Machine,
    source: PathBuf,
    passphrase: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let source = world.folder("source-of-the-canary");
        fs::write(source.join("kept"), "kept").unwrap();
        fs::write(source.join("film.iso"), "film").unwrap();
        let machine = world.machine("web-1");
        let scene = Self {
            passphrase: world.path("web-1.passphrase"),
            world,
            machine,
            source,
        };
        scene.here(&["--path", scene.source.to_str().unwrap()]).done();
        scene
    }

    /// `agent settings`, at the machine.
    fn here(&self, arguments: &[&str]) -> Ended {
        self.machine.run(&[&["agent", "settings"], arguments].concat())
    }

    /// `item settings`, by the administrator, somewhere else.
    fn elsewhere(&self, arguments: &[&str]) -> Ended {
        self.with_passphrase(&self.passphrase, arguments)
    }

    fn with_passphrase(&self, file: &Path, arguments: &[&str]) -> Ended {
        let mut command = self
            .world
            .admin_command(&["item", "settings", "web-1", "--passphrase-file"]);
        command.arg(file).args(arguments);
        run(command)
    }
}

fn news(shown: &Value) -> &str {
    shown["news"].as_str().unwrap_or_default()
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success());
}

/// Puts `copy` in the place of `folder`.
fn put_back(folder: &Path, copy: &Path) {
    fs::remove_dir_all(folder).unwrap();
    fs::rename(copy, folder).unwrap();
}

#[test]
fn whoever_has_the_passphrase_changes_them_from_elsewhere_and_the_service_reads_nothing() {
    let scene = Scene::new();
    let path = scene.source.to_str().unwrap();
    let shown = scene.elsewhere(&[]).done();
    assert_eq!((&shown["paths"], &shown["generation"]), (&json!([path]), &json!(2)));
    let changed = scene.elsewhere(&["--exclude", "*.iso"]).done();
    assert_eq!(
        (&changed["exclude"], &changed["generation"]),
        (&json!(["*.iso"]), &json!(3))
    );
    // The machine's next look, whatever it is for, has it.
    let here = scene.here(&[]).done();
    assert_eq!(here["exclude"], json!(["*.iso"]));
    assert!(
        news(&here).contains("generation 3) are newer than those here (generation 2)"),
        "{here}"
    );
    assert_eq!(news(&scene.here(&[]).done()), "");
    // And from here to there.
    scene.here(&["--remove-exclude", "*.iso", "--preset", "caches"]).done();
    let there = scene.elsewhere(&[]).done();
    assert_eq!((&there["exclude"], &there["presets"]), (&json!([]), &json!(["Caches"])));
    // It is in the audit log, without what it is.
    let lines = scene
        .world
        .admin(&["audit", "list", "--limit", "1000"])
        .done()
        .to_string();
    assert!(lines.contains("/items/") && lines.contains("/settings"), "{lines}");
    // Refusals change nothing.
    let other = scene.world.passphrase_file("other", "another passphrase, 16 and more");
    scene
        .with_passphrase(&other, &["--exclude", "x"])
        .refused(&["passphrase is wrong"]);
    scene.elsewhere(&["--path", "srv"]).refused(&["begin it with a slash"]);
    scene
        .elsewhere(&["--remove-exclude", "y"])
        .refused(&["\"y\" is not among the settings"]);
    assert_eq!(scene.elsewhere(&[]).done()["generation"], 4);
    // The service has never seen a name.
    for file in files_below(&scene.world.service.data)
        .iter()
        .chain([&scene.world.service.log_file().to_owned()])
    {
        let bytes = fs::read(file).unwrap();
        let name = b"source-of-the-canary";
        let found = bytes.windows(name.len()).any(|window| window == name);
        assert!(!found, "{} has the name of a folder", file.display());
    }
}

#[test]
fn a_client_that_runs_is_small_and_takes_over_what_is_changed_elsewhere() {
    let scene = Scene::new();
    let client = Running::start(scene.machine.command(&["agent", "run"]));
    wait_for("the link", || client.has_said().contains("linked:").then_some(()));
    scene.elsewhere(&["--exclude", "*.iso"]).done();
    wait_for("the new settings", || {
        client.has_said().contains("(generation 3) are newer").then_some(())
    });
    let copy = fs::read_to_string(scene.machine.state.join("settings.json")).unwrap();
    assert!(copy.contains("*.iso"), "{copy}");
    // Waiting costs next to nothing.
    let resident = client.resident_bytes() >> 20;
    assert!(resident <= 30, "{resident} MiB");
    // A job that comes down the link goes by them.
    scene.world.admin(&["item", "protect", "web-1"]).done();
    scene.world.admin(&["item", "backup", "web-1", "--wait"]).done();
    drop(client);
    let listed = scene.machine.run(&["ls", "latest"]);
    assert!(
        listed.stdout.contains("kept") && !listed.stdout.contains("film.iso"),
        "{listed}"
    );
}

#[test]
fn a_client_whose_copy_cannot_be_used_says_so_and_goes_on_listening() {
    let scene = Scene::new();
    let copy = scene.machine.state.join("settings.json");
    fs::remove_file(&copy).unwrap();
    fs::create_dir(&copy).unwrap();
    let client = Running::start(scene.machine.command(&["agent", "run"]));
    wait_for("the link", || client.has_said().contains("linked:").then_some(()));
    assert!(
        client.has_said().contains("cannot be compared now"),
        "{}",
        client.has_said()
    );
    // A backup says that it cannot begin, instead of never being tried.
    scene.world.admin(&["item", "protect", "web-1"]).done();
    scene.world.admin(&["item", "backup", "web-1", "--wait"]).with_status(1);
    fs::remove_dir(&copy).unwrap();
    scene.world.admin(&["item", "backup", "web-1", "--wait"]).done();
}

#[test]
fn a_machine_that_was_put_back_to_an_older_state_says_so_and_goes_on_from_the_vaults() {
    let scene = Scene::new();
    scene.machine.run(&["backup"]).done();
    let older = scene.world.path("older.state");
    copy(&scene.machine.state, &older);
    scene.here(&["--exclude", "*.iso"]).done();
    // One newer point could be this machine's own, made just before it was killed.
    for name in ["later", "still later"] {
        fs::write(scene.source.join(name), name).unwrap();
        scene.machine.run(&["backup"]).done();
    }
    put_back(&scene.machine.state, &older);
    let ended = scene.machine.run(&["backup"]);
    ended.with_status(3).said(&["newer than those here"]);
    let warnings = ended.value()["warnings"].to_string();
    assert!(warnings.contains("or this machine was put back"), "{warnings}");
    let listed = scene.machine.run(&["ls", "latest"]);
    assert!(
        listed.stdout.contains("still later") && !listed.stdout.contains("film.iso"),
        "{listed}"
    );
    // Once.
    scene.machine.run(&["backup"]).done();
    assert_eq!(news(&scene.here(&[]).done()), "");
    assert_eq!(scene.here(&[]).done()["exclude"], json!(["*.iso"]));
}

#[test]
fn a_copy_that_somebody_wrote_into_becomes_the_vaults_again() {
    let scene = Scene::new();
    let file = scene.machine.state.join("settings.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("source-of-the-canary", "nowhere")).unwrap();
    let shown = scene.machine.run(&["backup", "--dry-run"]);
    shown.with_status(0).said(&["they are the vault's again"]);
    assert_eq!(shown.value()["totals"]["bytes"], 8, "two files: {shown}");
    let shown = scene.here(&[]).done();
    assert_eq!(shown["paths"], json!([scene.source]));
    fs::remove_file(&file).unwrap();
    let shown = scene.here(&[]).done();
    assert!(news(&shown).contains("took over"), "{shown}");
    assert_eq!(shown["paths"], json!([scene.source]));
}

#[test]
fn a_vault_that_was_put_back_to_an_older_state_gets_the_machines_again() {
    let mut scene = Scene::new();
    let older = scene.world.path("older.data");
    scene.world.service.stop();
    copy(&scene.world.service.data, &older);
    scene.world.service.start_again();
    scene.here(&["--exclude", "*.iso"]).done();
    scene.here(&["--exclude", "*.img"]).done();
    scene.world.service.stop();
    put_back(&scene.world.service.data.clone(), &older);
    scene.world.service.start_again();
    let shown = scene.here(&[]).done();
    assert!(
        news(&shown).contains("generation 2, and this machine knows of 4"),
        "{shown}"
    );
    assert_eq!(
        (&shown["exclude"], &shown["generation"]),
        (&json!(["*.iso", "*.img"]), &json!(5))
    );
    scene.world.sign_in().done();
    assert_eq!(scene.elsewhere(&[]).done()["exclude"], json!(["*.iso", "*.img"]));
}

#[test]
fn without_the_vault_they_can_be_looked_at_and_not_changed() {
    let mut scene = Scene::new();
    scene.world.service.stop();
    let shown = scene.here(&[]).done();
    assert_eq!(shown["paths"], json!([scene.source]));
    assert!(news(&shown).contains("does not answer"), "{shown}");
    scene
        .here(&["--exclude", "x"])
        .refused(&["cannot be changed without it"]);
    scene.world.service.start_again();
    assert_eq!(scene.here(&[]).done()["exclude"], json!([]));
}
