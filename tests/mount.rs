//! A recovery point that is mounted is what was backed up, whoever reads it and however.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::SeekFrom as RawSeek;
use rustix::process::Signal;
use serde_json::Value;
use strongroom_format::pack::{BlobKind, parse_pack};
use strongroom_sources::museum;

use crate::common::machine::{Machine, restored};
use crate::common::program::{Running, run, wait_for};
use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same, assert_same_but};
use crate::common::world::World;

const SIZE: Size = Size {
    small: 150,
    large: 3,
    large_bytes: 2 << 20,
};

/// Something mounted. It is unmounted when this is dropped, also by a panic.
struct Mounted {
    running: Option<Running>,
    at: PathBuf,
    /// What it printed when it was mounted.
    said: Value,
}

impl Mounted {
    /// Runs `strongroom mount` with these arguments, on a folder of the world.
    #[track_caller]
    fn start(world: &World, machine: &Machine, arguments: &[&str]) -> Self {
        let at = world.folder("mounted");
        Self::start_on(&at, machine, arguments)
    }

    #[track_caller]
    fn start_on(at: &Path, machine: &Machine, arguments: &[&str]) -> Self {
        let mut running = Running::start(command(at, machine, arguments));
        let line = wait_for("it to be mounted", || {
            let printed = running.has_printed();
            assert!(!running.has_ended(), "{printed}{}", running.has_said());
            printed.ends_with('\n').then_some(printed)
        });
        assert_eq!(line.lines().count(), 1, "{line}");
        Self {
            running: Some(running),
            at: at.to_owned(),
            said: serde_json::from_str(&line).unwrap(),
        }
    }

    /// Where what was backed up at `source` is.
    fn of(&self, source: &Path) -> PathBuf {
        restored(&self.at, source)
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("it runs until it is stopped")
    }

    /// Stops it by a signal, and makes sure that nothing is left.
    #[track_caller]
    fn stop(mut self, signal: Signal) -> String {
        self.running().signal(signal);
        self.has_stopped()
    }

    /// Waits until it ends by itself. Returns what it said meanwhile.
    #[track_caller]
    fn has_stopped(&mut self) -> String {
        let ended = self.running.take().expect("it runs").wait();
        ended.with_status(0);
        assert_eq!(fs::read_dir(&self.at).unwrap().count(), 0, "it is still mounted");
        ended.stderr
    }

    /// `kill -9`.
    fn kill(mut self) {
        let running = self.running.take().expect("it runs");
        running.signal(Signal::KILL);
        assert!(running.wait().was_killed());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            drop(running);
            let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
        }
    }
}

fn command(at: &Path, machine: &Machine, arguments: &[&str]) -> Command {
    let mut command = machine.command(&["mount"]);
    command.args(arguments).arg(at);
    command
}

/// A machine that has backed up a tree.
fn backed_up(size: &Size) -> (World, Machine, PathBuf) {
    let world = World::new();
    let source = world.path("source");
    tree::make(&source, &mut Random::new(), size);
    let machine = world.machine("first");
    machine.back_up(&source);
    (world, machine, source)
}

#[test]
fn a_museum_of_every_kind_of_file_is_mounted_exactly() {
    let world = World::new();
    let source = world.folder("museum");
    let missing = museum::build(&source).unwrap();
    assert_eq!(
        missing,
        Vec::<&str>::new(),
        "run as root, on a file system with attributes"
    );
    let machine = world.machine("museum");
    machine.back_up(&source);
    let mounted = Mounted::start(&world, &machine, &["latest"]);
    let there = mounted.of(&source);
    assert_same_but(&source, &there, &[museum::DEEP]);
    // How many names a file has is known when all have been looked at.
    wait_for("all names to be counted", || {
        let first = fs::metadata(there.join("links/a/b/first")).unwrap();
        (first.nlink() == 4).then_some(())
    });
    let differences = || museum::differences(&source, &there).unwrap();
    wait_for("the system to ask again", || differences().is_empty().then_some(()));
    let inode = |name: &str| fs::symlink_metadata(there.join(name)).unwrap().ino();
    assert_eq!(inode("links/a/b/first"), inode("links/c/third"));
    assert_ne!(inode("links/a/b/first"), inode("names/case"));
    assert_is_as_sparse(&source.join("sparse"), &there.join("sparse"));
    let device = |folder: &Path| fs::symlink_metadata(folder.join("specials/high")).unwrap().rdev();
    assert_eq!(device(&there), device(&source));
    assert_eq!(mounted.stop(Signal::INT), "");
}

/// The same blocks, and the same holes.
fn assert_is_as_sparse(source: &Path, there: &Path) {
    for entry in fs::read_dir(source).unwrap() {
        let name = entry.unwrap().file_name();
        let (source, there) = (source.join(&name), there.join(&name));
        let blocks = |file: &Path| fs::metadata(file).unwrap().blocks();
        assert!(
            blocks(&there) <= blocks(&source) + 16,
            "{name:?} takes {} blocks",
            blocks(&there)
        );
        let holes = |file: &Path| holes(&File::open(file).unwrap());
        assert_eq!(holes(&there), holes(&source), "{name:?}");
    }
}

/// Where data begins and ends.
fn holes(file: &File) -> Vec<(u64, u64)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Ok(data) = rustix::fs::seek(file, RawSeek::Data(at)) {
        let hole = rustix::fs::seek(file, RawSeek::Hole(data)).unwrap();
        found.push((data, hole));
        at = hole;
    }
    found
}

#[test]
fn any_part_of_a_file_reads_as_it_was() {
    let world = World::new();
    let (source, mut random) = (world.folder("source"), Random::new());
    let mut image = random.bytes(5 << 20);
    image[1 << 20..3 << 20].fill(0);
    // Contents in a bundle, cut by contents, and in blocks; one with holes.
    let files = [
        ("small", random.bytes(5000)),
        ("large", random.bytes((9 << 20) + 12_345)),
        ("disk.img", image),
        ("empty", Vec::new()),
    ];
    for (name, bytes) in &files {
        fs::write(source.join(name), bytes).unwrap();
    }
    let sparse = File::create(source.join("sparse")).unwrap();
    sparse.set_len(20 << 20).unwrap();
    sparse.write_all_at(&random.bytes(70_000), 7_777_777).unwrap();
    let machine = world.machine("first");
    machine.back_up(&source);
    let mounted = Mounted::start(&world, &machine, &["latest"]);
    for name in ["small", "large", "disk.img", "empty", "sparse"] {
        let expected = fs::read(source.join(name)).unwrap();
        let file = File::open(mounted.of(&source).join(name)).unwrap();
        for _ in 0..60 {
            let offset = random.below(expected.len() as u64 + 10);
            let mut there = vec![0; random.below(300_000) as usize];
            let length = read_at_most(&file, &mut there, offset);
            let rest = expected.get(offset as usize..).unwrap_or_default();
            let wanted = &rest[..rest.len().min(there.len())];
            assert!(there[..length] == *wanted, "{name}: {} bytes at {offset}", there.len());
        }
        // From the end to the beginning, in odd steps.
        let mut file = File::open(mounted.of(&source).join(name)).unwrap();
        for at in (0..expected.len()).rev().step_by(123_457) {
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut byte = [0];
            file.read_exact(&mut byte).unwrap();
            assert_eq!(byte[0], expected[at], "{name} at {at}");
        }
    }
    mounted.stop(Signal::TERM);
}

fn read_at_most(file: &File, buffer: &mut [u8], offset: u64) -> usize {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], offset + length as u64).unwrap() {
            0 => break,
            more => length += more,
        }
    }
    length
}

#[test]
fn several_read_at_once_while_somebody_looks_through_all() {
    let large = Size {
        small: 1500,
        large: 4,
        large_bytes: 20 << 20,
    };
    let (world, machine, source) = backed_up(&large);
    let mounted = Mounted::start(&world, &machine, &["latest"]);
    let there = mounted.of(&source);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let name = format!("large-{number}");
            let (source, there) = (source.join(&name), there.join(&name));
            scope.spawn(move || {
                assert!(fs::read(source).unwrap() == fs::read(there).unwrap(), "{name}");
            });
        }
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(tree::names_below(&there), tree::names_below(&source)));
        }
    });
    assert_same(&source, &there);
    mounted.stop(Signal::INT);
}

#[test]
fn nothing_can_be_changed_and_only_the_user_who_mounted_may_look() {
    let (world, machine, source) = backed_up(&SIZE);
    let mounted = Mounted::start(&world, &machine, &["latest"]);
    let there = mounted.of(&source);
    let file = there.join("large-0");
    let refused = fs::write(there.join("new"), b"x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    for error in [
        fs::remove_file(&file),
        fs::rename(&file, there.join("moved")),
        fs::write(&file, b"x"),
    ] {
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }
    let listed = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = listed
        .lines()
        .find(|line| line.contains(mounted.at.to_str().unwrap()))
        .unwrap();
    for option in ["ro", "nosuid", "nodev", "noatime"] {
        let options: Vec<&str> = line.split(' ').nth(5).unwrap().split(',').collect();
        assert!(options.contains(&option), "{option}: {line}");
    }
    assert!(
        line.contains("default_permissions") && !line.contains("allow_other"),
        "{line}"
    );
    mounted.stop(Signal::INT);
    let mounted = Mounted::start(&world, &machine, &["latest", "--allow-other"]);
    let listed = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = listed
        .lines()
        .find(|line| line.contains(mounted.at.to_str().unwrap()))
        .unwrap();
    assert!(line.contains("allow_other"), "{line}");
    mounted.stop(Signal::INT);
}

#[test]
fn all_points_are_folders_by_time() {
    let (world, machine, source) = backed_up(&SIZE);
    let (before, mut random) = (world.path("before"), Random::new());
    tree::copy(&source, &before);
    (0..5).for_each(|_| tree::edit(&source, &mut random));
    machine.back_up(&source);
    let mounted = Mounted::start(&world, &machine, &["--all"]);
    assert_eq!(mounted.said["points"], serde_json::to_value(machine.points()).unwrap());
    let mut folders: Vec<PathBuf> = fs::read_dir(&mounted.at)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert_eq!(folders.len(), 2);
    let year = |folder: &PathBuf| folder.file_name().unwrap().to_str().unwrap().starts_with("20");
    assert!(folders.iter().all(year), "{folders:?}");
    for (folder, expected) in folders.iter().zip([&before, &source]) {
        assert_same(expected, &restored(folder, &source));
    }
    mounted.stop(Signal::INT);
}

#[test]
fn points_of_another_machine_are_mounted_with_the_same_passphrase_only() {
    let (world, machine, source) = backed_up(&SIZE);
    let second = world.machine("second");
    let at = world.folder("mounted");
    for arguments in [&["latest", "--machine", "first"][..], &[machine.points()[0].as_str()]] {
        let mounted = Mounted::start_on(&at, &second, arguments);
        assert_same(&source, &mounted.of(&source));
        mounted.stop(Signal::INT);
    }
    let mounted = Mounted::start_on(&at, &second, &["--all", "--machine", "first"]);
    assert_eq!(fs::read_dir(&at).unwrap().count(), 1);
    mounted.stop(Signal::INT);
    run(command(&at, &second, &["latest"])).refused(&["no recovery point"]);
    run(command(&at, &second, &["--all"])).refused(&["no recovery point"]);
    let stranger = world.machine_with("stranger", "a quite different passphrase");
    run(command(&at, &stranger, &[&machine.points()[0]])).refused(&["passphrase"]);
    for arguments in [&["latest"][..], &["--all"]] {
        let mut refused = command(&at, &stranger, arguments);
        refused.args(["--machine", "first"]);
        run(refused).refused(&["passphrase"]);
    }
    assert_eq!(fs::read_dir(&at).unwrap().count(), 0);
}

#[test]
fn it_is_unmounted_when_nobody_looks_for_long() {
    let (world, machine, source) = backed_up(&SIZE);
    let mut mounted = Mounted::start(&world, &machine, &["latest", "--idle", "6s"]);
    let there = mounted.of(&source);
    // While somebody looks it stays, for longer than the limit.
    let begun = std::time::Instant::now();
    let mut number = 0;
    wait_for("more than the limit", || {
        // Names that were not asked for before, as the system remembers the others.
        number += 1;
        assert!(fs::metadata(there.join(format!("no-{number}"))).is_err());
        assert!(there.join("large-0").exists());
        (begun.elapsed() > Duration::from_secs(9)).then_some(())
    });
    assert!(!mounted.running().has_ended());
    mounted.has_stopped();
}

#[test]
fn it_ends_when_somebody_else_unmounts_it() {
    let (world, machine, _) = backed_up(&SIZE);
    let mut mounted = Mounted::start(&world, &machine, &["latest"]);
    let unmounted = Command::new("fusermount3").arg("-u").arg(&mounted.at).status();
    assert!(unmounted.unwrap().success());
    assert_eq!(mounted.has_stopped(), "");
}

#[test]
fn it_is_unmounted_although_somebody_has_a_file_open() {
    let (world, machine, source) = backed_up(&SIZE);
    let mounted = Mounted::start(&world, &machine, &["latest"]);
    let file = File::open(mounted.of(&source).join("large-1")).unwrap();
    mounted.stop(Signal::TERM);
    assert!(file.read_at(&mut [0; 1 << 16], 1 << 20).is_err());
}

#[test]
fn what_a_killed_process_left_is_mounted_again() {
    let (world, machine, source) = backed_up(&SIZE);
    Mounted::start(&world, &machine, &["latest"]).kill();
    let at = world.path("mounted");
    assert!(fs::read_dir(&at).is_err(), "it was not left mounted");
    let mounted = Mounted::start_on(&at, &machine, &["latest"]);
    assert_same(&source, &mounted.of(&source));
    let said = mounted.stop(Signal::INT);
    assert!(said.contains("was left mounted by a process that was killed"), "{said}");
}

#[test]
fn a_damaged_object_costs_only_its_files() {
    let (world, machine, source) = backed_up(&Size {
        small: 30,
        large: 4,
        large_bytes: 3 << 20,
    });
    let (pack, at) = a_chunk(&world);
    let mut bytes = fs::read(&pack).unwrap();
    bytes[at] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let mounted = Mounted::start(&world, &machine, &["latest"]);
    let mut lost = Vec::new();
    for name in tree::names_below(&source) {
        match fs::read(mounted.of(&source).join(&name)) {
            Ok(bytes) => assert!(bytes == fs::read(source.join(&name)).unwrap(), "{name:?} is wrong"),
            Err(error) => {
                assert_eq!(
                    error.raw_os_error(),
                    Some(rustix::io::Errno::IO.raw_os_error()),
                    "{error}"
                );
                lost.push(name);
            }
        }
    }
    assert_eq!(lost.len(), 1, "{lost:?}");
    // It lives on, and said which object it was.
    assert_eq!(tree::names_below(&mounted.of(&source)), tree::names_below(&source));
    let said = mounted.stop(Signal::INT);
    let object = pack.file_name().unwrap().to_str().unwrap();
    assert!(
        said.contains(object) && said.contains("WARN"),
        "{object} is not named: {said}"
    );
}

/// A pack, and a place inside its longest chunk: that of a large file.
fn a_chunk(world: &World) -> (PathBuf, usize) {
    let packs = world.service.packs().into_iter().map(|pack| {
        let toc = parse_pack(&fs::read(&pack).unwrap()).unwrap();
        let chunks = toc.entries().iter().filter(|entry| entry.kind == BlobKind::Chunk);
        let largest = chunks.max_by_key(|entry| entry.length);
        (pack, largest.map(|entry| (entry.length, entry.offset as usize + 1000)))
    });
    let found = packs.filter_map(|(pack, largest)| Some((pack, largest?)));
    let (pack, (_, at)) = found.max_by_key(|(_, (length, _))| *length).expect("there is a chunk");
    (pack, at)
}

#[test]
fn readers_wait_for_a_service_that_is_away() {
    let (mut world, machine, source) = backed_up(&SIZE);
    let mut mounted = Mounted::start(&world, &machine, &["latest"]);
    world.service.kill();
    let (there, expected) = (mounted.of(&source), source.clone());
    let reader = std::thread::spawn(move || assert_same(&expected, &there));
    wait_for("the notice", || {
        mounted.running().has_said().contains("does not answer").then_some(())
    });
    world.service.start_again();
    reader.join().unwrap();
    mounted.stop(Signal::INT);
}

#[test]
fn what_cannot_be_mounted_on_is_refused() {
    let (world, machine, _) = backed_up(&SIZE);
    let full = world.folder("full");
    fs::write(full.join("file"), b"x").unwrap();
    for (path, words) in [
        (full.clone(), ["has something in it", "empty folder"]),
        (full.join("file"), ["is not a folder", "empty one"]),
        (world.path("nowhere"), ["there is no folder", "mkdir"]),
    ] {
        run(command(&path, &machine, &["latest"])).refused(&words);
    }
    let at = world.folder("mounted");
    run(command(&at, &machine, &["ffffffff"])).refused(&["no recovery point"]);
    for arguments in [
        &["latest", "--idle", "25h"][..],
        &["latest", "--idle", "soon"],
        &["latest", "--all"],
    ] {
        run(command(&at, &machine, arguments)).with_status(2);
    }
    run(command(&at, &machine, &[])).with_status(2);
    let mounted = Mounted::start_on(&at, &machine, &["latest"]);
    run(command(&at, &machine, &["latest"])).refused(&["has something in it"]);
    mounted.stop(Signal::INT);
}
