//! Snapshots of logical volumes, which are used where there can be any, always removed, and told of. With real ones, under a
//! kernel that has them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::consistency::{begin_slow, noted, reading};
use crate::common::guest::inside;
use crate::common::in_step::{InStep, agree};
use crate::common::machine::Machine;
use crate::common::mount::Mount;
use crate::common::program::{Running, run, wait_for};
use crate::common::random::Random;
use crate::common::tree::{self, Size, let_age};
use crate::common::world::World;

const SIZE: Size = Size {
    small: 20,
    large: 2,
    large_bytes: 1 << 20,
};

/// The machine is an emulated one, and slow.
const LARGE_BYTES: usize = 16 << 20;

/// Of two kinds: the snapshot of the first takes space of its own, that of the second shares its pool's.
const VOLUMES: [(&str, &str); 2] = [("thick", "ext4"), ("thin", "xfs")];

/// A volume group on the disks of the virtual machine.
struct Group;

impl Group {
    fn new() -> Self {
        lvm("pvcreate", &["--yes", "/dev/vda"]);
        lvm("vgcreate", &["some-group", "/dev/vda"]);
        Self
    }

    /// A volume with a file system of this kind, mounted.
    fn volume(&self, world: &World, name: &str, file_system: &str) -> Mount {
        match name {
            "thick" => lvm("lvcreate", &["--yes", "--name", name, "--size", "320m", "some-group"]),
            _ => {
                let pool = [
                    "--yes",
                    "--type",
                    "thin-pool",
                    "--name",
                    "pool",
                    "--size",
                    "400m",
                    "some-group",
                ];
                lvm("lvcreate", &pool);
                let volume = [
                    "--yes",
                    "--name",
                    name,
                    "--virtualsize",
                    "320m",
                    "--thinpool",
                    "some-group/pool",
                ];
                lvm("lvcreate", &volume)
            }
        };
        let device = PathBuf::from("/dev/some-group").join(name);
        Mount::device(file_system, &device, &world.path(name))
    }

    /// The names of all volumes that this program has made.
    fn snapshots(&self) -> Vec<String> {
        let listed = lvm("lvs", &["--noheadings", "--options", "lv_name", "some-group"]);
        let names = listed.lines().map(str::trim);
        names
            .filter(|name| name.starts_with("strongroom-"))
            .map(str::to_owned)
            .collect()
    }
}

fn lvm(command: &str, arguments: &[&str]) -> String {
    let done = Command::new(command).args(arguments).output().unwrap();
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command} {arguments:?}: {why}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn logical_volumes_are_read_from_snapshots_which_are_always_removed() {
    inside(
        "lvm::logical_volumes_are_read_from_snapshots_which_are_always_removed",
        &["1400m"],
        || {
            let (world, group) = (World::new(), Group::new());
            let machine = world.machine("logical");
            for (name, file_system) in VOLUMES {
                let _mount = group.volume(&world, name, file_system);
                let volume = world.path(name);
                two_files_agree(&world, &group, &machine, &volume);
                it_is_the_same_as_the_tree(&world, &group, &machine, &volume);
                a_killed_backup_leaves_none_after_the_next_start(&group, &machine, &volume);
            }
            let _mount = Mount::existing_device(Path::new("/dev/some-group/thick"), &world.path("thick"));
            one_that_is_full_is_told(&group, &machine, &world.path("thick"));
        },
    );
}

/// Two files that are rewritten in step agree in each recovery point.
fn two_files_agree(world: &World, group: &Group, machine: &Machine, volume: &Path) {
    let folder = volume.join("in-step");
    fs::create_dir(&folder).unwrap();
    let files = InStep::make(&folder, LARGE_BYTES);
    let points = files.back_up(machine, world, "always", 4);
    println!("{points:?}");
    assert!(points.iter().all(agree), "{points:?}");
    assert!(
        points.windows(2).all(|two| two[0].0 < two[1].0),
        "nobody wrote: {points:?}"
    );
    assert_eq!(group.snapshots(), Vec::<String>::new());
}

/// The recovery point is that of the tree, and what is unchanged is not read.
fn it_is_the_same_as_the_tree(world: &World, group: &Group, machine: &Machine, volume: &Path) {
    let source = volume.join("data");
    tree::make(&source, &mut Random::new(), &SIZE);
    fs::hard_link(source.join("large-0"), source.join("folder-1/again")).unwrap();
    // What is mounted in it, what that hides, and a part of it at another place.
    fs::create_dir(source.join("inner")).unwrap();
    fs::write(source.join("inner/hidden"), "nobody sees it").unwrap();
    let _inner = Mount::tmpfs(&source.join("inner"), "8m");
    // Of its own: what shares its contents with little else is read again, to be kept anew.
    fs::write(source.join("inner/seen"), Random::new().bytes(100)).unwrap();
    let _part = Mount::bind(&source.join("folder-2"), &source.join("part"));
    let_age();

    let report = machine.back_up(&source);
    assert_eq!(reading(&report, volume).0, "snapshot", "{report}");
    assert_eq!(reading(&report, &source.join("part")).0, "snapshot", "{report}");
    assert_eq!(reading(&report, &source.join("inner")).0, "live", "{report}");
    assert_eq!(group.snapshots(), Vec::<String>::new(), "it is not removed");
    let name = volume.file_name().unwrap().to_str().unwrap();
    let there = machine.restore("latest", &source, &world.path(&format!("restored-{name}")));
    tree::assert_same(&source, &there);

    let report = machine.back_up(&source);
    assert_eq!(report["files_read"], 0, "{report}");
    let mut live = machine.backup_command(&source);
    live.args(["--snapshot", "never"]);
    let report = run(live).done();
    assert_eq!(report["files_read"], 0, "{report}");
    // A part that is bound elsewhere is found in the snapshot by where it is in the file system.
    let elsewhere = world.path(&format!("elsewhere-{name}"));
    let _elsewhere = Mount::bind(&source.join("folder-1"), &elsewhere);
    let report = machine.back_up(&elsewhere);
    assert_eq!(reading(&report, &elsewhere).0, "snapshot", "{report}");
}

fn a_killed_backup_leaves_none_after_the_next_start(group: &Group, machine: &Machine, volume: &Path) {
    let source = volume.join("large");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("large"), Random::from_seed(2).bytes(LARGE_BYTES)).unwrap();
    let running = begin_slow(machine, &source, || group.snapshots());
    running.signal(Signal::KILL);
    assert!(running.wait().was_killed());
    let left = group.snapshots();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(noted(machine).contains(&left[0]));
    // Somebody's own volume that only has such a name stays.
    lvm(
        "lvcreate",
        &["--yes", "--name", "strongroom-own", "--size", "8m", "some-group"],
    );
    let mut all: Vec<Value> = serde_json::from_str(&noted(machine)).unwrap();
    let mut own = all[0].clone();
    own["name"] = "strongroom-own".into();
    all.push(own);
    fs::write(
        machine.state.join("snapshots.json"),
        serde_json::to_string(&all).unwrap(),
    )
    .unwrap();

    let agent = Running::start(machine.command(&["agent", "run"]));
    wait_for("its removal", || {
        (group.snapshots() == ["strongroom-own"]).then_some(())
    });
    wait_for("its note to go", || (noted(machine).trim() == "[]").then_some(()));
    agent.signal(Signal::TERM);
    agent.wait().with_status(0);
    lvm("lvremove", &["--yes", "some-group/strongroom-own"]);

    // One that is stopped removes its own.
    let running = begin_slow(machine, &source, || group.snapshots());
    running.signal(Signal::INT);
    running.wait().with_status(1);
    assert_eq!(group.snapshots(), Vec::<String>::new());
}

/// A snapshot that is full before all of it was read is told; and in a group without room there is none.
fn one_that_is_full_is_told(group: &Group, machine: &Machine, volume: &Path) {
    let free = lvm(
        "vgs",
        &[
            "--noheadings",
            "--units=m",
            "--nosuffix",
            "--options=vg_free",
            "some-group",
        ],
    );
    let rest = free.trim().parse::<f64>().unwrap() - 76.0;
    lvm(
        "lvcreate",
        &["--yes", "--name", "rest", &format!("--size={rest}m"), "some-group"],
    );
    // The snapshot gets half of what is left: 36 MiB, as its parts are of 4.
    let source = volume.join("full");
    fs::create_dir(&source).unwrap();
    for number in 0..3 {
        let bytes = Random::from_seed(number).bytes(LARGE_BYTES);
        fs::write(source.join(format!("large-{number}")), bytes).unwrap();
    }
    let running = begin_slow(machine, &source, || group.snapshots());
    let mut other = File::create(volume.join("other")).unwrap();
    for _ in 0..64 {
        other.write_all(&Random::new().bytes(1 << 20)).unwrap();
    }
    other.sync_all().unwrap();
    let report = running.wait().with_status(3).value();
    let warnings = report["warnings"].to_string();
    let full = "the snapshot of some-group/thick has room for";
    assert!(
        warnings.contains("Input/output error") && warnings.contains(full),
        "{warnings}"
    );
    assert_eq!(group.snapshots(), Vec::<String>::new());

    lvm("lvcreate", &["--yes", "--name", "more", "--size", "60m", "some-group"]);
    let report = machine.back_up(&source);
    let (consistency, why) = reading(&report, volume);
    assert_eq!(consistency, "live");
    assert!(why.contains("16 MiB free") && why.contains("needs 32 MiB"), "{why}");
    let mut always = machine.backup_command(&source);
    always.args(["--snapshot", "always"]);
    run(always).refused(&["needs 32 MiB", "--snapshot auto"]);
}
