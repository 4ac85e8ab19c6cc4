//! Coming from restic: its snapshots, made by the real program, become recovery points that restore as it restores them.

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use strongroom_sources::museum;

use crate::common::machine::{Machine, restored};
use crate::common::program::{Ended, Running, run, wait_for};
use crate::common::random::Random;
use crate::common::service::files_below;
use crate::common::tree::{self, Size, assert_same, assert_same_but};
use crate::common::world::World;

const SIZE: Size = Size {
    small: 60,
    large: 3,
    large_bytes: 3 << 20,
};
const PASSWORD: &str = "the password of restic";

/// A repository that the real restic makes.
struct Restic {
    repository: PathBuf,
    password: PathBuf,
}

impl Restic {
    fn new(world: &World, version: &str) -> Self {
        let restic = Self {
            repository: world.path("repository"),
            password: world.path("restic-password"),
        };
        fs::write(&restic.password, format!("{PASSWORD}\n")).unwrap();
        restic.run(&["init", "--repository-version", version]);
        restic
    }

    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new("restic");
        command.args(["--quiet", "--no-cache", "--repo"]).arg(&self.repository);
        command.args(arguments).env("RESTIC_PASSWORD", PASSWORD);
        run(command).with_status(0);
    }

    fn back_up(&self, source: &Path) {
        self.run(&["backup", source.to_str().unwrap()]);
    }

    /// Where a restore of a snapshot puts what was at `source`.
    fn restore(&self, snapshot: &str, source: &Path, target: &Path) -> PathBuf {
        self.run(&["restore", snapshot, "--target", target.to_str().unwrap()]);
        restored(target, source)
    }

    fn import_command(&self, machine: &Machine, arguments: &[&str]) -> Command {
        let mut command = machine.command(&["import", "restic"]);
        command.arg(&self.repository).arg("--password-file").arg(&self.password);
        command.args(arguments);
        command
    }

    fn import(&self, machine: &Machine, arguments: &[&str]) -> Ended {
        run(self.import_command(machine, arguments))
    }

    /// The largest pack: it has contents of files.
    fn data_pack(&self) -> PathBuf {
        let packs = files_below(&self.repository.join("data"));
        let size = |pack: &PathBuf| fs::metadata(pack).unwrap().len();
        packs.into_iter().max_by_key(size).unwrap()
    }
}

fn snapshots(report: &Value) -> Vec<Value> {
    report["snapshots"].as_array().unwrap().clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

fn warnings(report: &Value) -> Vec<Value> {
    let imported = snapshots(report)
        .into_iter()
        .map(|snapshot| snapshot["imported"].clone());
    imported
        .flat_map(|imported| imported["warnings"].as_array().unwrap().clone())
        .collect()
}

fn flip(file: &Path, offset: u64) {
    let open = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    open.read_exact_at(&mut byte, offset).unwrap();
    open.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

/// One of everything, a few ordinary files, and what has odd names.
fn make(source: &Path, random: &mut Random) {
    tree::make(source, random, &SIZE);
    let halls = source.join("museum");
    fs::create_dir(&halls).unwrap();
    assert_eq!(museum::build(&halls).unwrap(), Vec::<&str>::new(), "run as root");
    // Paths that are longer than the kernel takes at once are nothing for restic.
    fs::remove_dir_all(halls.join(museum::DEEP)).unwrap();
    fs::write(source.join("quoted \"name\"\\ \t\u{1}\u{7f}\u{ad}"), b"x").unwrap();
}

/// Every version and compression, with changes between three snapshots.
fn restores_as_restic_does(version: &str, compression: &str) {
    let (world, mut random) = (World::new(), Random::new());
    let restic = Restic::new(&world, version);
    let source = world.path("source");
    make(&source, &mut random);
    for number in 0..3 {
        if number > 0 {
            (0..5).for_each(|_| tree::edit(&source.join("folder-1"), &mut random));
            symlink("elsewhere", source.join(format!("link-{number}"))).unwrap();
        }
        restic.run(&["--compression", compression, "backup", source.to_str().unwrap()]);
    }
    let machine = world.machine("first");
    let ended = restic.import(&machine, &[]);
    // restic 0.14 does not keep where a link of odd bytes leads; it is told for each snapshot.
    let report = ended.with_status(3).value();
    for warning in warnings(&report) {
        assert!(text(&warning, "why").contains("where this link leads"), "{warning}");
        assert!(
            text(&warning, "path").ends_with("museum/links/to odd bytes"),
            "{warning}"
        );
    }
    assert_eq!(warnings(&report).len(), 3);
    let imported = snapshots(&report);
    assert_eq!(imported.len(), 3);
    for (number, snapshot) in imported.iter().enumerate() {
        assert_eq!(text(snapshot, "state"), "Imported");
        assert_eq!(snapshot["paths"], serde_json::json!([source.to_str().unwrap()]));
        let (theirs, ours) = (
            world.path(&format!("theirs-{number}")),
            world.path(&format!("ours-{number}")),
        );
        let theirs = restic.restore(text(snapshot, "snapshot"), &source, &theirs);
        let ours = machine.restore(text(snapshot, "point"), &source, &ours);
        // Second names of what is no file are links with us, and things of their own with restic. It keeps times after 2262,
        // and does not set them.
        assert_same_but(
            &theirs,
            &ours,
            &["to nowhere too", "pipe again", "in 2400", "folder in 2400"],
        );
        let modified = |folder: &Path| {
            fs::metadata(folder.join("museum/times/in 2400"))
                .unwrap()
                .modified()
                .unwrap()
        };
        assert_eq!(modified(&ours), modified(&source));
        // What was unchanged was not read again.
        let read = snapshot["imported"]["files_read"].as_u64().unwrap();
        assert_eq!(read > 60, number == 0, "{snapshot}");
    }
    // The moments are the snapshots', and the listing is in their order.
    let listed = machine.run(&["points"]).done()["points"].as_array().unwrap().clone();
    let moments = |all: &[Value], name: &str| all.iter().map(|one| one[name].clone()).collect::<Vec<_>>();
    assert_eq!(moments(&listed, "created"), moments(&imported, "time"));
    // Sparse files stay so.
    use std::os::unix::fs::MetadataExt as _;
    let hole = restored(&world.path("ours-0"), &source).join("museum/sparse/nothing but a hole");
    let facts = fs::metadata(hole).unwrap();
    assert!(facts.len() == 64 << 20 && facts.blocks() < 64, "{facts:?}");
}

#[test]
fn version_1_restores_as_restic_restores_it() {
    restores_as_restic_does("1", "off");
}

#[test]
fn version_2_restores_as_restic_restores_it() {
    restores_as_restic_does("2", "auto");
}

#[test]
fn version_2_without_compression_restores_as_restic_restores_it() {
    restores_as_restic_does("2", "off");
}

#[test]
fn version_2_with_most_compression_restores_as_restic_restores_it() {
    restores_as_restic_does("2", "max");
}

/// A source that restic has backed up once.
struct Once {
    world: World,
    restic: Restic,
    machine: Machine,
    source: PathBuf,
    random: Random,
}

impl Once {
    fn new() -> Self {
        let (world, mut random) = (World::new(), Random::new());
        let source = world.path("source");
        tree::make(&source, &mut random, &SIZE);
        let restic = Restic::new(&world, "2");
        restic.back_up(&source);
        let machine = world.machine("first");
        Self {
            world,
            restic,
            machine,
            source,
            random,
        }
    }

    fn assert_latest_is_the_source(&self, name: &str) {
        let there = self.machine.restore("latest", &self.source, &self.world.path(name));
        assert_same(&self.source, &there);
    }
}

#[test]
fn a_second_import_takes_what_is_new_and_no_more() {
    let mut once = Once::new();
    let dry = once.restic.import(&once.machine, &["--dry-run"]).done();
    assert_eq!(text(&snapshots(&dry)[0], "state"), "New");
    assert_eq!(once.machine.points(), Vec::<String>::new());
    let first = snapshots(&once.restic.import(&once.machine, &[]).done());
    let again = snapshots(&once.restic.import(&once.machine, &[]).done());
    assert_eq!(
        (text(&again[0], "state"), &again[0]["point"]),
        ("There", &first[0]["point"])
    );
    assert_eq!(once.machine.points().len(), 1);
    // A tag gives the snapshot another id, and it is the same one all the same.
    once.restic.run(&["tag", "--add", "kept"]);
    tree::edit(&once.source, &mut once.random);
    once.restic.back_up(&once.source);
    let third = snapshots(&once.restic.import(&once.machine, &[]).done());
    assert_ne!(third[0]["snapshot"], first[0]["snapshot"]);
    assert_eq!(
        (text(&third[0], "state"), text(&third[1], "state")),
        ("There", "Imported")
    );
    let read = third[1]["imported"]["files_read"].as_u64().unwrap();
    assert!(read < 10, "{read} files were read");
    assert_eq!(once.machine.points().len(), 2);
    once.assert_latest_is_the_source("restored");
}

#[test]
fn the_backup_after_an_import_reads_what_has_changed_since() {
    let once = Once::new();
    once.restic.import(&once.machine, &[]).done();
    let report = once.machine.back_up(&once.source);
    assert_eq!(
        (&report["files_read"], &report["warnings"]),
        (&0.into(), &Value::Array(vec![]))
    );
    once.assert_latest_is_the_source("restored");
}

#[test]
fn an_import_changes_nothing_for_the_backups_that_are_made_already() {
    let mut once = Once::new();
    tree::edit(&once.source, &mut once.random);
    let own = once.world.path("own");
    tree::make(&own, &mut once.random, &SIZE);
    tree::let_age();
    let before = once.machine.back_up(&own);
    assert!(before["files_read"].as_u64().unwrap() > 60);
    let imported = snapshots(&once.restic.import(&once.machine, &[]).done());
    // The latest is that of the latest moment, not what came last.
    let there = once.machine.restore("latest", &own, &once.world.path("latest"));
    assert_same(&own, &there);
    let after = once.machine.back_up(&own);
    // The folders above have other times by now, and nothing else is new.
    assert_eq!(after["files_read"], 0, "{after}");
    assert!(after["new_bytes"].as_u64().unwrap() < 16 << 10, "{after}");
    assert_eq!(after["warnings"], Value::Array(vec![]));
    let points = once.machine.points();
    let expected = [&imported[0]["point"], &before["point"], &after["point"]];
    assert_eq!(points, expected.map(|point| point.as_str().unwrap()));
    for point in &points {
        once.machine.run(&["verify", point]).done();
    }
}

#[test]
fn an_import_is_no_backup() {
    let once = Once::new();
    once.world.admin(&["item", "protect", "first"]).done();
    once.restic.import(&once.machine, &[]).done();
    let item = once.world.admin(&["item", "show", "first"]).done();
    assert_eq!(item["state"], "IRPending", "{item}");
    let jobs = once.world.admin(&["job", "list"]).done()["jobs"].clone();
    let mut operations = jobs.as_array().unwrap().iter().map(|job| text(job, "operation"));
    assert!(operations.all(|operation| operation == "ConfigureBackup"), "{jobs}");
    let kept = once.world.admin(&["item", "points", "first"]).done();
    assert!(
        kept.to_string().contains("Newest") || kept.to_string().contains("Daily"),
        "{kept}"
    );
}

#[test]
fn an_import_that_was_killed_goes_on() {
    let mut once = Once::new();
    for _ in 0..4 {
        tree::edit(&once.source, &mut once.random);
        once.restic.back_up(&once.source);
    }
    let running = Running::start(once.restic.import_command(&once.machine, &[]));
    wait_for("the first recovery point", || {
        (!once.machine.points().is_empty()).then_some(())
    });
    running.signal(Signal::KILL);
    running.wait();
    let there = once.machine.points().len();
    let report = snapshots(&once.restic.import(&once.machine, &[]).done());
    let imported = report
        .iter()
        .filter(|snapshot| text(snapshot, "state") == "Imported")
        .count();
    assert_eq!((imported, once.machine.points().len()), (5 - there, 5));
    once.assert_latest_is_the_source("restored");
}

#[test]
fn what_is_not_meant_stays_out() {
    let once = Once::new();
    let other = once.world.path("other");
    tree::make(&other, &mut Random::new(), &SIZE);
    once.restic
        .run(&["backup", "--host", "elsewhere", other.to_str().unwrap()]);
    let meant = |arguments: &[&str]| {
        let arguments = [&["--dry-run"], arguments].concat();
        snapshots(&once.restic.import(&once.machine, &arguments).done())
    };
    assert_eq!(meant(&[]).len(), 2);
    let elsewhere = meant(&["--host", "elsewhere"]);
    assert_eq!((elsewhere.len(), text(&elsewhere[0], "host")), (1, "elsewhere"));
    assert_eq!(meant(&["--path", other.to_str().unwrap()])[0], elsewhere[0]);
    assert_eq!(
        meant(&["--snapshot", &text(&elsewhere[0], "snapshot")[..10]]),
        elsewhere
    );
    let refused = |arguments: &[&str], words: &[&str]| once.restic.import(&once.machine, arguments).refused(words);
    refused(&["--host", "nobody"], &["no such snapshot", "restic snapshots"]);
    refused(&["--snapshot", "xyz"], &["no snapshot \"xyz\""]);
    refused(&["--snapshot", ""], &["several snapshots", "more digits"]);
}

#[test]
fn what_is_no_repository_or_has_another_password_is_refused() {
    let once = Once::new();
    fs::write(&once.restic.password, "not the password").unwrap();
    once.restic.import(&once.machine, &[]).refused(&["password is wrong"]);
    fs::remove_file(&once.restic.password).unwrap();
    once.restic
        .import(&once.machine, &[])
        .refused(&["cannot read", "restic-password"]);
    let mut asks = once.machine.command(&["import", "restic"]);
    asks.arg(&once.restic.repository).env_remove("RESTIC_PASSWORD_FILE");
    run(asks).refused(&["--password-file"]);
    fs::write(&once.restic.password, PASSWORD).unwrap();
    let elsewhere = Restic {
        repository: once.source.clone(),
        password: once.restic.password.clone(),
    };
    elsewhere
        .import(&once.machine, &[])
        .refused(&["no restic repository", "config"]);
    assert_eq!(once.machine.points(), Vec::<String>::new());
}

#[test]
fn a_damaged_blob_is_named_and_costs_one_file() {
    let once = Once::new();
    let pack = once.restic.data_pack();
    flip(&pack, fs::metadata(&pack).unwrap().len() / 2);
    let report = once.restic.import(&once.machine, &[]).with_status(3).value();
    let warnings = warnings(&report);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let why = text(&warnings[0], "why");
    assert!(why.contains("blob ") && why.contains(pack.to_str().unwrap()), "{why}");
    let there = once
        .machine
        .restore("latest", &once.source, &once.world.path("restored"));
    let lost = Path::new(text(&warnings[0], "path"))
        .strip_prefix(&once.source)
        .unwrap();
    assert!(!there.join(lost).exists());
    assert_same_but(&once.source, &there, &[&format!("/{}", lost.display())]);
    // It is not taken over in silence: the machine's own backup has it again, and so does the next snapshot.
    once.restic.back_up(&once.source);
    let again = once.restic.import(&once.machine, &[]).with_status(3).value();
    assert_eq!(
        snapshots(&again)[1]["imported"]["warnings"],
        Value::Array(warnings.clone())
    );
    let own = once.machine.back_up(&once.source);
    assert_eq!(own["files_read"], 1, "{own}");
    once.assert_latest_is_the_source("whole");
}

#[test]
fn a_pack_that_was_cut_off_is_named_and_the_rest_comes() {
    let once = Once::new();
    let pack = once.restic.data_pack();
    let length = fs::metadata(&pack).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(&pack)
        .unwrap()
        .set_len(length * 2 / 3)
        .unwrap();
    let report = once.restic.import(&once.machine, &[]).with_status(3).value();
    let warnings = warnings(&report);
    assert!(!warnings.is_empty());
    let lost = warnings.iter().map(|warning| {
        assert!(text(warning, "why").contains(pack.to_str().unwrap()), "{warning}");
        let below = Path::new(text(warning, "path")).strip_prefix(&once.source).unwrap();
        format!("/{}", below.display())
    });
    let lost: Vec<String> = lost.collect();
    let there = once
        .machine
        .restore("latest", &once.source, &once.world.path("restored"));
    let excluded: Vec<&str> = lost.iter().map(String::as_str).collect();
    assert_same_but(&once.source, &there, &excluded);
}

#[test]
fn without_an_index_the_packs_say_what_is_in_them() {
    for is_missing in [true, false] {
        let once = Once::new();
        let mut expected = 0;
        for index in files_below(&once.restic.repository.join("index")) {
            match is_missing {
                true => fs::remove_file(&index).unwrap(),
                false => {
                    fs::set_permissions(&index, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
                    flip(&index, 40);
                    expected = 3;
                }
            }
        }
        let report = once.restic.import(&once.machine, &[]).with_status(expected).value();
        let warnings = report["repository_warnings"].as_array().unwrap();
        assert_eq!(warnings.is_empty(), is_missing, "{warnings:?}");
        assert!(
            warnings
                .iter()
                .all(|warning| warning.as_str().unwrap().contains("index file"))
        );
        once.assert_latest_is_the_source("restored");
    }
}
