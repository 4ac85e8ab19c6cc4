//! Restores into folders that have something in them: what is replaced, kept, skipped or put beside, and what is picked.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::listing::Listing;
use crate::common::machine::{Machine, restored};
use crate::common::program::{Ended, Running, run, wait_for};
use crate::common::random::Random;
use crate::common::service::files_below;
use crate::common::tree::{self, Size, assert_same, assert_same_but};
use crate::common::world::World;

/// A machine with one recovery point of a small tree: files, folders, links of both kinds.
struct Protected {
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Protected {
    fn new() -> Self {
        let world = World::new();
        let source = world.folder("source");
        for (name, contents) in [
            ("file", "as it was"),
            ("same", "the same everywhere"),
            ("linked-a", "two names"),
            ("folder/inside", "in a folder"),
            ("folder/deep/er", "deeper"),
            ("notes.txt", "a note"),
        ] {
            let path = source.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        fs::hard_link(source.join("linked-a"), source.join("linked-b")).unwrap();
        fs::hard_link(source.join("folder/deep/er"), source.join("zero")).unwrap();
        symlink("file", source.join("link")).unwrap();
        let machine = world.machine("protected");
        machine.back_up(&source);
        Self { world, machine, source }
    }

    /// A target in which some names are taken by other things: a file of the same size, a link that leads elsewhere, a
    /// file where a folder should be; and one more file.
    fn taken(&self, name: &str) -> PathBuf {
        let there = restored(&self.world.path(name), &self.source);
        fs::create_dir_all(&there).unwrap();
        fs::write(there.join("file"), "otherwise").unwrap();
        fs::write(there.join("same"), "the same everywhere").unwrap();
        fs::write(there.join("linked-a"), "somebody else's").unwrap();
        fs::write(there.join("folder"), "no folder at all").unwrap();
        symlink("elsewhere", there.join("link")).unwrap();
        fs::write(there.join("extra"), "not in the recovery point").unwrap();
        there
    }

    fn restore(&self, target: &str, arguments: &[&str]) -> Ended {
        let mut command = self.machine.restore_command("latest", &self.world.path(target));
        command.args(arguments);
        run(command)
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The only name in a folder that begins so.
#[track_caller]
fn copy_of(folder: &Path, name: &str) -> PathBuf {
    let beginning = format!("{name}.restored-");
    let mut copies = names(folder);
    copies.retain(|name| name.starts_with(&beginning));
    assert_eq!(copies.len(), 1, "copies of {name}: {copies:?}");
    folder.join(&copies[0])
}

#[test]
fn what_differs_is_replaced_and_nothing_is_deleted() {
    let protected = Protected::new();
    let there = protected.taken("target");
    let report = protected.restore("target", &[]).done();
    assert_eq!(report["replaced"], 4, "{report}");
    assert_eq!(report["files_kept"], 1, "{report}");
    assert_same_but(&protected.source, &there, &["extra"]);
    assert_eq!(text(&there.join("extra")), "not in the recovery point");
}

#[test]
fn what_differs_is_skipped() {
    let protected = Protected::new();
    let there = protected.taken("target");
    let taken = ["file", "same", "linked-a", "folder", "extra"].map(|name| (name, facts(&there.join(name))));
    let report = protected.restore("target", &["--conflict", "skip"]).done();
    for (name, before) in taken {
        assert_eq!(facts(&there.join(name)), before, "{name}");
    }
    assert_eq!(fs::read_link(there.join("link")).unwrap(), Path::new("elsewhere"));
    // The file, the first of two names, the link, and the folder with all that is in it.
    assert_eq!(report["skipped"], 7, "{report}");
    assert_eq!(report["files_kept"], 1, "{report}");
    // The contents of hard links whose first name was taken are there all the same.
    assert_eq!(text(&there.join("linked-b")), "two names");
    assert_eq!(text(&there.join("zero")), "deeper");
    assert_eq!(text(&there.join("notes.txt")), "a note");
    let everything = Listing::of(&there);
    protected.restore("target", &["--conflict", "skip"]).done();
    everything.assert_is(&there, "after the same command again");
}

#[test]
fn what_differs_gets_another_name() {
    let protected = Protected::new();
    let there = protected.taken("target");
    let taken = ["file", "same", "linked-a", "folder", "extra"].map(|name| (name, facts(&there.join(name))));
    let both = ["--conflict", "keep-both"];
    let report = protected.restore("target", &both).done();
    assert_eq!(report["copied"], 4, "{report}");
    for (name, before) in taken {
        assert_eq!(facts(&there.join(name)), before, "{name}");
    }
    assert_eq!(text(&copy_of(&there, "file")), "as it was");
    assert_eq!(fs::read_link(copy_of(&there, "link")).unwrap(), Path::new("file"));
    let folder = copy_of(&there, "folder");
    assert_same(&protected.source.join("folder/deep"), &folder.join("deep"));
    let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(copy_of(&there, "linked-a")), inode(there.join("linked-b")));
    assert_eq!(inode(folder.join("deep/er")), inode(there.join("zero")));

    let everything = Listing::of(&there);
    protected.restore("target", &both).done();
    everything.assert_is(&there, "after the same command again");

    let copy = copy_of(&there, "file");
    fs::write(&copy, "mine now.").unwrap();
    protected.restore("target", &both).done();
    assert_eq!(text(&copy), "mine now.");
    let second = PathBuf::from(format!("{}.2", copy.display()));
    assert_eq!(text(&second), "as it was");
}

#[test]
fn a_folder_is_never_replaced() {
    let protected = Protected::new();
    let there = protected.taken("target");
    fs::remove_file(there.join("file")).unwrap();
    fs::create_dir(there.join("file")).unwrap();
    fs::write(there.join("file/mine"), "mine").unwrap();
    let ended = protected.restore("target", &[]);
    ended.with_status(3);
    let warnings = ended.value()["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1, "{warnings}");
    let why = warnings[0]["why"].as_str().unwrap();
    assert!(
        why.contains("folders are never replaced") && why.contains("move it away"),
        "{why}"
    );
    assert_eq!(text(&there.join("file/mine")), "mine");
}

type Facts = (u64, u32, u64, i64, i64, i64, i64);

/// All that would tell that somebody touched it.
fn facts(path: &Path) -> Facts {
    let meta = fs::symlink_metadata(path).unwrap();
    (
        meta.ino(),
        meta.mode(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    )
}

#[test]
fn in_place_only_what_differs_is_touched() {
    let protected = Protected::new();
    let source = &protected.source;
    let original = protected.world.path("original");
    tree::copy(source, &original);
    fs::write(source.join("file"), "changed..").unwrap();
    fs::remove_file(source.join("notes.txt")).unwrap();
    fs::set_permissions(source.join("folder/inside"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(source.join("extra"), "new since then").unwrap();
    let changed_inode = fs::metadata(source.join("folder/inside")).unwrap().ino();
    let mut reader = fs::File::open(source.join("file")).unwrap();
    let untouched = [
        "same",
        "linked-a",
        "linked-b",
        "link",
        "folder/deep",
        "folder/deep/er",
        "extra",
    ]
    .map(|name| (name, facts(&source.join(name))));

    let report = protected.machine.run(&["restore", "latest", "--in-place"]).done();

    assert_eq!(report["replaced"], 1, "{report}");
    assert_eq!(report["target"], "/");
    for (name, before) in untouched {
        assert_eq!(facts(&source.join(name)), before, "{name}");
    }
    assert_same_but(&original, source, &["extra"]);
    assert_eq!(fs::metadata(source.join("folder/inside")).unwrap().ino(), changed_inode);
    // Who had the file open still reads the old one, whole.
    let mut read = String::new();
    std::io::Read::read_to_string(&mut reader, &mut read).unwrap();
    assert_eq!(read, "changed..");
}

#[test]
fn where_to_restore_has_to_be_said() {
    let protected = Protected::new();
    let machine = &protected.machine;
    let neither = machine.run(&["restore", "latest"]);
    neither.with_status(2);
    neither.said(&["--to", "--in-place"]);
    let target = protected.world.path("target");
    let both = machine.run(&["restore", "latest", "--in-place", "--to", target.to_str().unwrap()]);
    both.with_status(2);
    assert!(!target.exists());
}

#[test]
fn patterns_pick() {
    let protected = Protected::new();
    let picked = |target: &str, arguments: &[&str]| {
        protected.restore(target, arguments).done();
        let there = restored(&protected.world.path(target), &protected.source);
        tree::names_below(&there)
            .iter()
            .map(|path| path.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(picked("1", &["--include", "*.txt"]), ["notes.txt"]);
    assert_eq!(
        picked("2", &["--include", "folder/"]),
        ["folder/deep/er", "folder/inside"]
    );
    assert_eq!(
        picked("3", &["--include", "folder/", "--exclude", "deep"]),
        ["folder/inside"]
    );
    assert_eq!(
        picked("4", &["--exclude", "folder", "--exclude", "l*"]),
        ["file", "notes.txt", "same", "zero"]
    );
    let folder = protected.source.join("folder");
    assert_eq!(
        picked("5", &[folder.to_str().unwrap(), "--exclude", "./inside"]),
        ["folder/deep/er"]
    );
    // A hard link whose first name is left out has its contents.
    assert_eq!(
        text(&restored(&protected.world.path("4"), &protected.source).join("zero")),
        "deeper"
    );

    protected
        .restore("6", &["--include", "*.none"])
        .refused(&["the patterns leave nothing of the recovery point"]);
    protected.restore("7", &["--exclude", "a{b"]).refused(&["a{b"]);
    assert!(!protected.world.path("7").exists());
}

#[test]
fn a_dry_run_says_what_would_be_and_does_nothing() {
    let protected = Protected::new();
    let there = protected.taken("target");
    let before = Listing::of(&protected.world.path("target"));
    let jobs = || {
        protected.world.admin(&["job", "list"]).done()["jobs"]
            .as_array()
            .unwrap()
            .len()
    };
    let jobs_before = jobs();
    let fates = |arguments: &[&str]| {
        let mut arguments = arguments.to_vec();
        arguments.push("--dry-run");
        let ended = protected.restore("target", &arguments);
        ended.with_status(0);
        let lines = ended
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let below = format!("{}/", there.display());
        let mut fates: Vec<String> = lines
            .filter_map(|line| {
                let name = line["path"].as_str().unwrap().strip_prefix(&below)?.to_owned();
                Some(format!("{name}: {}", line["fate"].as_str().unwrap()))
            })
            .collect();
        fates.sort();
        fates
    };
    let rest = ["folder/deep: new", "folder/deep/er: new", "folder/inside: new"];
    let overwrite = fates(&[]);
    for expected in [
        "file: replaced",
        "folder: replaced",
        "link: replaced",
        "same: kept",
        "notes.txt: new",
    ]
    .iter()
    .chain(&rest)
    {
        assert!(
            overwrite.contains(&(*expected).to_owned()),
            "{expected} is not in {overwrite:?}"
        );
    }
    let skip = fates(&["--conflict", "skip"]);
    for expected in [
        "file: skipped",
        "folder: skipped",
        "folder/inside: skipped",
        "notes.txt: new",
    ] {
        assert!(skip.contains(&expected.to_owned()), "{expected} is not in {skip:?}");
    }
    let both = fates(&["--conflict", "keep-both"]);
    let copies: Vec<&String> = both.iter().filter(|fate| fate.ends_with("copied")).collect();
    assert_eq!(copies.len(), 4, "{both:?}");
    before.assert_is(&protected.world.path("target"), "after dry runs");
    assert_eq!(jobs(), jobs_before, "a dry run is no job");

    let nowhere = protected.restore("nowhere", &["--dry-run"]);
    nowhere.with_status(0);
    assert!(!protected.world.path("nowhere").exists());
}

#[test]
fn acls_and_owners_can_be_left_out() {
    let world = World::new();
    let source = world.folder("source");
    let file = source.join("file");
    fs::write(&file, "guarded").unwrap();
    setfacl(&["-m", "u:12345:rwx,g::---,m::rwx"], &file);
    rustix::fs::chown(&file, Some(rustix::fs::Uid::from_raw(1234)), None).unwrap();
    xattr::set(&file, "user.kept", b"yes").unwrap();
    let machine = world.machine("guarded");
    machine.back_up(&source);

    let target = world.path("plain");
    let mut command = machine.restore_command("latest", &target);
    command.args(["--without-acls", "--without-owners"]);
    run(command).done();
    let there = restored(&target, &file);
    let meta = fs::metadata(&there).unwrap();
    assert_eq!(getfacl(&there).lines().filter(|line| line.contains("12345")).count(), 0);
    assert_eq!(
        meta.mode() & 0o070,
        0,
        "the group had nothing, and has {:o}",
        meta.mode()
    );
    assert_eq!(meta.uid(), 0);
    assert_eq!(xattr::get(&there, "user.kept").unwrap().as_deref(), Some(&b"yes"[..]));

    // What is there keeps its ACL.
    let own = world.path("own");
    let there = restored(&own, &file);
    fs::create_dir_all(there.parent().unwrap()).unwrap();
    fs::write(&there, "guarded").unwrap();
    setfacl(&["-m", "u:54321:r--"], &there);
    let mut command = machine.restore_command("latest", &own);
    command.arg("--without-acls");
    run(command).done();
    assert!(getfacl(&there).contains("54321"), "{}", getfacl(&there));
    assert_eq!(fs::metadata(&there).unwrap().uid(), 1234);
}

fn setfacl(arguments: &[&str], file: &Path) {
    let set = Command::new("setfacl").args(arguments).arg(file).status();
    assert!(set.unwrap().success());
}

fn getfacl(file: &Path) -> String {
    let output = Command::new("getfacl").args(["-n", "-p"]).arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A restore of some size to a target that was interrupted while it ran.
struct Interrupted {
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Interrupted {
    fn new() -> Self {
        let world = World::new();
        let source = world.path("source");
        let size = Size {
            small: 50,
            large: 60,
            large_bytes: 2 << 20,
        };
        tree::make(&source, &mut Random::new(), &size);
        fs::set_permissions(source.join("folder-1"), fs::Permissions::from_mode(0o751)).unwrap();
        let machine = world.machine("interrupted");
        machine.back_up(&source);
        Self { world, machine, source }
    }

    fn command(&self, conflict: &str) -> Command {
        let mut command = self.machine.restore_command("latest", &self.world.path("target"));
        command.args(["--conflict", conflict]);
        command
    }

    /// A restore that is stopped in time when some files are there.
    fn frozen(&self, conflict: &str) -> Running {
        let running = Running::start(self.command(conflict));
        let there = self.there();
        wait_for("the first files", || (files_below(&there).len() > 20).then_some(()));
        running.signal(Signal::STOP);
        running
    }

    fn there(&self) -> PathBuf {
        restored(&self.world.path("target"), &self.source)
    }
}

#[test]
fn a_restore_that_keeps_what_is_there_goes_on_after_a_kill() {
    for conflict in ["skip", "keep-both"] {
        let interrupted = Interrupted::new();
        let running = interrupted.frozen(conflict);
        running.signal(Signal::KILL);
        assert!(running.wait().was_killed());
        let report = run(interrupted.command(conflict)).done();
        assert_eq!(
            (&report["skipped"], &report["copied"]),
            (&0.into(), &0.into()),
            "{report}"
        );
        assert!(report["files_kept"].as_u64() > Some(10), "{report}");
        assert_same(&interrupted.source, &interrupted.there());
    }
}

#[test]
fn a_restore_that_is_stopped_at_the_service_keeps_what_was_written() {
    let interrupted = Interrupted::new();
    let running = interrupted.frozen("overwrite");
    let jobs = interrupted.world.admin(&["job", "list"]).done();
    let restores = jobs["jobs"].as_array().unwrap().iter();
    let mut ids = restores
        .filter(|job| job["operation"] == "Restore")
        .map(|job| job["id"].as_str().unwrap());
    let id = ids.next().expect("the service knows of the restore").to_owned();
    interrupted.world.admin(&["job", "stop", &id]).with_status(0);
    let before = files_below(&interrupted.there()).len();
    running.signal(Signal::CONT);
    let ended = running.wait();
    // It may be done before it asks the service again; either way nothing is taken away.
    assert!(files_below(&interrupted.there()).len() >= before);
    if !ended.is_done() {
        ended.with_status(1);
        ended.said(&["stopped at the service", "what was done so far is kept"]);
        let shown = interrupted.world.admin(&["job", "show", &id]).done();
        assert_eq!(shown["state"], "Cancelled", "{shown}");
    }
    let report = run(interrupted.command("overwrite")).done();
    assert!(report["files_kept"].as_u64() > Some(10), "{report}");
    assert_same(&interrupted.source, &interrupted.there());
}

#[test]
fn a_lost_machine_is_restored_by_a_new_one_with_its_passphrase() {
    let protected = Protected::new();
    fs::remove_dir_all(&protected.machine.state).unwrap();
    let heir = protected.world.machine("heir");
    let target = protected.world.path("target");
    let mut command = heir.restore_command("latest", &target);
    command.args(["--machine", "protected"]);
    run(command).done();
    assert_same(&protected.source, &restored(&target, &protected.source));
}
