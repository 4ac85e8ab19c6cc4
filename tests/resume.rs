//! Interruption: what was done stays done, and the next run goes on from there.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::common::machine::{Machine, restored};
use crate::common::program::{Ended, Running, run, wait_for};
use crate::common::random::Random;
use crate::common::service::files_below;
use crate::common::tree::{self, Size, assert_same, bytes_below};
use crate::common::world::World;

/// Some packs' worth of files that do not compress.
const SIZE: Size = Size {
    small: 50,
    large: 60,
    large_bytes: 2 << 20,
};

struct Interrupted {
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Interrupted {
    fn new() -> Self {
        let world = World::new();
        let source = world.path("source");
        tree::make(&source, &mut Random::new(), &SIZE);
        let machine = world.machine("interrupted");
        Self { world, machine, source }
    }

    /// Starts a backup and stops the clock for it when the service has its first pack.
    fn backup_frozen_after_a_pack(&self) -> Running {
        let running = Running::start(self.machine.backup_command(&self.source));
        wait_for("the first pack", || {
            (!self.world.service.packs().is_empty()).then_some(())
        });
        running.signal(Signal::STOP);
        running
    }

    /// Starts a restore and stops the clock for it when some files are there.
    fn restore_frozen_after_some_files(&self, target: &Path) -> Running {
        let running = Running::start(self.machine.restore_command("latest", target));
        let there = restored(target, &self.source);
        wait_for("the first files", || (files_below(&there).len() > 20).then_some(()));
        running.signal(Signal::STOP);
        running
    }

    /// Bytes of the packs that the service has taken over; one that is just being written is none of them.
    fn acknowledged_bytes(&self) -> u64 {
        self.world.admin(&["vault", "show", "main"]).done()["stored_bytes"]
            .as_u64()
            .unwrap()
    }

    /// The backup that follows an interrupted one sends what is not there yet, and no more.
    fn assert_goes_on(&self) {
        let whole = bytes_below(&self.source);
        // A pack that has its object may get its row a moment later.
        let there = wait_for("an acknowledged pack", || {
            Some(self.acknowledged_bytes()).filter(|there| *there > 10 << 20)
        });
        let report = self.machine.back_up(&self.source);
        let sent = report["new_bytes"].as_u64().unwrap();
        assert!(
            sent + there < whole + (whole >> 5),
            "{there} bytes were there, {sent} were sent, {whole} are needed"
        );
        let stored = bytes_below(&self.world.service.vault_folder());
        // Of what was in flight when the client died, too, nothing lies there twice.
        assert!(stored < whole + (whole >> 5), "{stored} bytes are stored for {whole}");
        assert_eq!(self.machine.points().len(), 1);
        let there = self.machine.restore("latest", &self.source, &self.world.path("after"));
        assert_same(&self.source, &there);
    }
}

fn interrupt(running: Running, signal: Signal) -> Ended {
    running.signal(signal);
    running.signal(Signal::CONT);
    running.wait()
}

fn assert_says_it_was_interrupted(ended: &Ended) {
    ended.with_status(1);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("strongroom: interrupted"), "{ended}");
    assert!(ended.stdout.is_empty(), "{ended}");
}

#[test]
fn a_backup_stopped_by_ctrl_c_goes_on() {
    let interrupted = Interrupted::new();
    let ended = interrupt(interrupted.backup_frozen_after_a_pack(), Signal::INT);
    assert_says_it_was_interrupted(&ended);
    assert_eq!(interrupted.machine.points(), Vec::<String>::new());
    interrupted.assert_goes_on();
}

#[test]
fn a_backup_stopped_by_sigterm_goes_on() {
    let interrupted = Interrupted::new();
    let ended = interrupt(interrupted.backup_frozen_after_a_pack(), Signal::TERM);
    assert_says_it_was_interrupted(&ended);
    interrupted.assert_goes_on();
}

#[test]
fn a_backup_that_was_killed_goes_on() {
    let interrupted = Interrupted::new();
    let ended = interrupt(interrupted.backup_frozen_after_a_pack(), Signal::KILL);
    assert!(ended.was_killed());
    interrupted.assert_goes_on();
}

#[test]
fn a_backup_outlives_its_service() {
    let mut interrupted = Interrupted::new();
    let running = interrupted.backup_frozen_after_a_pack();
    interrupted.world.service.kill();
    running.signal(Signal::CONT);
    interrupted.world.service.start_again();
    let ended = running.wait();
    ended.with_status(0);
    assert_eq!(interrupted.machine.points().len(), 1);
    let there = interrupted
        .machine
        .restore("latest", &interrupted.source, &interrupted.world.path("after"));
    assert_same(&interrupted.source, &there);
}

#[test]
fn a_restore_outlives_its_service() {
    let mut interrupted = Interrupted::new();
    interrupted.machine.back_up(&interrupted.source);
    let target = interrupted.world.path("target");
    let running = interrupted.restore_frozen_after_some_files(&target);
    interrupted.world.service.kill();
    running.signal(Signal::CONT);
    interrupted.world.service.start_again();
    running.wait().with_status(0);
    assert_same(&interrupted.source, &restored(&target, &interrupted.source));
}

#[test]
fn a_restore_goes_on_and_keeps_what_is_there() {
    let interrupted = Interrupted::new();
    interrupted.machine.back_up(&interrupted.source);
    for signal in [Signal::INT, Signal::KILL] {
        let target = interrupted.world.path(&format!("target-{}", signal.as_raw()));
        let ended = interrupt(interrupted.restore_frozen_after_some_files(&target), signal);
        if signal == Signal::INT {
            assert_says_it_was_interrupted(&ended);
        }
        let there = restored(&target, &interrupted.source);
        let finished = finished_files(&interrupted.source, &there);
        assert!(finished.len() > 15, "only {} files were finished", finished.len());
        let report = run(interrupted.machine.restore_command("latest", &target)).done();
        assert!(report["files_kept"].as_u64() >= Some(finished.len() as u64), "{report}");
        assert_same(&interrupted.source, &there);
        let inodes = finished
            .iter()
            .map(|(file, _)| (file.clone(), fs::metadata(file).unwrap().ino()));
        assert_eq!(
            inodes.collect::<Vec<_>>(),
            finished,
            "files that were right were written again"
        );
    }
}

/// Files that a restore has finished, with their inodes: those that have their time.
fn finished_files(source: &Path, there: &Path) -> Vec<(PathBuf, u64)> {
    let mut finished = Vec::new();
    for file in files_below(there) {
        let meta = fs::metadata(&file).unwrap();
        let original = fs::metadata(source.join(file.strip_prefix(there).unwrap()));
        let time = |meta: &fs::Metadata| (meta.mtime(), meta.mtime_nsec());
        if original.is_ok_and(|original| time(&original) == time(&meta) && original.len() == meta.len()) {
            finished.push((file, meta.ino()));
        }
    }
    finished.sort();
    finished
}
