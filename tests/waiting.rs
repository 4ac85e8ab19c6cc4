//! A service that is away is waited for, but no longer than it makes sense, and no longer than the user wants.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::machine::{Machine, restored};
use crate::common::names::{NOT_ASKED, Names, UNKNOWN};
use crate::common::program::{Ended, Running, run, wait_for};
use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same};
use crate::common::world::World;

const SMALL: Size = Size {
    small: 20,
    large: 1,
    large_bytes: 100 << 10,
};
/// Some packs' worth of files that do not compress.
const LARGE: Size = Size {
    small: 20,
    large: 60,
    large_bytes: 2 << 20,
};
/// Far less than the patience of a backup, and more than anything takes that does not wait.
const SOON: Duration = Duration::from_secs(30);

/// A machine that has a recovery point, and whose service was stopped.
struct Away {
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Away {
    fn new() -> Self {
        let mut world = World::new();
        let source = world.path("source");
        tree::make(&source, &mut Random::new(), &SMALL);
        let machine = world.machine("patient");
        machine.back_up(&source);
        world.service.stop();
        Self { world, machine, source }
    }

    /// What waits for the service.
    fn patient(&self) -> [Command; 3] {
        [
            self.machine.backup_command(&self.source),
            self.machine.restore_command("latest", &self.world.path("restored")),
            self.machine.command(&["verify", "latest"]),
        ]
    }

    /// What a person asks for and waits a moment for, at most.
    fn brief(&self) -> [Command; 4] {
        [
            self.machine.command(&["points"]),
            self.machine.command(&["ls", "latest"]),
            self.world.admin_command(&["vault", "list"]),
            self.world.admin_command(&["vault", "show", "main"]),
        ]
    }
}

fn start_and_wait_for_its_notice(command: Command) -> Running {
    let running = Running::start(command);
    wait_for("the notice", || running.has_said().contains('\n').then_some(()));
    running
}

/// One line on the error output says that the service is away; more there is only if `and` says so.
#[track_caller]
fn assert_was_told_once(ended: &Ended, url: &str, and: &[&str]) {
    // Whoever waits for long prints a line of progress now and then.
    let is_progress = |line: &&str| {
        ["Backing up:", "Restoring:", "Verifying:"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| !is_progress(line)).collect();
    assert_eq!(lines.len(), 1 + and.len(), "{ended}");
    let notice = format!("strongroom: the service at {url} does not answer (");
    assert!(lines[0].starts_with(&notice) && lines[0].contains("Ctrl-C"), "{ended}");
    for (line, beginning) in lines[1..].iter().zip(and) {
        assert!(line.starts_with(beginning), "{ended}");
    }
}

fn end_soon(running: Running, signal: Signal) -> Ended {
    let begun = Instant::now();
    running.signal(signal);
    let ended = running.wait();
    assert!(begun.elapsed() < SOON, "it took {:?}: {ended}", begun.elapsed());
    ended
}

#[test]
fn a_command_that_begins_while_the_service_is_away_ends_well_when_it_comes() {
    let mut away = Away::new();
    for command in away.patient() {
        let running = start_and_wait_for_its_notice(command);
        away.world.service.start_again();
        let ended = running.wait();
        ended.with_status(0);
        assert_was_told_once(&ended, &away.world.service.url, &[]);
        away.world.service.stop();
    }
    away.world.service.start_again();
    assert_eq!(away.machine.points().len(), 2);
    assert_same(&away.source, &restored(&away.world.path("restored"), &away.source));
}

#[test]
fn whoever_wants_quiet_waits_in_silence() {
    let mut away = Away::new();
    let mut command = away.machine.backup_command(&away.source);
    command.arg("--quiet");
    let running = Running::start(command);
    away.world.service.start_again();
    running.wait().done();
}

#[test]
fn waiting_is_ended_by_ctrl_c_and_sigterm() {
    let mut away = Away::new();
    for signal in [Signal::INT, Signal::TERM] {
        for command in away.patient() {
            let ended = end_soon(start_and_wait_for_its_notice(command), signal);
            ended.with_status(1);
            assert_was_told_once(&ended, &away.world.service.url, &["strongroom: interrupted"]);
            assert_eq!(ended.stdout, "");
        }
    }
    assert!(!away.world.path("restored").exists());
    away.world.service.start_again();
    assert_eq!(away.machine.points().len(), 1);
}

#[test]
fn waiting_in_the_middle_of_a_backup_is_ended_by_ctrl_c() {
    let mut away = Away::new();
    away.world.service.start_again();
    let before = away.world.service.packs().len();
    tree::make(&away.source, &mut Random::new(), &LARGE);
    let running = Running::start(away.machine.backup_command(&away.source));
    wait_for("a pack", || (away.world.service.packs().len() > before).then_some(()));
    running.signal(Signal::STOP);
    away.world.service.kill();
    running.signal(Signal::CONT);
    wait_for("the notice", || running.has_said().contains('\n').then_some(()));
    let ended = end_soon(running, Signal::INT);
    ended.with_status(1);
    let interrupted = ["stopping", "strongroom: interrupted"];
    assert_was_told_once(&ended, &away.world.service.url, &interrupted);
    away.world.service.start_again();
    away.machine.back_up(&away.source);
    let there = away.machine.restore("latest", &away.source, &away.world.path("after"));
    assert_same(&away.source, &there);
}

#[test]
fn listings_wait_for_some_seconds() {
    let away = Away::new();
    let begun = Instant::now();
    let running: Vec<Running> = away.brief().into_iter().map(Running::start).collect();
    for running in running {
        running.wait().refused(&[&away.world.service.url]);
        let took = begun.elapsed();
        assert!((Duration::from_secs(4)..SOON).contains(&took), "it took {took:?}");
    }
}

#[test]
fn whoever_wants_no_retry_waits_for_nothing() {
    let away = Away::new();
    for mut command in away.patient().into_iter().chain(away.brief()) {
        command.arg("--no-retry");
        let begun = Instant::now();
        // One line only: nothing was said about trying again.
        run(command).refused(&[&away.world.service.url]);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(4), "it took {took:?}");
    }
}

#[test]
fn a_host_that_does_not_exist_is_not_waited_for() {
    let away = Away::new();
    let names = Names::compile(&away.world.folder("names"));
    let (state, url) = (
        away.machine.state.join("machine.json"),
        "https://vault.example.org:8443",
    );
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replace(&away.world.service.url, url)).unwrap();
    let points = away.machine.command(&["points"]);
    for mut command in away.patient().into_iter().chain([points]) {
        names.fail(&mut command, UNKNOWN);
        let begun = Instant::now();
        run(command).refused(&["cannot find the host", url]);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(4), "it took {took:?}");
    }
    // A machine that starts before its network asks too early.
    let mut command = away.machine.backup_command(&away.source);
    names.fail(&mut command, NOT_ASKED);
    let ended = end_soon(start_and_wait_for_its_notice(command), Signal::TERM);
    assert_was_told_once(&ended, url, &["strongroom: interrupted"]);
}
