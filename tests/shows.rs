//! The main promises, shown on real processes: what was backed up comes back exactly, by every way there is, and the
//! vault cannot read it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;
use strongroom_sources::museum;

use crate::common::canary::{Canaries, encodings};
use crate::common::machine::{Machine, ids, restored};
use crate::common::program::run;
use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same, assert_same_but};
use crate::common::world::{PASSPHRASE, World};

const SIZE: Size = Size {
    small: 150,
    large: 3,
    large_bytes: 2 << 20,
};

/// A source that was backed up, changed, and backed up again; with copies of what it was each time.
struct Twice {
    world: World,
    machine: Machine,
    source: PathBuf,
    before: PathBuf,
}

impl Twice {
    fn new() -> Self {
        let (world, mut random) = (World::new(), Random::new());
        let (source, before) = (world.path("source"), world.path("before"));
        tree::make(&source, &mut random, &SIZE);
        let machine = world.machine("first");
        machine.back_up(&source);
        tree::copy(&source, &before);
        (0..5).for_each(|_| tree::edit(&source, &mut random));
        machine.back_up(&source);
        Self {
            world,
            machine,
            source,
            before,
        }
    }

    /// Both points, older first, and what each must restore to.
    fn points(&self) -> Vec<(String, &Path)> {
        let points = self.machine.points();
        assert_eq!(points.len(), 2);
        points.into_iter().zip([self.before.as_path(), &self.source]).collect()
    }
}

#[test]
fn either_recovery_point_restores_as_it_was() {
    let twice = Twice::new();
    for (index, (point, expected)) in twice.points().into_iter().enumerate() {
        let target = twice.world.path(&format!("restored-{index}"));
        let there = twice.machine.restore(&point, &twice.source, &target);
        assert_same(expected, &there);
    }
    assert_says_nothing_unexpected(&twice.world);
}

#[test]
fn a_museum_of_every_kind_of_file_restores_exactly() {
    let world = World::new();
    let source = world.folder("museum");
    let missing = museum::build(&source).unwrap();
    assert_eq!(
        missing,
        Vec::<&str>::new(),
        "run as root, on a file system with attributes"
    );
    tree::let_age();
    let machine = world.machine("museum");
    let report = machine.back_up(&source);
    assert_eq!(report["warnings"], Value::Array(vec![]));
    let there = machine.restore("latest", &source, &world.path("restored"));
    assert_eq!(museum::differences(&source, &there).unwrap(), Vec::<String>::new());
    assert_same_but(&source, &there, &[museum::DEEP]);
    assert_is_as_sparse(&source.join("sparse"), &there.join("sparse"));
    // Again, where everything is already: nothing is written anew, and it is still the same.
    let report = run(machine.restore_command("latest", &world.path("restored"))).done();
    assert!(report["files_kept"].as_u64() > Some(50), "{report}");
    assert_eq!(museum::differences(&source, &there).unwrap(), Vec::<String>::new());
    // And the next backup finds nothing new.
    let report = machine.back_up(&source);
    assert_eq!(report["files_read"], 0, "{report}");
}

fn assert_is_as_sparse(source: &Path, restored: &Path) {
    for entry in fs::read_dir(source).unwrap() {
        let name = entry.unwrap().file_name();
        let blocks = |folder: &Path| fs::metadata(folder.join(&name)).unwrap().blocks();
        let (before, after) = (blocks(source), blocks(restored));
        assert!(after <= before + 16, "{name:?} took {before} blocks and takes {after}");
    }
}

#[test]
fn ls_lists_what_a_point_holds() {
    let twice = Twice::new();
    for (point, expected) in twice.points() {
        let listed = twice.machine.run(&["ls", &point]).done();
        let listed = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["path"].as_str().unwrap());
        let root = format!("{}/", twice.source.display());
        let mut listed: Vec<PathBuf> = listed
            .filter_map(|path| path.strip_prefix(&root))
            .map(PathBuf::from)
            .collect();
        listed.retain(|path| !expected.join(path).is_dir());
        listed.sort();
        assert_eq!(listed, tree::names_below(expected));
    }
    let folder = twice.source.join("folder-3");
    let listed = twice.machine.run(&["ls", "latest", folder.to_str().unwrap()]).done();
    let is_below = |entry: &Value| entry["path"].as_str().unwrap().starts_with(folder.to_str().unwrap());
    assert!(listed.as_array().unwrap().iter().all(is_below), "{listed}");
}

#[test]
fn a_part_of_a_point_is_restored_alone() {
    let twice = Twice::new();
    let target = twice.world.path("part");
    let (folder, mut names) = (Path::new("folder-3"), tree::names_below(&twice.source));
    let other = names.iter().find(|name| !name.starts_with(folder)).unwrap().clone();
    let mut command = twice.machine.restore_command("latest", &target);
    command.arg(twice.source.join(folder)).arg(twice.source.join(&other));
    run(command).done();
    let there = restored(&target, &twice.source);
    names.retain(|name| name.starts_with(folder) || *name == other);
    assert_eq!(tree::names_below(&there), names);
    assert_same(&twice.source.join(folder), &there.join(folder));
}

#[test]
fn another_machine_with_the_passphrase_restores_and_one_without_is_refused() {
    let twice = Twice::new();
    let world = &twice.world;
    let second = world.machine("second");
    for (index, (point, expected)) in twice.points().into_iter().enumerate() {
        let target = world.path(&format!("second-{index}"));
        assert_same(expected, &second.restore(&point, &twice.source, &target));
    }
    let mut latest = second.restore_command("latest", &world.path("latest"));
    latest.args(["--machine", "first"]);
    run(latest).done();
    assert_same(&twice.source, &restored(&world.path("latest"), &twice.source));

    let stranger = world.machine_with("stranger", "a quite different passphrase");
    for point in [twice.points()[0].0.as_str(), "latest"] {
        let target = world.path("stolen");
        let mut command = stranger.restore_command(point, &target);
        command.args(["--machine", "first"]);
        run(command).refused(&["passphrase"]);
        assert!(!target.exists());
    }
    let verify = stranger.run(&["verify", &twice.points()[0].0]);
    verify.refused(&["recovery point"]);
}

#[test]
fn the_objects_alone_are_enough() {
    let mut twice = Twice::new();
    let points = twice
        .points()
        .into_iter()
        .map(|(point, expected)| (point, expected.to_owned()));
    let points: Vec<(String, PathBuf)> = points.collect();
    twice.world.service.stop();
    rescue_all(&twice, &twice.world.service.data, "whole", &points);

    // Nothing but objects is left, and they lie elsewhere.
    let copy = twice.world.path("copy");
    tree::copy(&twice.world.service.vault_folder(), &copy);
    fs::remove_dir_all(&twice.world.service.data).unwrap();
    fs::remove_dir_all(&twice.machine.state).unwrap();
    rescue_all(&twice, &copy, "copy", &points);
    let refused = twice.world.rescue(&copy, "not the right passphrase", &["points"]);
    refused.refused(&["passphrase is wrong"]);
}

fn rescue_all(twice: &Twice, store: &Path, name: &str, points: &[(String, PathBuf)]) {
    let listed = ids(&twice.world.rescue(store, PASSPHRASE, &["points"]).done());
    assert_eq!(
        listed,
        points.iter().map(|(point, _)| point.clone()).collect::<Vec<_>>()
    );
    for (index, (point, expected)) in points.iter().enumerate() {
        let target = twice.world.path(&format!("{name}-{index}"));
        let arguments = ["restore", point, "--to", target.to_str().unwrap()];
        twice.world.rescue(store, PASSPHRASE, &arguments).done();
        assert_same(expected, &restored(&target, &twice.source));
    }
}

#[test]
fn nothing_of_the_source_is_in_the_data_folder() {
    let (mut world, mut random) = (World::new(), Random::new());
    let mut canaries = Canaries::default();
    let passphrase = random.text(24);
    canaries.add("the passphrase", passphrase.as_bytes());
    let source = world.path(&format!(
        "source-{}",
        secret("a root's name", &mut random, &mut canaries)
    ));
    let machine = world.machine_with("discreet", &passphrase);
    plant(&source, &mut random, &mut canaries);
    machine.back_up(&source);
    plant(&source, &mut random, &mut canaries);
    let exclusion = secret("a pattern", &mut random, &mut canaries);
    let mut command = machine.backup_command(&source);
    command.args(["--exclude", &exclusion]);
    run(command).done();
    run(machine.restore_command("latest", &world.path("restored"))).done();
    machine.run(&["verify", "latest"]).done();
    canaries.add("the master key", &fs::read(machine.state.join("master.key")).unwrap());
    canaries.add(
        "the machine's key",
        &fs::read(machine.state.join("machine.key")).unwrap()[36..68],
    );

    world.service.stop();
    let seen_by_service = world.folder("seen-by-service");
    fs::rename(&world.service.data, seen_by_service.join("data")).unwrap();
    fs::copy(world.service.log_file(), seen_by_service.join("log")).unwrap();
    assert!(world.service.log().contains("DEBUG"), "the log is not at debug level");
    assert_eq!(canaries.find_below(&seen_by_service), []);
    // The search itself finds all that there is to find.
    assert!(canaries.find_below(&source).len() > 40);
}

/// Twelve or more letters that nobody could have guessed.
fn secret(what: &str, random: &mut Random, canaries: &mut Canaries) -> String {
    let secret = random.text(16);
    canaries.add(what, secret.as_bytes());
    secret
}

/// Adds files full of secrets to a folder: small and large, their names, links and attributes.
fn plant(at: &Path, random: &mut Random, canaries: &mut Canaries) {
    let folder = at.join(secret("a folder's name", random, canaries));
    fs::create_dir_all(&folder).unwrap();
    for length in [0, 10, 5000, 300 << 10, 3 << 20] {
        let file = folder.join(secret("a file's name", random, canaries));
        let mut contents = secret("the beginning of a file", random, canaries).into_bytes();
        contents.extend(random.bytes(length));
        contents.extend(secret("the middle of a file", random, canaries).repeat(3).into_bytes());
        contents.extend(vec![b' '; length]);
        let end = random.bytes(16);
        canaries.add("the end of a file", &end);
        contents.extend(end);
        fs::write(&file, contents).unwrap();
        let value = secret("an attribute's value", random, canaries);
        let name = format!("user.{}", secret("an attribute's name", random, canaries));
        xattr::set(&file, name, value.as_bytes()).unwrap();
    }
    let target = secret("a link's target", random, canaries);
    symlink(target, folder.join(secret("a link's name", random, canaries))).unwrap();
}

#[test]
fn the_search_for_secrets_recognises_every_guise() {
    let mut random = Random::new();
    for length in 12..20 {
        let secret = random.bytes(length);
        let mut canaries = Canaries::default();
        canaries.add("it", &secret);
        for (encoding, bytes) in encodings(&secret) {
            let hidden = [b"before".as_slice(), &bytes, b"after"].concat();
            assert!(!canaries.find(&hidden).is_empty(), "{encoding}");
        }
    }
}

/// Nothing that would have somebody look after the service.
fn assert_says_nothing_unexpected(world: &World) {
    let log = world.service.log();
    let loud: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
        .collect();
    assert_eq!(loud, Vec::<&str>::new());
}
