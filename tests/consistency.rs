//! How consistent a recovery point is: snapshots of btrfs, which are used where there can be any, always removed, and told of.
//! On real file systems.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::common;
use crate::common::consistency::{begin_slow, noted, reading};
use crate::common::in_step::{InStep, agree};
use crate::common::machine::Machine;
use crate::common::mount::Mount;
use crate::common::program::{Running, run, wait_for};
use crate::common::random::Random;
use crate::common::tree::{self, Size, let_age};
use crate::common::world::World;

const SIZE: Size = Size {
    small: 60,
    large: 2,
    large_bytes: 1 << 20,
};

/// So many bytes are read for a while, and that while is what these tests need.
const LARGE_BYTES: usize = 96 << 20;

/// A btrfs of its own.
struct Volume {
    at: PathBuf,
    _mount: Mount,
}

impl Volume {
    fn new(world: &World) -> Self {
        Self::mounted(world, "btrfs", "")
    }

    fn mounted(world: &World, name: &str, options: &str) -> Self {
        let at = world.path(name);
        let mount = Mount::image("btrfs", &world.path(&format!("{name}.img")), 512 << 20, &at, options);
        Self { at, _mount: mount }
    }

    fn subvolume(&self, name: &str) -> PathBuf {
        let path = self.at.join(name);
        btrfs(&["subvolume", "create", path.to_str().unwrap()]);
        path
    }

    /// The names of all snapshots that this program has made.
    fn snapshots(&self) -> Vec<String> {
        let listed = btrfs(&["subvolume", "list", self.at.to_str().unwrap()]);
        let names = listed.lines().filter_map(|line| line.split_whitespace().last());
        names
            .filter(|name| name.contains("strongroom-snapshot-"))
            .map(str::to_owned)
            .collect()
    }
}

fn btrfs(arguments: &[&str]) -> String {
    let done = Command::new("btrfs").args(arguments).output().unwrap();
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "btrfs {arguments:?}: {why}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn two_files_that_are_rewritten_in_step_agree_in_each_of_ten_recovery_points() {
    let world = World::new();
    let volume = Volume::new(&world);
    let files = InStep::make(&volume.subvolume("data"), LARGE_BYTES);
    let machine = world.machine("in-step");
    let points = files.back_up(&machine, &world, "always", 10);
    println!("{points:?}");
    assert!(points.iter().all(agree), "{points:?}");
    assert!(
        points.windows(2).all(|two| two[0].0 < two[1].0),
        "nobody wrote: {points:?}"
    );
    // Without a snapshot they do not, so this can fail.
    let points = files.back_up(&machine, &world, "never", 3);
    assert!(!points.iter().all(agree), "{points:?}");
    assert_eq!(volume.snapshots(), Vec::<String>::new());
}

#[test]
fn a_snapshot_gives_the_same_recovery_point_as_the_tree_and_what_is_unchanged_is_not_read() {
    let (world, mut random) = (World::new(), Random::new());
    let volume = Volume::new(&world);
    let source = volume.subvolume("data");
    tree::make(&source, &mut random, &SIZE);
    fs::hard_link(source.join("large-0"), source.join("folder-1/again")).unwrap();
    // Another subvolume in it, one that is mounted in it, a part of it at another place, and a disk of another kind.
    tree::make(&volume.subvolume("data/nested"), &mut random, &SIZE);
    let deep = source.join("nested").join(["d"; 80].join("/"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("bottom"), "a long way down").unwrap();
    let _ext4 = Mount::image("ext4", &world.path("ext4.img"), 32 << 20, &source.join("disk"), "");
    fs::write(source.join("disk/on ext4"), "contents").unwrap();
    let _part = Mount::bind(&source.join("folder-2"), &source.join("nested/part"));
    let_age();
    let machine = world.machine("whole");

    let report = machine.back_up(&source);
    assert_eq!(reading(&report, &source.join("nested")).0, "snapshot");
    assert_eq!(reading(&report, &source.join("nested/part")).0, "snapshot");
    assert_eq!(reading(&report, &source).0, "snapshot");
    assert_eq!(reading(&report, &source.join("disk")).0, "live");
    assert_eq!(volume.snapshots(), Vec::<String>::new(), "it is not removed");
    let there = machine.restore("latest", &source, &world.path("restored"));
    tree::assert_same_but(&source, &there, &["lost+found"]);

    let report = machine.back_up(&source);
    assert_eq!(report["files_read"], 0, "{report}");
    // Nor does it matter whether there is a snapshot.
    let mut live = machine.backup_command(&source);
    live.args(["--snapshot", "never"]);
    let report = run(live).done();
    assert_eq!(report["files_read"], 0, "{report}");
    assert_eq!(reading(&report, &source).0, "live");
}

#[test]
fn a_backup_that_is_killed_leaves_no_snapshot_after_the_next_start() {
    let world = World::new();
    let volume = Volume::new(&world);
    let source = volume.subvolume("data");
    fs::write(source.join("large"), Random::from_seed(2).bytes(LARGE_BYTES)).unwrap();
    let machine = world.machine("killed");
    for start in ["agent run", "backup"] {
        let running = begin_slow(&machine, &source, || volume.snapshots());
        running.signal(Signal::KILL);
        let ended = running.wait();
        assert!(ended.was_killed(), "{ended}");
        let left = volume.snapshots();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(noted(&machine).contains(&left[0]));
        if start == "backup" {
            machine.back_up(&source);
            assert_eq!(volume.snapshots(), Vec::<String>::new());
        } else {
            let agent = Running::start(machine.command(&["agent", "run"]));
            wait_for("its removal", || volume.snapshots().is_empty().then_some(()));
            agent.signal(Signal::TERM);
            agent.wait().with_status(0);
        }
        assert_eq!(noted(&machine).trim(), "[]", "after {start}");
    }
    // One that is stopped removes its own.
    let running = begin_slow(&machine, &source, || volume.snapshots());
    running.signal(Signal::INT);
    running.wait().with_status(1);
    assert_eq!(volume.snapshots(), Vec::<String>::new());
}

#[test]
fn nothing_is_removed_that_a_backup_has_not_made() {
    let world = World::new();
    let volume = Volume::new(&world);
    let source = volume.subvolume("data");
    fs::write(source.join("file"), "contents").unwrap();
    let machine = world.machine("careful");
    let running = begin_slow_enough_to_note(&machine, &volume, &source);
    let left = volume.snapshots().remove(0);
    assert!(running.was_killed());
    // Somebody's own subvolume has the name that is noted, and another machine's snapshot one like it.
    let at = |name: &str| volume.at.join(name).to_str().unwrap().to_owned();
    btrfs(&["subvolume", "delete", &at(&left)]);
    btrfs(&["subvolume", "create", &at(&left)]);
    let other = "strongroom-snapshot-00000000-0000-0000-0000-000000000000-1-1";
    btrfs(&["subvolume", "snapshot", "-r", source.to_str().unwrap(), &at(other)]);
    let notes = noted(&machine);
    let mut all: Vec<Value> = serde_json::from_str(&notes).unwrap();
    let mut second = all[0].clone();
    second["name"] = other.into();
    all.push(second);
    fs::write(
        machine.state.join("snapshots.json"),
        serde_json::to_string(&all).unwrap(),
    )
    .unwrap();
    machine.back_up(&source);
    let mut kept = volume.snapshots();
    kept.sort();
    let mut expected = vec![left, other.to_owned()];
    expected.sort();
    assert_eq!(kept, expected);
    assert_eq!(noted(&machine).trim(), "[]");
    // And neither is data: who backs up the top finds none of them in it.
    let report = machine.back_up(&volume.at);
    let listed = machine.run(&["ls", "latest"]).done().to_string();
    assert!(
        listed.contains("data/file") && !listed.contains("strongroom-snapshot-"),
        "{report}"
    );
}

/// A backup that is killed when there is a snapshot.
fn begin_slow_enough_to_note(machine: &Machine, volume: &Volume, source: &Path) -> common::program::Ended {
    fs::write(source.join("large"), Random::from_seed(3).bytes(LARGE_BYTES)).unwrap();
    let running = begin_slow(machine, source, || volume.snapshots());
    running.signal(Signal::KILL);
    running.wait()
}

#[test]
fn where_there_must_be_a_snapshot_and_can_be_none_nothing_is_backed_up() {
    let world = World::new();
    let machine = world.machine("strict");
    let always = |source: &Path| {
        let mut command = machine.backup_command(source);
        command.args(["--snapshot", "always"]);
        run(command)
    };
    let memory = world.path("memory");
    let _tmpfs = Mount::tmpfs(&memory, "8m");
    fs::write(memory.join("file"), "contents").unwrap();
    always(&memory).refused(&["tmpfs has no snapshots", "--snapshot auto"]);
    let jobs = world.admin(&["job", "list"]).done().to_string();
    assert!(!jobs.contains("\"Backup\""), "a job began: {jobs}");
    // What cannot be seen before: another volume deeper in it.
    let volume = Volume::new(&world);
    let source = volume.subvolume("data");
    fs::write(source.join("file"), "contents").unwrap();
    let inner = Mount::tmpfs(&source.join("inner"), "8m");
    always(&source).refused(&["inner", "there is no snapshot to read it from", "--snapshot auto"]);
    assert_eq!(volume.snapshots(), Vec::<String>::new());
    assert_eq!(machine.points(), Vec::<String>::new());
    drop(inner);
    let report = always(&source).done();
    assert_eq!(reading(&report, &source).0, "snapshot");
    // The settings have the same switch.
    let path = memory.to_str().unwrap();
    machine
        .run(&["agent", "settings", "--path", path, "--snapshot", "always"])
        .done();
    machine.run(&["backup"]).refused(&["tmpfs has no snapshots"]);
}

#[test]
fn who_may_not_make_snapshots_reads_live_and_is_told_what_is_missing() {
    let world = World::new();
    let volume = Volume::new(&world);
    let source = volume.subvolume("data");
    fs::write(source.join("file"), "contents").unwrap();
    let machine = world.machine("modest");
    // Root becomes the owner of the state folder, who may read everything and no more, as with the packages.
    let owned = Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(&machine.state)
        .status();
    assert!(owned.unwrap().success());
    let report = machine.back_up(&source);
    assert_eq!(reading(&report, &source).0, "live");
    let why = report["volumes"][0]["why"].as_str().unwrap();
    assert!(why.contains("CAP_SYS_ADMIN"), "{why}");
    let mut always = machine.backup_command(&source);
    always.args(["--snapshot", "always"]);
    run(always).refused(&["CAP_SYS_ADMIN", "--snapshot auto"]);
}

#[test]
fn a_change_that_keeps_size_and_mtime_is_seen_and_one_that_hides_from_ctime_is_by_force() {
    let world = World::new();
    let (image, at) = (world.path("ext4.img"), world.path("ext4"));
    let mount = Mount::image("ext4", &image, 32 << 20, &at, "");
    let (set_back, hidden) = (at.join("set back"), at.join("hidden"));
    fs::write(&set_back, "first").unwrap();
    fs::write(&hidden, [b'A'; 8192]).unwrap();
    let_age();
    let machine = world.machine("honest");
    let exclude = ["--exclude", "lost+found"];
    let back_up = |more: &[&str]| {
        let mut command = machine.backup_command(&at);
        command.args(exclude).args(more);
        run(command).done()
    };
    assert_eq!(back_up(&[])["files_read"], 2);
    let reference = world.path("reference");
    let touch = |arguments: &[&Path]| {
        let touched = Command::new("touch").arg("-r").args(arguments).status();
        assert!(touched.unwrap().success());
    };
    touch(&[&set_back, &reference]);
    fs::write(&set_back, "other").unwrap();
    touch(&[&reference, &set_back]);
    let_age();
    assert_eq!(back_up(&[])["files_read"], 1, "ctime tells of it");

    // Behind the back of the file system, as a broken disk does it: no time changes.
    let facts = fs::metadata(&hidden).unwrap();
    drop(mount);
    wait_for("the image to be free", || is_free(&image).then_some(()));
    let bytes = fs::read(&image).unwrap();
    let place = bytes.windows(8192).position(|window| window == [b'A'; 8192]).unwrap();
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&[b'B'; 8192], place as u64).unwrap();
    let _mount = Mount::existing(&image, &at);
    assert_eq!(fs::read(&hidden).unwrap(), [b'B'; 8192]);
    let same = |facts: &fs::Metadata| {
        use std::os::unix::fs::MetadataExt as _;
        (
            facts.ino(),
            facts.ctime(),
            facts.ctime_nsec(),
            facts.mtime(),
            facts.len(),
        )
    };
    assert_eq!(same(&fs::metadata(&hidden).unwrap()), same(&facts));
    let there = |name: &str| fs::read(machine.restore("latest", &at, &world.path(name)).join("hidden")).unwrap();
    assert_eq!(back_up(&[])["files_read"], 0);
    assert_eq!(there("unforced"), [b'A'; 8192]);
    assert_eq!(back_up(&["--force-rehash"])["files_read"], 2);
    assert_eq!(there("forced"), [b'B'; 8192]);
}

/// Whether no loop device has the file any more.
fn is_free(image: &Path) -> bool {
    let attached = Command::new("losetup").arg("--associated").arg(image).output().unwrap();
    attached.status.success() && attached.stdout.is_empty()
}
