//! Export: recovery points travel on a disk to where a large restore is wanted.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::machine::{Machine, restored};
use crate::common::mount::Mount;
use crate::common::program::{Ended, Running, run, wait_for};
use crate::common::random::Random;
use crate::common::service::files_below;
use crate::common::tree::{self, Size, assert_same, bytes_below};
use crate::common::world::{PASSPHRASE, World};
use rustix::process::Signal;
use serde_json::Value;
use strongroom_format::blob_id;

const SIZE: Size = Size {
    small: 40,
    large: 4,
    large_bytes: 12 << 20,
};
const OTHER: &str = "another passphrase altogether";

struct Export {
    world: World,
    web: Machine,
    source: PathBuf,
    disk: PathBuf,
    random: Random,
}

impl Export {
    /// A machine with one recovery point, and a disk.
    fn new() -> Self {
        let (world, mut random) = (World::new(), Random::new());
        let web = world.machine("web");
        let source = world.path("source");
        tree::make(&source, &mut random, &SIZE);
        web.back_up(&source);
        let disk = world.path("disk");
        Self {
            world,
            web,
            source,
            disk,
            random,
        }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = self.world.admin_command(&["item", "export", "web", "--vault", "main"]);
        command.args(more).arg("--to").arg(&self.disk);
        command
    }

    fn export(&self, more: &[&str]) -> Ended {
        run(self.command(more))
    }

    fn restore(&self, machine: &Machine, point: &str, target: &Path, more: &[&str]) -> Ended {
        let mut command = machine.restore_command(point, target);
        command.arg("--from-disk").arg(&self.disk).args(more);
        run(command)
    }

    #[track_caller]
    fn assert_restores(&self, what: &str) {
        let target = self.world.path(what);
        let report = self.restore(&self.web, "latest", &target, &[]).done();
        assert_eq!(report["from_service"], 0, "{report}");
        assert_same(&self.source, &restored(&target, &self.source));
    }

    /// The packs on the disk, by name.
    fn packs(&self) -> Vec<PathBuf> {
        let mut packs = files_below(&self.disk.join("packs"));
        packs.sort();
        packs
    }

    /// The largest: one of chunks.
    fn large_pack(&self) -> PathBuf {
        let size = |pack: &PathBuf| fs::metadata(pack).unwrap().len();
        self.packs().into_iter().max_by_key(size).unwrap()
    }
}

fn flip(file: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// All these words are in what it printed for programs, or told people.
#[track_caller]
fn assert_told(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(
            ended.stdout.contains(word) || ended.stderr.contains(word),
            "{word:?} is not told: {ended}"
        );
    }
}

fn name_of(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn figure(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn a_disk_restores_without_the_service_and_a_second_point_adds_what_is_new() {
    let mut export = Export::new();
    let first = export.web.points().remove(0);
    let exported = export.export(&[]).done();
    assert_eq!(
        (&exported["points_written"], &exported["damaged"]),
        (&1.into(), &Value::Array(Vec::new()))
    );
    assert!(figure(&exported, "new_bytes") > 40 << 20, "{exported}");
    // Again is the same as once, and fetches nothing.
    let objects = files_below(&export.disk);
    let again = export.export(&[]).done();
    let new = |name| figure(&again, name);
    assert_eq!(
        (new("points_written"), new("points_known"), new("packs_written")),
        (0, 1, 0)
    );
    assert_eq!((new("new_bytes"), files_below(&export.disk)), (0, objects));

    let old = export.world.path("as it was");
    tree::copy(&export.source, &old);
    tree::edit(&export.source, &mut export.random);
    let made = export.web.back_up(&export.source);
    let before = export.packs();
    let second = export.export(&["--all"]).done();
    assert_eq!(
        (figure(&second, "points_written"), figure(&second, "points_known")),
        (1, 1)
    );
    // What a backup adds and what its export adds is the same: chunks and pages, sealed.
    let (added, fetched) = (figure(&made, "new_bytes"), figure(&second, "new_bytes"));
    println!("the second recovery point added {added} bytes to the vault, {fetched} to the disk");
    assert!(fetched <= added, "{fetched} of {added}");
    assert!(before.iter().all(|pack| pack.exists()));

    // With what else a machine may have at hand, and nothing of the service.
    let db = export.world.machine("db");
    let stranger = export.world.machine_with("stranger", OTHER);
    export.world.service.kill();
    let arrived = export.world.path("arrived");
    tree::copy(&export.disk, &arrived);
    export.disk = arrived;
    export.assert_restores("latest");
    let target = export.world.path("first");
    export.restore(&export.web, &first[..13], &target, &[]).done();
    assert_same(&old, &restored(&target, &export.source));

    export
        .restore(&db, "latest", &export.world.path("own"), &[])
        .refused(&["no recovery point that this machine made", "--machine"]);
    let target = export.world.path("by db");
    export.restore(&db, "latest", &target, &["--machine", "web"]).done();
    assert_same(&export.source, &restored(&target, &export.source));
    export
        .restore(&stranger, "latest", &export.world.path("none"), &["--all"])
        .refused(&["no such recovery point that these keys open", "--passphrase-file"]);
    let key = export.world.passphrase_file("of web", PASSPHRASE);
    let with_key = ["--machine", "web", "--passphrase-file", key.to_str().unwrap()];
    let target = export.world.path("by a stranger");
    export.restore(&stranger, "latest", &target, &with_key).done();
    assert_same(&export.source, &restored(&target, &export.source));

    // The same disk, without any machine.
    let target = export.world.path("rescued");
    let arguments = ["restore", "latest", "--to", target.to_str().unwrap()];
    export.world.rescue(&export.disk, PASSPHRASE, &arguments).done();
    assert_same(&export.source, &restored(&target, &export.source));
    export
        .world
        .rescue(&export.disk, OTHER, &["points"])
        .refused(&["passphrase is wrong"]);
}

#[test]
fn every_reading_command_reads_from_a_disk() {
    let mut export = Export::new();
    tree::edit(&export.source, &mut export.random);
    fs::write(export.source.join("only in the second"), b"hello").unwrap();
    export.web.back_up(&export.source);
    export.export(&["--all"]).done();
    export.world.service.kill();
    let disk = export.disk.to_str().unwrap();
    let read = |arguments: &[&str]| export.web.run(&[arguments, &["--from-disk", disk]].concat());
    let points = read(&["points"]).done();
    let ids = crate::common::machine::ids(&points["points"]);
    assert_eq!(ids.len(), 2);
    assert!(read(&["ls", "latest"]).done().as_array().unwrap().len() as u64 > SIZE.small);
    assert_eq!(read(&["verify", "latest"]).done()["whole"], true);
    read(&["find", "only in the second"]).done();
    let differing = read(&["diff", &ids[0], &ids[1]]);
    assert!(
        differing.with_status(0).stdout.contains("only in the second"),
        "{differing}"
    );
    let picked = export.world.path("picked");
    let options = ["--include", "only*", "--conflict", "skip"];
    export.restore(&export.web, "latest", &picked, &options).done();
    assert_eq!(files_below(&picked).len(), 1);
    let planned = export.world.path("planned");
    export
        .restore(&export.web, "latest", &planned, &["--dry-run"])
        .with_status(0);
    assert!(!planned.exists());
    let archive = export.world.path("all.tar");
    let to = archive.to_str().unwrap();
    read(&["restore", "latest", "--archive", "tar", "--output", to]).done();
    assert!(fs::metadata(&archive).unwrap().len() > 40 << 20);
}

#[test]
fn damage_on_the_disk_is_named_and_the_service_helps_out() {
    let mut export = Export::new();
    export.export(&[]).done();
    let (pack, length) = (export.large_pack(), |pack: &Path| fs::metadata(pack).unwrap().len());
    flip(&pack, length(&pack) / 2);
    let packs = export.packs();
    let missing = packs
        .iter()
        .find(|other| **other != pack && length(other) > 8 << 20)
        .unwrap();
    fs::remove_file(missing).unwrap();
    let words = [name_of(&pack), name_of(missing), "is missing"];
    let named = |ended: &Ended| assert_told(ended, &words);

    let whole = export.world.path("whole");
    let helped = export.restore(&export.web, "latest", &whole, &[]);
    helped.with_status(3);
    named(&helped);
    assert!(figure(&helped.value(), "from_service") > 1, "{helped}");
    assert_same(&export.source, &restored(&whole, &export.source));

    export.world.service.kill();
    let holed = export.world.path("holed");
    let alone = export.restore(&export.web, "latest", &holed, &[]);
    alone.with_status(3);
    named(&alone);
    assert_eq!(figure(&alone.value(), "from_service"), 0);
    // What those objects do not hold is there.
    let there = restored(&holed, &export.source);
    let (mut same, mut lost) = (0, 0);
    for file in files_below(&export.source) {
        let other = there.join(file.strip_prefix(&export.source).unwrap());
        match fs::read(&other) {
            Ok(bytes) if bytes == fs::read(&file).unwrap() => same += 1,
            _ => lost += 1,
        }
    }
    println!("{same} files restored, {lost} lost");
    assert!(lost > 0 && lost <= SIZE.large + SIZE.small && same > 0, "{same} {lost}");
    let rescued = export.world.path("rescued");
    let arguments = ["restore", "latest", "--to", rescued.to_str().unwrap()];
    let rescue = export.world.rescue(&export.disk, PASSPHRASE, &arguments);
    rescue.with_status(3);
    named(&rescue);

    // Another run mends the disk: what is no pack goes, and what is missing is fetched.
    export.world.service.start_again();
    fs::remove_file(&pack).unwrap();
    // A page, which only the smallest pack has, and a table of contents.
    let smallest = export.packs().into_iter().min_by_key(|pack| length(pack)).unwrap();
    flip(&smallest, 30);
    export.export(&[]).with_status(0).said(&[name_of(&smallest)]);
    let first = export.packs().remove(0);
    flip(&first, length(&first) - 20);
    export.export(&[]).with_status(0).said(&[name_of(&first)]);
    export.world.service.kill();
    export.assert_restores("mended");
}

#[test]
fn half_a_copy_is_noticed() {
    let export = Export::new();
    export.export(&[]).done();
    for name in ["export.json", "objects.list"] {
        let (file, elsewhere) = (export.disk.join(name), export.world.path("elsewhere"));
        fs::rename(&file, &elsewhere).unwrap();
        let target = export.world.path("none");
        let refused = export.restore(&export.web, "latest", &target, &[]);
        refused.refused(&[name]);
        assert!(!target.exists());
        fs::rename(&elsewhere, &file).unwrap();
        flip(&file, 3);
        export
            .restore(&export.web, "latest", &target, &[])
            .refused(&[name, "damaged"]);
        flip(&file, 3);
    }
    let nowhere = export.world.path("nowhere");
    let refused = export
        .web
        .run(&["ls", "latest", "--from-disk", nowhere.to_str().unwrap()]);
    refused.refused(&["nowhere"]);
    export.assert_restores("whole again");
}

#[test]
fn a_disk_that_is_too_small_or_full_is_told_and_the_same_command_goes_on() {
    let export = Export::new();
    let mount = Mount::tmpfs(&export.disk, "20m");
    // The vault knows how much it will be: nothing but pages was written.
    export
        .export(&[])
        .refused(&["the disk is too small", "MiB are needed", "goes on"]);
    assert!(bytes_below(&export.disk) < 4 << 20);
    assert!(!export.disk.join("export.json").exists());
    // Room for bytes, but not for files: nobody can know that before.
    mount.remount("size=200m,nr_inodes=14");
    export
        .export(&[])
        .refused(&["the disk is full", "make room", "goes on"]);
    assert!(!export.disk.join("export.json").exists());
    mount.remount("size=200m,nr_inodes=1000");
    export.export(&[]).done();
    export.assert_restores("with room");
}

#[test]
fn a_killed_export_goes_on_where_it_was() {
    let export = Export::new();
    let running = Running::start(export.command(&[]));
    let first = wait_for("a large pack on the disk", || {
        let large = |pack: &PathBuf| fs::metadata(pack).is_ok_and(|meta| meta.len() > 8 << 20);
        export.packs().into_iter().find(large)
    });
    running.signal(Signal::KILL);
    running.wait();
    let target = export.world.path("none");
    if !export.disk.join("export.json").exists() {
        export
            .restore(&export.web, "latest", &target, &[])
            .refused(&["no whole export", "item export"]);
    }
    // A pack whose end is cut is none.
    let packs = export.packs();
    let file = OpenOptions::new().write(true).open(&first).unwrap();
    let there: u64 = packs.iter().map(|pack| fs::metadata(pack).unwrap().len()).sum();
    let cut = file.metadata().unwrap().len();
    file.set_len(cut / 2).unwrap();
    let ended = export.export(&[]);
    ended
        .with_status(0)
        .said(&["removing what is damaged", name_of(&first)]);
    let exported = ended.value();
    let bytes = figure(&exported, "bytes");
    assert!(
        figure(&exported, "new_bytes") <= bytes - (there - cut),
        "{exported}: {there} bytes were there"
    );
    export.assert_restores("went on");
    // A service that goes away is told, and what was fetched stays.
    let mut export = export;
    export.world.service.kill();
    export.export(&["--no-retry"]).refused(&["service"]);
    export.assert_restores("still whole");
}

#[test]
fn only_who_may_restore_may_export() {
    let export = Export::new();
    let world = &export.world;
    let disk = export.disk.to_str().unwrap();
    let arguments = ["item", "export", "web", "--vault", "main", "--to", disk];
    for (name, role) in [
        ("reader", Some("backup-reader")),
        ("stranger", None),
        ("op", Some("backup-operator")),
    ] {
        world.person(name);
        if let Some(role) = role {
            world
                .admin(&["role", "assign", role, "--to", name, "--scope", "vault/main"])
                .done();
        }
    }
    world.run_as("reader", &arguments).refused(&["do not permit"]);
    world.run_as("stranger", &arguments).refused(&["no vault called main"]);
    assert_eq!(
        files_below(&export.disk)
            .iter()
            .filter(|file| !file.ends_with(".lock"))
            .count(),
        0
    );
    world.run_as("op", &arguments).done();
    export.assert_restores("by an operator");
}

#[test]
fn a_folder_of_something_else_is_not_written_to() {
    let export = Export::new();
    let refused = |words: &[&str]| export.export(&[]).refused(words);
    fs::create_dir(&export.disk).unwrap();
    fs::write(export.disk.join("letter.txt"), b"dear").unwrap();
    refused(&["letter.txt", "empty folder"]);
    fs::remove_file(export.disk.join("letter.txt")).unwrap();
    // A link would lead what is written elsewhere.
    let elsewhere = export.world.folder("elsewhere");
    symlink(&elsewhere, export.disk.join("packs")).unwrap();
    refused(&["packs", "is a link"]);
    fs::remove_file(export.disk.join("packs")).unwrap();
    fs::create_dir_all(export.disk.join("points")).unwrap();
    let item = export.disk.join("points/anything");
    symlink(&elsewhere, &item).unwrap();
    refused(&["points/anything", "is a link"]);
    fs::remove_file(&item).unwrap();
    assert_eq!(files_below(&elsewhere), Vec::<PathBuf>::new());
    export.export(&[]).done();
    // A disk has recovery points of one vault.
    export.world.admin(&["vault", "create", "second"]).done();
    let file = fs::read_to_string(export.disk.join("vault.json")).unwrap();
    let json: Value = serde_json::from_str(&file).unwrap();
    let id = json["id"].as_str().unwrap();
    let other = file.replace(id, "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e");
    fs::write(export.disk.join("vault.json"), other).unwrap();
    refused(&["another vault"]);
    let none = export.export(&["--point", "ffffffff"]);
    none.refused(&["no recovery point \"ffffffff\""]);
}

#[test]
fn a_hostile_disk_harms_nobody() {
    let export = Export::new();
    export.export(&[]).done();
    let packs = export.packs();
    let secret = export.world.path("secret");
    fs::write(&secret, vec![7; 1 << 20]).unwrap();
    // A link in place of an object, an object that is far too long, a name that leads out, in a list that fits the description.
    let (linked, long) = (&packs[0], &packs[1]);
    fs::remove_file(linked).unwrap();
    symlink(&secret, linked).unwrap();
    OpenOptions::new()
        .write(true)
        .open(long)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let list = export.disk.join("objects.list");
    let text = format!(
        "{}../../secret 1048576\n/etc/passwd 10\n",
        fs::read_to_string(&list).unwrap()
    );
    fs::write(&list, &text).unwrap();
    let description = export.disk.join("export.json");
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&description).unwrap()).unwrap();
    json["list"] = blob_id(text.as_bytes()).to_string().into();
    fs::write(&description, json.to_string()).unwrap();

    let target = export.world.path("target");
    let ended = export.restore(&export.web, "latest", &target, &[]);
    ended.with_status(3);
    assert_told(
        &ended,
        &[
            name_of(linked),
            name_of(long),
            "../../secret",
            "is no name of an object",
        ],
    );
    assert_same(&export.source, &restored(&target, &export.source));
    assert!(figure(&ended.value(), "from_service") > 0);
    // Other bytes under a recovery point's name are none.
    let point = files_below(&export.disk.join("points")).remove(0);
    flip(&point, fs::metadata(&point).unwrap().len() - 1);
    let none = export.world.path("none");
    let refused = export.restore(&export.web, "latest", &none, &[]);
    refused.refused(&["no recovery point"]);
    assert!(!none.exists());
}
