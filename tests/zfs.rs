//! Snapshots of ZFS' datasets, which are used where there can be any, always removed, and told of. With a real pool, under a
//! kernel that has them; `./scripts/test zfs` builds what that takes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::consistency::{begin_slow, noted, reading};
use crate::common::guest::inside;
use crate::common::in_step::{InStep, agree};
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

/// In the order in which they need each other.
const MODULES: [&str; 9] = [
    "spl", "zavl", "znvpair", "zunicode", "zcommon", "icp", "zlua", "zzstd", "zfs",
];

/// Loads what `scripts/zfs` has made, and makes a pool of the disk of the virtual machine.
fn make_pool() {
    let made = concat!(env!("CARGO_MANIFEST_DIR"), "/target/guest/zfs");
    // As if it were installed.
    done("sh", &["-c", &format!("rsync -aK {made}/root/ / && ldconfig")]);
    for module in MODULES {
        done("insmod", &[&format!("{made}/modules/{module}.ko")]);
    }
    done("zpool", &["create", "some-pool", "/dev/vda"]);
}

/// A dataset with this name, and where it is mounted.
fn make_dataset(name: &str) -> PathBuf {
    done("zfs", &["create", &format!("some-pool/{name}")]);
    PathBuf::from("/some-pool").join(name)
}

fn snapshots() -> Vec<String> {
    let listed = done("zfs", &["list", "-H", "-t", "snapshot", "-o", "name"]);
    listed.lines().map(str::to_owned).collect()
}

fn done(command: &str, arguments: &[&str]) -> String {
    let done = Command::new(command).args(arguments).output().unwrap();
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command} {arguments:?}: {why}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn datasets_are_read_from_snapshots_which_are_always_removed() {
    inside(
        "zfs::datasets_are_read_from_snapshots_which_are_always_removed",
        &["1g"],
        || {
            make_pool();
            two_files_agree();
            it_is_the_same_as_the_tree();
            a_killed_backup_leaves_none_after_the_next_start();
        },
    );
}

fn two_files_agree() {
    let world = World::new();
    let machine = world.machine("in-step");
    let files = InStep::make(&make_dataset("in step"), LARGE_BYTES);
    let points = files.back_up(&machine, &world, "always", 4);
    println!("{points:?}");
    assert!(points.iter().all(agree), "{points:?}");
    assert!(
        points.windows(2).all(|two| two[0].0 < two[1].0),
        "nobody wrote: {points:?}"
    );
    assert_eq!(snapshots(), Vec::<String>::new());
}

fn it_is_the_same_as_the_tree() {
    let (world, mut random) = (World::new(), Random::new());
    let machine = world.machine("whole");
    let source = make_dataset("whole");
    // Another one in it, and a snapshot of somebody's own.
    for place in [source.clone(), make_dataset("whole/inner")] {
        tree::make(&place.join("data"), &mut random, &SIZE);
    }
    done("zfs", &["snapshot", "some-pool/whole@own"]);
    let_age();
    let report = machine.back_up(&source);
    assert_eq!(reading(&report, &source).0, "snapshot", "{report}");
    assert_eq!(reading(&report, &source.join("inner")).0, "snapshot", "{report}");
    assert_eq!(snapshots(), ["some-pool/whole@own"], "it is not removed");
    let there = machine.restore("latest", &source, &world.path("restored"));
    tree::assert_same(&source, &there);

    let report = machine.back_up(&source);
    assert_eq!(report["files_read"], 0, "{report}");
    let mut live = machine.backup_command(&source);
    live.args(["--snapshot", "never"]);
    assert_eq!(run(live).done()["files_read"], 0, "{report}");
    // What ZFS shows of snapshots is not taken for data.
    done("zfs", &["set", "snapdir=visible", "some-pool/whole"]);
    let mut live = machine.backup_command(&source);
    live.args(["--snapshot", "never"]);
    let report = run(live).done();
    assert_eq!(report["volumes"].as_array().unwrap().len(), 2, "{report}");
    // What cannot change needs none.
    let report = machine.back_up(&source.join(".zfs/snapshot/own"));
    assert_eq!(report["volumes"][0]["consistency"], "read-only", "{report}");
    done("zfs", &["destroy", "some-pool/whole@own"]);
}

fn a_killed_backup_leaves_none_after_the_next_start() {
    let world = World::new();
    let machine = world.machine("killed");
    let source = make_dataset("killed");
    fs::write(source.join("large"), Random::from_seed(2).bytes(LARGE_BYTES)).unwrap();
    let running = begin_slow(&machine, &source, snapshots);
    running.signal(Signal::KILL);
    assert!(running.wait().was_killed());
    let left = snapshots();
    assert_eq!(left.len(), 1, "{left:?}");
    // Somebody's own that only has such a name stays.
    done("zfs", &["snapshot", "some-pool/killed@strongroom-own"]);
    let mut all: Vec<Value> = serde_json::from_str(&noted(&machine)).unwrap();
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
        (snapshots() == ["some-pool/killed@strongroom-own"]).then_some(())
    });
    wait_for("its note to go", || (noted(&machine).trim() == "[]").then_some(()));
    agent.signal(Signal::TERM);
    agent.wait().with_status(0);
    done("zfs", &["destroy", "some-pool/killed@strongroom-own"]);

    // One that is stopped removes its own.
    let running = begin_slow(&machine, &source, snapshots);
    running.signal(Signal::INT);
    running.wait().with_status(1);
    assert_eq!(snapshots(), Vec::<String>::new());
}
