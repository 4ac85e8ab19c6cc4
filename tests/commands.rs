//! What a machine runs before and after its backups.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::common::machine::Machine;
use crate::common::program::{Running, wait_for};
use crate::common::world::World;

/// A machine with something to back up, and what its commands have written.
struct Shop {
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Shop {
    fn new() -> Self {
        let world = World::new();
        let source = world.folder("source");
        fs::write(source.join("file"), "contents").unwrap();
        let machine = world.machine("shop");
        let shop = Self { world, machine, source };
        shop.set(&["--path", shop.source.to_str().unwrap()]);
        shop
    }

    fn set(&self, arguments: &[&str]) {
        self.machine.run(&[&["agent", "settings"], arguments].concat()).done();
    }

    /// Has a script run before, or after.
    fn has(&self, flag: &str, script: &str) {
        self.set(&[flag, "/bin/sh", "-c", script, ";"]);
    }

    fn path(&self, name: &str) -> String {
        self.world.path(name).to_str().unwrap().to_owned()
    }

    fn written(&self, name: &str) -> String {
        fs::read_to_string(self.world.path(name)).unwrap_or_default()
    }
}

#[test]
fn they_run_around_the_backup_and_are_told_what_it_is_and_what_became_of_it() {
    let shop = Shop::new();
    let (dump, log) = (shop.source.join("dump"), shop.path("log"));
    let line = "$STRONGROOM_PHASE $STRONGROOM_OPERATION $STRONGROOM_VAULT $STRONGROOM_MACHINE $STRONGROOM_RESULT $STRONGROOM_POINT";
    shop.has(
        "--pre-command",
        &format!("date > {}; echo {line} >> {log}", dump.display()),
    );
    shop.has(
        "--post-command",
        &format!("rm {}; echo {line} >> {log}", dump.display()),
    );
    let report = shop.machine.run(&["backup"]).done();
    let point = report["point"].as_str().unwrap();
    let expected = format!("pre backup main shop\npost backup main shop succeeded {point}\n");
    assert_eq!(shop.written("log"), expected);
    // What the first made is in the recovery point.
    let there = shop
        .machine
        .restore("latest", &shop.source, &shop.world.path("restored"));
    assert!(there.join("dump").exists() && !dump.exists());
    // They belong to what the settings select, and can be left out.
    shop.machine.back_up(&shop.source);
    shop.machine.run(&["backup", "--no-commands"]).done();
    assert_eq!(shop.written("log"), expected);
    shop.set(&["--remove-pre-command", "--remove-post-command"]);
    shop.machine.run(&["backup"]).done();
    assert_eq!(shop.written("log"), expected);
}

#[test]
fn if_the_first_fails_nothing_is_backed_up_and_the_last_runs_all_the_same() {
    let shop = Shop::new();
    let log = shop.path("log");
    shop.has(
        "--pre-command",
        "echo connecting; echo the database is away >&2; exit 7",
    );
    shop.has("--post-command", &format!("echo $STRONGROOM_RESULT >> {log}"));
    let words = [
        "nothing was backed up",
        "exit status: 7",
        "connecting | the database is away",
        "--no-commands",
    ];
    shop.machine.run(&["backup"]).refused(&words);
    assert_eq!(shop.machine.points(), Vec::<String>::new());
    assert_eq!(shop.written("log"), "failed\n");
    let jobs = shop.world.admin(&["job", "list"]).done().to_string();
    assert!(
        jobs.contains("PreCommandFailed") || !jobs.contains("database"),
        "{jobs}"
    );
    assert!(
        !jobs.contains("the database is away"),
        "the service learns what a command prints: {jobs}"
    );
    // What did not even run has nothing to be undone.
    shop.set(&["--pre-command", "/no/such/program"]);
    shop.machine
        .run(&["backup"])
        .refused(&["/no/such/program cannot be run"]);
    assert_eq!(shop.written("log"), "failed\n");
}

#[test]
fn at_its_limit_a_command_is_killed_with_all_that_it_started() {
    let shop = Shop::new();
    let ids = shop.path("ids");
    let script = format!("sleep 1000 & echo $! > {ids}; echo $$ >> {ids}; echo waiting; sleep 1000");
    shop.has("--pre-command", &script);
    shop.set(&["--pre-limit", "1"]);
    shop.machine
        .run(&["backup"])
        .refused(&["did not end within 1 s, and was killed; it said: waiting"]);
    let ids: Vec<u32> = shop.written("ids").lines().map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    wait_for("both to go", || (!ids.iter().any(|id| is_alive(*id))).then_some(()));
}

/// Whether a process is there, and not just not waited for.
fn is_alive(id: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    state
        .rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[test]
fn if_the_last_fails_the_recovery_point_is_whole_and_there_is_a_warning() {
    let shop = Shop::new();
    shop.has("--post-command", "echo no shop to open; exit 1");
    let ended = shop.machine.run(&["backup"]);
    let report = ended.with_status(3).value();
    let why = report["warnings"][0]["why"].as_str().unwrap();
    assert!(
        why.contains("the recovery point is whole") && why.contains("no shop to open"),
        "{why}"
    );
    assert_eq!(shop.machine.points().len(), 1);
}

#[test]
fn a_backup_that_is_stopped_ends_the_first_and_runs_the_last() {
    let shop = Shop::new();
    let (began, log) = (shop.path("began"), shop.path("log"));
    shop.has("--pre-command", &format!("touch {began}; sleep 1000"));
    shop.has("--post-command", &format!("echo $STRONGROOM_RESULT >> {log}"));
    let running = Running::start(shop.machine.command(&["backup"]));
    wait_for("the first command", || Path::new(&began).exists().then_some(()));
    running.signal(Signal::INT);
    running.wait().with_status(1);
    assert_eq!(shop.written("log"), "cancelled\n");
    assert_eq!(shop.machine.points(), Vec::<String>::new());
}

#[test]
fn they_are_run_only_as_written_and_only_by_those_who_may() {
    let shop = Shop::new();
    let refused = |arguments: &[&str], words: &[&str]| {
        shop.machine
            .run(&[&["agent", "settings"], arguments].concat())
            .refused(words);
    };
    refused(&["--pre-command", "true"], &["no absolute path", "/bin/sh -c"]);
    refused(&["--pre-limit", "5"], &["no command to limit"]);
    let log = shop.path("log");
    shop.has("--pre-command", &format!("echo ran >> {log}"));
    // Settings of other kinds cannot bring one in, wherever they come from.
    let settings = shop.machine.state.join("settings.json");
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&settings).unwrap()).unwrap();
    let evil = serde_json::json!({ "arguments": ["/bin/sh", "-c", format!("echo evil >> {log}")], "limit_seconds": 9 });
    for place in ["", "/settings"] {
        let place = text.pointer_mut(place).unwrap();
        place["pre"] = evil.clone();
        place["commands"] = serde_json::json!({ "pre": evil });
    }
    fs::write(&settings, text.to_string()).unwrap();
    shop.machine.run(&["backup"]).with_status(0);
    assert_eq!(shop.written("log"), "ran\n");
    // Nor can who may write to the file, but is not root.
    let commands = shop.machine.state.join("commands.json");
    fs::set_permissions(&commands, fs::Permissions::from_mode(0o666)).unwrap();
    shop.machine
        .run(&["backup"])
        .refused(&["commands.json", "others may write to it"]);
    fs::set_permissions(&commands, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&commands, Some(12345), None).unwrap();
    shop.machine
        .run(&["backup"])
        .refused(&["commands.json", "belongs to user 12345"]);
    assert_eq!(shop.written("log"), "ran\n");
}
