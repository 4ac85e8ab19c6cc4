//! The museum of everything odd, on the file systems that people have, while somebody writes in it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;
use strongroom_sources::museum;

use crate::common::mount::Mount;
use crate::common::program::run;
use crate::common::random::Random;
use crate::common::tree::assert_same_but;
use crate::common::world::World;
use crate::common::writing::AtTheEnd;

/// How many files are rewritten, and how long each is.
const LIVELY: u64 = 8;
const LIVELY_BYTES: usize = 300 << 10;

/// Replaces one file after the other, each time as a whole, as an editor does; appends to another, makes and removes some.
fn write_until(folder: &Path, stop: &AtomicBool) {
    for number in 1_u64.. {
        let name = number % LIVELY;
        let (temporary, file) = (folder.join(".new"), folder.join(format!("file-{name}")));
        let mut new = File::create(&temporary).unwrap();
        new.write_all(&state(number)).unwrap();
        new.sync_all().unwrap();
        fs::rename(&temporary, &file).unwrap();
        let log = File::options().append(true).create(true).open(folder.join("log"));
        log.unwrap().write_all(&number.to_le_bytes()).unwrap();
        fs::write(folder.join(format!("passing-{number}")), "here now").unwrap();
        let _not_there_at_first = fs::remove_file(folder.join(format!("passing-{}", number.saturating_sub(5))));
        if stop.load(Ordering::Relaxed) && number > LIVELY {
            return;
        }
    }
}

/// What a file is from one moment on.
fn state(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(LIVELY_BYTES / 8)
}

/// A file is one of the states that it ever had.
#[track_caller]
fn assert_is_a_state(file: &Path) {
    let bytes = fs::read(file).unwrap();
    let number = bytes.first_chunk().map(|first| u64::from_le_bytes(*first));
    let is_one = number.is_some_and(|number| bytes == state(number));
    assert!(is_one, "{}: {} bytes that nobody wrote", file.display(), bytes.len());
}

fn a_museum_in_use(kind: &str) {
    let world = World::new();
    let at = world.path(kind);
    let _mount = Mount::image(kind, &world.path("image"), 512 << 20, &at, "");
    let source = at.join("museum");
    fs::create_dir(&source).unwrap();
    // A link of xfs leads no farther than 1023 bytes, and the minor number of a device has 18 bits.
    let missing: &[&str] = if kind == "xfs" { &["long link", "device"] } else { &[] };
    assert_eq!(museum::build(&source).unwrap(), missing);
    // What lies between is read for a while.
    fs::write(source.join("large"), Random::from_seed(4).bytes(32 << 20)).unwrap();
    let lively = source.join("lively");
    fs::create_dir(&lively).unwrap();
    let machine = world.machine("museum");
    let stop = AtomicBool::new(false);
    let (ended, before) = thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&lively, &stop));
        let _stop = AtTheEnd(&stop);
        let ended = run(machine.backup_command(&source));
        (ended, writer.is_finished())
    });
    assert!(!before, "nobody wrote to the end");
    assert!(matches!(ended.status.code(), Some(0 | 3)), "{ended}");
    // To where it came from: xfs shows its ACLs as attributes too, and others do not.
    let there = machine.restore("latest", &source, &at.join("restored"));
    assert_same_but(&source, &there, &[museum::DEEP, "/lively"]);
    let report = ended.value();
    if kind == "btrfs" {
        ended.with_status(0);
        assert_eq!(report["warnings"], Value::Array(vec![]));
        assert_eq!(report["volumes"][0]["consistency"], "snapshot", "{report}");
        (0..LIVELY)
            .map(|name| there.join(format!("lively/file-{name}")))
            .filter(|file| file.exists())
            .for_each(|file| {
                assert_is_a_state(&file);
            });
    } else {
        assert_eq!(report["volumes"][0]["consistency"], "live", "{report}");
    }
}

#[test]
fn on_btrfs() {
    a_museum_in_use("btrfs");
}

#[test]
fn on_ext4() {
    a_museum_in_use("ext4");
}

#[test]
fn on_xfs() {
    a_museum_in_use("xfs");
}
