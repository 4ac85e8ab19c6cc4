//! What is taken and what is left out: rules, volumes, and the preview that tells both. On real mounts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::machine::{Machine, restored};
use crate::common::mount::Mount;
use crate::common::program::{Ended, run, strongroom};
use crate::common::world::World;

/// A tree of which the rules leave out something each.
fn tree(at: &Path) {
    for (name, bytes) in [
        ("notes.txt", 10),
        ("notes.tmp", 20),
        ("keep.tmp", 30),
        ("film.iso", 5000),
        ("work/report.odt", 40),
        ("work/target/.nobackup", 0),
        ("work/target/object", 50),
        ("work/tagged/CACHEDIR.TAG", 0),
        ("work/tagged/cached", 60),
        ("home/.npm/_cacache/blob", 70),
        ("home/kept", 80),
    ] {
        let file = at.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, vec![b'x'; bytes]).unwrap();
    }
    fs::write(
        at.join("work/tagged/CACHEDIR.TAG"),
        "Signature: 8a477f597d28d172789f06886806bc55\n",
    )
    .unwrap();
    fs::hard_link(at.join("notes.txt"), at.join("notes again")).unwrap();
    symlink("notes.txt", at.join("link")).unwrap();
    let made = Command::new("mkfifo").arg(at.join("pipe")).status().unwrap();
    assert!(made.success());
}

fn dry_run(arguments: &[&str]) -> Ended {
    run(strongroom(["--json", "backup", "--dry-run"].iter().chain(arguments)))
}

/// Paths of a preview below a folder, with what is said of each: the size, the rule, or why one is warned.
fn lines(preview: &Value, what: &str, below: &Path) -> Vec<(String, Value)> {
    let lines = preview["lines"].as_array().unwrap().iter();
    let lines = lines.filter(|line| line["what"] == what).filter_map(|line| {
        let path = line["path"].as_str()?.strip_prefix(below.to_str()?)?;
        Some((path.trim_start_matches('/').to_owned(), line.clone()))
    });
    lines.filter(|(path, _)| !path.is_empty()).collect()
}

fn names(lines: &[(String, Value)]) -> Vec<&str> {
    lines.iter().map(|(path, _)| path.as_str()).collect()
}

const RULES: [&str; 12] = [
    "--exclude",
    "*.tmp",
    "--exclude",
    "!keep.tmp",
    "--exclude-larger-than",
    "4k",
    "--exclude-type",
    "fifo,symlink",
    "--exclude-if-present",
    ".nobackup",
    "--preset",
    "caches",
];

#[test]
fn a_preview_tells_what_the_backup_then_takes() {
    let world = World::new();
    let source = world.folder("source");
    tree(&source);
    let shown = dry_run(&[&[source.to_str().unwrap()], &RULES[..]].concat()).done();
    let taken = lines(&shown, "taken", &source);
    assert_eq!(
        names(&taken),
        [
            "home",
            "home/.npm",
            "home/kept",
            "keep.tmp",
            "notes again",
            "notes.txt",
            "work",
            "work/report.odt",
            "work/tagged",
            "work/tagged/CACHEDIR.TAG",
            "work/target",
            "work/target/.nobackup",
        ]
    );
    let left_out: Vec<(String, String, String)> = lines(&shown, "left-out", &source)
        .iter()
        .map(|(path, line)| {
            let text = |field: &str| line[field].as_str().unwrap_or("-").to_owned();
            (path.clone(), text("rule"), text("from"))
        })
        .collect();
    let left_out: Vec<[&str; 3]> = left_out.iter().map(|(a, b, c)| [a.as_str(), b, c]).collect();
    assert_eq!(
        left_out,
        [
            ["film.iso", "larger", "-"],
            ["home/.npm/_cacache", "excluded", "the preset caches"],
            ["link", "type", "-"],
            ["notes.tmp", "excluded", "--exclude"],
            ["pipe", "type", "-"],
            ["work/tagged", "marked", "-"],
            ["work/target", "marked", "-"],
        ]
    );
    // The backup takes just that.
    let machine = world.machine("machine");
    let mut command = machine.backup_command(&source);
    command.args(RULES);
    let report = run(command).done();
    assert_eq!(report["entries"], shown["totals"]["entries"]);
    assert_eq!(report["bytes"], shown["totals"]["bytes"]);
    let listed = machine.run(&["ls", "latest", source.to_str().unwrap()]).done();
    let listed: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["path"].as_str())
        .collect();
    let expected: Vec<String> = taken
        .iter()
        .map(|(path, _)| format!("{}/{path}", source.display()))
        .collect();
    assert_eq!(listed[1..], expected);
}

#[test]
fn a_preview_touches_nothing_and_begins_no_job() {
    let mut world = World::new();
    let source = world.folder("source");
    tree(&source);
    let machine = world.machine("machine");
    let jobs = || world.admin(&["job", "list"]).done()["jobs"].as_array().unwrap().len();
    let before = jobs();
    // Only what --include names, and where a pattern of a file came from.
    let patterns = world.path("patterns");
    fs::write(&patterns, "# comment\n\nnotes*\n").unwrap();
    let mut command = machine.command(&["backup", "--dry-run", "--include", "*.odt", "--include", "notes.*"]);
    command.arg("--exclude-from").arg(&patterns).arg(&source);
    let shown = run(command).done();
    assert_eq!(names(&lines(&shown, "taken", &source)), ["work", "work/report.odt"]);
    let (_, line) = lines(&shown, "left-out", &source)
        .into_iter()
        .find(|(path, _)| path == "notes.txt")
        .unwrap();
    assert_eq!(line["pattern"], "notes*");
    assert_eq!(line["from"], format!("{}, line 3", patterns.display()));
    // The settings are what is shown if no path is named, with where their patterns come from.
    let path = source.to_str().unwrap();
    machine
        .run(&["agent", "settings", "--path", path, "--exclude", "home/"])
        .done();
    let shown = machine.run(&["backup", "--dry-run"]).done();
    let (_, line) = &lines(&shown, "left-out", &source)[0];
    assert_eq!(
        (&line["path"], &line["from"]),
        (&format!("{path}/home").into(), &"the settings".into())
    );
    assert_eq!(jobs(), before);
    assert!(machine.points().is_empty());
    // For people: a line each, and the sum.
    let said = run(strongroom(["backup", "--dry-run", "--exclude", "*.iso", path]));
    said.with_status(0);
    for words in [
        &format!("+ {path}/notes.txt  10 B\n"),
        &format!("- {path}/film.iso  the pattern *.iso (--exclude)\n"),
        "Nothing was backed up.",
    ] {
        assert!(said.stdout.contains(words), "{words:?}: {said}");
    }
    // It needs no service, and with a path not even a machine that is registered.
    world.service.stop();
    let shown = machine.run(&["backup", "--dry-run"]);
    shown
        .with_status(0)
        .said(&["the settings are as they were the last time"]);
    dry_run(&[path]).done();
    let nobody = Machine {
        name: "nobody".to_owned(),
        state: world.path("nobody"),
    };
    nobody.run(&["backup", "--dry-run"]).refused(&["not registered"]);
}

#[test]
fn settings_have_all_rules_and_take_them_back() {
    let world = World::new();
    let source = world.folder("source");
    tree(&source);
    let machine = world.machine("machine");
    let settings = |arguments: &[&str]| machine.run(&[&["agent", "settings"], arguments].concat());
    settings(&[&["--path", source.to_str().unwrap()], &RULES[..]].concat()).done();
    let kept = settings(&[]).done();
    assert_eq!(kept["exclude_larger_than"], 4096);
    assert_eq!(kept["presets"], serde_json::json!(["Caches"]));
    let taken = |machine: &Machine| {
        let shown = machine.run(&["backup", "--dry-run"]).done();
        lines(&shown, "taken", &source).len()
    };
    assert_eq!(taken(&machine), 12);
    settings(&[
        "--remove-exclude",
        "*.tmp",
        "--remove-exclude-type",
        "fifo",
        "--remove-preset",
        "caches",
        "--remove-exclude-if-present",
        ".nobackup",
        "--exclude-larger-than",
        "0",
    ])
    .done();
    // notes.tmp, pipe, film.iso, the cache with its blob, and what was built.
    assert_eq!(taken(&machine), 18);
    for (arguments, words) in [
        (["--remove-preset", "system"], "\"System\" is not among the settings"),
        (["--exclude", "a{b"], "a{b"),
        (["--exclude-if-present", "a/b"], "cannot mark a folder"),
        (["--path", "/proc"], "pseudo file system"),
    ] {
        settings(&arguments).refused(&[words]);
    }
    for wrong in [
        ["--preset", "games"],
        ["--exclude-larger-than", "much"],
        ["--allow", "usb"],
    ] {
        settings(&wrong).with_status(2).said(&[wrong[1]]);
    }
    assert_eq!(taken(&machine), 18, "a refusal changes nothing");
}

#[test]
fn a_volume_of_a_program_or_of_another_computer_must_be_allowed() {
    let world = World::new();
    let (outside, source) = (world.folder("outside"), world.folder("source"));
    fs::write(outside.join("far"), "far").unwrap();
    fs::write(source.join("near"), "near").unwrap();
    let (program, network) = (source.join("program"), source.join("network"));
    let mounted = (
        Mount::of_program("bindfs", &outside, &program),
        Mount::of_program("sshfs", &outside, &network),
    );
    let machine = world.machine("machine");
    run(machine.backup_command(&program)).refused(&["a program makes up (FUSE)", "--allow fuse"]);
    run(machine.backup_command(&network)).refused(&["network volume (fuse.sshfs of ", "--allow network"]);
    dry_run(&[network.to_str().unwrap()]).refused(&["--allow network"]);
    let path = network.to_str().unwrap();
    machine
        .run(&["agent", "settings", "--path", path])
        .refused(&["--allow network"]);
    assert!(machine.points().is_empty());
    assert_eq!(world.admin(&["job", "list"]).done()["jobs"], serde_json::json!([]));
    // Below a selected folder they are left out, with a warning.
    let ended = run(machine.backup_command(&source));
    ended.with_status(3);
    let warnings = ended.value()["warnings"].clone();
    let told: Vec<&str> = warnings
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|warning| warning["why"].as_str())
        .collect();
    assert_eq!(told.len(), 2, "{ended}");
    assert!(
        told[0].contains("--allow network") && told[0].contains(&format!("--exclude {path}")),
        "{told:?}"
    );
    assert!(told[1].contains("--allow fuse"), "{told:?}");
    let there = machine.restore("latest", &source, &world.path("without"));
    assert!(there.join("near").exists() && there.join("network").exists() && !there.join("network/far").exists());
    // Whoever knows that leaves them out for good, or allows them.
    let mut excluded = machine.backup_command(&source);
    excluded.args(["--exclude", path, "--exclude", program.to_str().unwrap()]);
    run(excluded).done();
    let mut allowed = machine.backup_command(&source);
    allowed.args(["--allow", "network,fuse"]);
    run(allowed).done();
    let there = machine.restore("latest", &source, &world.path("with"));
    assert_eq!(fs::read_to_string(there.join("network/far")).unwrap(), "far");
    assert_eq!(fs::read_to_string(there.join("program/far")).unwrap(), "far");
    drop(mounted);
}

#[test]
fn file_systems_of_this_machine_are_taken_whatever_they_are() {
    let world = World::new();
    let source = world.folder("source");
    let mounts = [
        Mount::tmpfs(&source.join("memory"), "1m"),
        Mount::image("ext4", &world.path("ext4"), 8 << 20, &source.join("ext4"), "rw"),
        Mount::image("btrfs", &world.path("btrfs"), 128 << 20, &source.join("btrfs"), "rw"),
    ];
    let subvolume = source.join("btrfs/subvolume");
    let made = Command::new("btrfs")
        .args(["-q", "subvolume", "create"])
        .arg(&subvolume)
        .status();
    assert!(made.unwrap().success());
    let files: [PathBuf; 4] = ["memory/x", "ext4/x", "btrfs/x", "btrfs/subvolume/x"].map(|name| source.join(name));
    for file in &files {
        fs::write(file, file.to_str().unwrap()).unwrap();
    }
    // A source is only read: one that is mounted read-only is as good as another.
    mounts[1].remount("ro");
    let machine = world.machine("machine");
    machine.back_up(&source);
    let target = world.path("target");
    machine.restore("latest", &source, &target);
    for file in &files {
        assert_eq!(
            fs::read_to_string(restored(&target, file)).unwrap(),
            file.to_str().unwrap()
        );
    }
    let mut one = machine.command(&["backup", "--dry-run", "--one-file-system"]);
    one.arg(&source);
    let shown = run(one).done();
    let left_out = lines(&shown, "left-out", &source);
    assert_eq!(names(&left_out), ["btrfs", "ext4", "memory"]);
    assert!(
        left_out.iter().all(|(_, line)| line["rule"] == "other-file-system"),
        "{left_out:?}"
    );
}

#[test]
fn pseudo_file_systems_are_left_out_and_cannot_be_selected() {
    let shown = dry_run(&[
        "/",
        "--exclude",
        "/*",
        "--exclude",
        "!/proc",
        "--exclude",
        "!/sys",
        "--exclude",
        "!/dev",
    ]);
    let shown = shown.done();
    let left_out: Vec<&str> = shown["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["rule"] == "pseudo-file-system")
        .filter_map(|line| line["path"].as_str())
        .collect();
    assert!(
        ["/proc", "/sys"].iter().all(|path| left_out.contains(path)),
        "{left_out:?}"
    );
    dry_run(&["/proc/sys"]).refused(&["/proc/sys is on a pseudo file system (proc)", "no data"]);
}

/// The program in a mount namespace of its own, with this text as /etc/fstab and that one as /etc/crypttab.
fn with_tables(world: &World, fstab: &str, crypttab: &str, command: &Command) -> Ended {
    let write = |name: &str, text: &str| {
        let file = world.path(name);
        fs::write(&file, text).unwrap();
        file
    };
    let script = "touch /etc/crypttab && mount --bind \"$1\" /etc/fstab && mount --bind \"$2\" /etc/crypttab && shift 2 && exec \"$@\"";
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "sh", "-c", script, "sh"]);
    inside.arg(write("fstab", fstab)).arg(write("crypttab", crypttab));
    inside.arg(command.get_program()).args(command.get_args());
    run(inside)
}

#[test]
fn a_volume_that_is_absent_or_locked_is_no_empty_backup() {
    let world = World::new();
    let source = world.folder("source");
    for name in ["absent", "locked", "demand", "there"] {
        world.folder(&format!("source/{name}"));
    }
    fs::write(source.join("file"), "file").unwrap();
    let there = Mount::tmpfs(&source.join("there"), "1m");
    let machine = world.machine("machine");
    let at = source.to_str().unwrap();
    let fstab = format!(
        "# a comment\nUUID=no-such-device {at}/absent ext4 defaults 0 2\n/dev/mapper/no-such-volume {at}/locked ext4 \
         nofail\n/dev/null {at}/demand ext4 noauto\nelsewhere:/x {at}/there nfs defaults\n"
    );
    let crypttab = "no-such-volume UUID=no-such-device none luks\n";
    let back_up = |path: &Path| with_tables(&world, &fstab, crypttab, &machine.backup_command(path));
    // Below a selected folder: the rest is taken, with a warning each.
    let ended = back_up(&source);
    ended.with_status(3);
    let warnings = ended.value()["warnings"].clone();
    let told: Vec<(&str, &str)> = warnings
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| (warning["path"].as_str().unwrap(), warning["why"].as_str().unwrap()))
        .collect();
    assert_eq!(told.len(), 2, "{ended}");
    assert!(
        told[0].0.ends_with("/absent") && told[0].1.contains("its device is not there"),
        "{told:?}"
    );
    assert!(
        told[1].0.ends_with("/locked") && told[1].1.contains("volume is locked"),
        "{told:?}"
    );
    // What is left out on purpose is not missed.
    let mut command = machine.backup_command(&source);
    command.args(["--exclude", "absent", "--exclude", "locked"]);
    with_tables(&world, &fstab, crypttab, &command).done();
    // Selected by itself, it would be a backup of nothing: refused; also one that is mounted only on demand.
    for (name, words) in [
        ("absent", "its device is not there"),
        ("locked", "is locked"),
        ("demand", "mount it with `mount "),
        ("demand/deeper", "not mounted"),
    ] {
        world.folder("source/demand/deeper");
        back_up(&source.join(name)).refused(&["nothing of what is selected is there", words]);
    }
    back_up(&source.join("there")).done();
    assert_eq!(machine.points().len(), 3);
    drop(there);
}
