//! Search over recovery points, and what is different in another one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common;
use crate::common::machine::Machine;
use crate::common::program::{Ended, run};
use crate::common::random::Random;
use crate::common::tree::{self, Size};
use crate::common::world::World;

/// A machine with three recovery points of a tree of some hundred files, in which little changes.
struct Changing {
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Changing {
    fn new() -> Self {
        let world = World::new();
        let source = world.path("source");
        let size = Size {
            small: 3000,
            large: 0,
            large_bytes: 0,
        };
        tree::make(&source, &mut Random::new(), &size);
        fs::write(source.join("report.odt"), "first").unwrap();
        fs::write(source.join("gone.odt"), "only once").unwrap();
        let machine = world.machine("changing");
        machine.back_up(&source);
        fs::write(source.join("report.odt"), "second version").unwrap();
        fs::remove_file(source.join("gone.odt")).unwrap();
        machine.back_up(&source);
        fs::write(source.join("folder-3/new.odt"), "new").unwrap();
        fs::set_permissions(source.join("report.odt"), fs::Permissions::from_mode(0o600)).unwrap();
        machine.back_up(&source);
        Self { world, machine, source }
    }

    fn path(&self, name: &str) -> String {
        self.source.join(name).to_str().unwrap().to_owned()
    }
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.with_status(0);
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn versions_are_found_with_their_first_and_last_point() {
    let changing = Changing::new();
    let points = changing.machine.points();
    let found = lines(&changing.machine.run(&["find", "*.odt"]));
    let seen: Vec<(&str, u64, &str, &str, u64)> = found
        .iter()
        .map(|version| {
            (
                version["path"].as_str().unwrap(),
                version["size"].as_u64().unwrap(),
                version["first"]["point"].as_str().unwrap(),
                version["last"]["point"].as_str().unwrap(),
                version["points"].as_u64().unwrap(),
            )
        })
        .collect();
    let (new, gone, report) = (
        changing.path("folder-3/new.odt"),
        changing.path("gone.odt"),
        changing.path("report.odt"),
    );
    assert_eq!(
        seen,
        [
            (new.as_str(), 3, points[2].as_str(), points[2].as_str(), 1),
            (gone.as_str(), 9, points[0].as_str(), points[0].as_str(), 1),
            (report.as_str(), 5, points[0].as_str(), points[0].as_str(), 1),
            // Another mode is no other version.
            (report.as_str(), 14, points[1].as_str(), points[2].as_str(), 2),
        ]
    );
    assert_eq!(found[0]["machine"], "changing");
    let exactly = lines(&changing.machine.run(&["find", &gone]));
    assert_eq!(exactly.len(), 1, "{exactly:?}");
}

#[test]
fn other_machines_are_searched_when_that_is_asked_for() {
    let changing = Changing::new();
    let other = changing.world.machine("other");
    let own = changing.world.folder("own");
    fs::write(own.join("mine.odt"), "mine").unwrap();
    other.back_up(&own);
    let machines = |arguments: &[&str]| {
        let mut names: Vec<String> = lines(&other.run(&[&["find", "*.odt"], arguments].concat()))
            .iter()
            .map(|version| version["machine"].as_str().unwrap().to_owned())
            .collect();
        names.dedup();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(machines(&[]), ["other"]);
    assert_eq!(machines(&["--machine", "changing"]), ["changing"]);
    assert_eq!(machines(&["--all"]), ["changing", "other"]);
}

#[test]
fn what_cannot_be_found_is_said() {
    let changing = Changing::new();
    changing.machine.run(&["find", "*.none"]).refused(&["\"*.none\""]);
    changing.machine.run(&["find", "a{b"]).refused(&["a{b"]);
    let empty = changing.world.machine("empty");
    empty.run(&["find", "x"]).refused(&["there is no recovery point yet"]);
}

fn changes(ended: &Ended, below: &Path) -> Vec<String> {
    let below = format!("{}/", below.display());
    let mut changes: Vec<String> = lines(ended)
        .iter()
        .filter_map(|line| {
            let path = line["path"].as_str().unwrap().strip_prefix(&below)?;
            Some(format!("{} {path}", line["change"].as_str().unwrap()))
        })
        .collect();
    changes.sort();
    changes
}

#[test]
fn two_points_differ_in_what_was_changed_between_them() {
    let changing = Changing::new();
    let points = changing.machine.points();
    let diff = |one: usize, other: usize, paths: &[&str]| {
        let ended = changing
            .machine
            .run(&[&["diff", &points[one], &points[other]], paths].concat());
        changes(&ended, &changing.source)
    };
    assert_eq!(diff(0, 1, &[]), ["changed report.odt", "removed gone.odt"]);
    assert_eq!(diff(1, 0, &[]), ["added gone.odt", "changed report.odt"]);
    assert_eq!(
        diff(1, 2, &[]),
        ["added folder-3/new.odt", "attributes folder-3", "attributes report.odt"]
    );
    assert_eq!(
        diff(0, 2, &[&changing.path("folder-3")]),
        ["added folder-3/new.odt", "attributes folder-3"]
    );
    assert_eq!(diff(2, 2, &[]), Vec::<String>::new());
    let latest = changing
        .machine
        .run(&["diff", &points[1], "latest", &changing.path("report.odt")]);
    assert_eq!(changes(&latest, &changing.source), ["attributes report.odt"]);
    changing.machine.run(&["diff", "ffff", "latest"]).refused(&["ffff"]);
}

#[test]
fn people_are_told_in_lines() {
    let changing = Changing::new();
    let points = changing.machine.points();
    let said = |arguments: &[&str]| {
        let mut command = common::program::strongroom(["--state"]);
        command.arg(&changing.machine.state).args(arguments);
        let ended = run(command);
        ended.with_status(0);
        ended.stdout
    };
    let diff = said(&["diff", &points[0], &points[1]]);
    assert!(diff.contains(&format!("M {}\n", changing.path("report.odt"))), "{diff}");
    assert!(diff.contains(&format!("- {}\n", changing.path("gone.odt"))), "{diff}");
    assert!(diff.contains("0 added, 1 removed, 1 with other contents"), "{diff}");
    let found = said(&["find", "report.odt"]);
    assert_eq!(found.lines().count(), 3, "a heading and two versions: {found}");
    assert!(
        found.contains("LAST POINT") && found.contains(&changing.path("report.odt")),
        "{found}"
    );
}
