//! The console in a real terminal, against a real service.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::common::machine::{Machine, restored};
use crate::common::program::{Running, run, strongroom, wait_for};
use crate::common::pty::{CONTROL_C, DOWN, ENTER, ESCAPE, Pty};
use crate::common::random::Random;
use crate::common::tree::{self, Size};
use crate::common::world::World;

/// A machine with something to back up.
struct Desk {
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let world = World::new();
        let machine = world.machine("desk");
        let source = world.folder("source");
        fs::create_dir(source.join("letters")).unwrap();
        fs::write(source.join("letters/to-ann.odt"), "Dear Ann").unwrap();
        fs::write(source.join("letters/to-bob.odt"), vec![7; 300_000]).unwrap();
        fs::write(source.join("other.txt"), "other").unwrap();
        machine
            .run(&["agent", "settings", "--path", source.to_str().unwrap()])
            .done();
        Self { world, machine, source }
    }

    /// The topmost folder of what is backed up, as the root of a recovery point shows it.
    fn top(&self) -> String {
        let path = self.source.strip_prefix("/").unwrap();
        format!("{}/", path.iter().next().unwrap().to_str().unwrap())
    }

    fn ui_command(&self) -> Command {
        let mut command = strongroom(["agent", "ui", "--state"]);
        command.arg(&self.machine.state);
        command
    }

    /// The console, when it knows how the machine stands.
    fn open(&self) -> Pty {
        let pty = Pty::start(&self.ui_command());
        pty.shows(&["strongroom  desk in vault main", "protection"]);
        pty
    }
}

#[test]
fn the_overview_tells_how_the_machine_stands() {
    let desk = Desk::new();
    let protect = [
        "item",
        "protect",
        "desk",
        "--vault",
        "main",
        "--policy",
        "DefaultFilesPolicy",
    ];
    desk.world.admin(&protect).done();
    let mut ui = desk.open();
    let status = desk.machine.run(&["agent", "status"]).done();
    let next: jiff::Timestamp = status["protection"]["next_backup"].as_str().unwrap().parse().unwrap();
    let next = next.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    ui.shows(&[
        "DefaultFilesPolicy",
        &next,
        "does not run",
        desk.source.to_str().unwrap(),
        "none yet",
    ]);
    let _agent = Running::start(desk.machine.command(&["agent", "run"]));
    ui.shows(&["waits for work"]);
    desk.machine.back_up(&desk.source);
    ui.shows(&["last jobs", "UTC  Backup  Completed"]);
    ui.press("?");
    ui.shows(&["Space marks"]);
    ui.press(ENTER);
    ui.press("2");
    ui.shows(&["MADE", "TOOK", "Completed"]);
    ui.press(ENTER);
    ui.shows(&["Transfer data to vault: Completed"]);
    ui.press("q");
    assert!(ui.left_clean().success());
}

#[test]
fn a_file_is_found_marked_and_restored() {
    let desk = Desk::new();
    desk.machine.back_up(&desk.source);
    let target = desk.world.path("target");
    let mut ui = desk.open();
    ui.press("3");
    ui.shows(&["RECOVERY POINT OF", " UTC"]);
    ui.press(ENTER);
    for folder in desk.source.strip_prefix("/").unwrap().iter() {
        let name = format!("{}/", folder.to_str().unwrap());
        ui.shows(&[&name]);
        ui.press(ENTER);
    }
    ui.shows(&["letters/", "other.txt"]);
    // Back from the folder that is looked at, and in again.
    ui.press(ENTER);
    ui.shows(&["to-ann.odt", "to-bob.odt"]);
    ui.press("\x7f");
    ui.shows(&["other.txt"]);

    ui.press("/");
    ui.shows(&["Search this recovery point"]);
    ui.type_over("*.odt");
    ui.shows(&["what fits *.odt", "2 found"]);
    ui.press(DOWN);
    ui.press(" ");
    ui.shows(&["1 marked", "* "]);
    ui.press("r");
    ui.shows(&["to where everything was", "skip"]);
    ui.press("t");
    ui.shows(&["Restore to the folder"]);
    ui.type_over(target.to_str().unwrap());
    ui.shows(&["Enter begins", "below /"]);
    ui.press(ENTER);
    ui.shows(&["Restored "]);
    let there = restored(&target, &desk.source);
    assert_eq!(fs::read(there.join("letters/to-bob.odt")).unwrap(), vec![7; 300_000]);
    assert!(!there.join("letters/to-ann.odt").exists());
    ui.press(ENTER);
    ui.press("q");
    assert!(ui.left_clean().success());
}

#[test]
fn what_is_in_the_way_becomes_what_was_chosen() {
    let desk = Desk::new();
    desk.machine.back_up(&desk.source);
    let file = desk.source.join("other.txt");
    let mut ui = desk.open();
    ui.press("3");
    ui.shows(&["RECOVERY POINT OF", " UTC"]);
    ui.press(ENTER);
    ui.shows(&[&desk.top()]);
    ui.press("/");
    ui.shows(&["Search this recovery point"]);
    ui.type_over("other.txt");
    ui.shows(&["1 found"]);
    // As many presses of x as lead from the usual choice to this one.
    for (presses, choice, contents, copies) in [
        (0, "skip", "mine", 0),
        (1, "keep both", "mine", 1),
        (2, "overwrite", "other", 1),
    ] {
        fs::write(&file, "mine").unwrap();
        ui.press("r");
        ui.shows(&["to where everything was"]);
        ui.press(&"x".repeat(presses));
        ui.shows(&[&format!("In the way {choice}")]);
        ui.press(ENTER);
        ui.shows(&["Restored"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), contents, "{choice}");
        let names = fs::read_dir(&desk.source).unwrap().flatten();
        let beside = names.filter(|name| name.file_name().to_string_lossy().contains(".restored-"));
        assert_eq!(beside.count(), copies, "{choice}");
        ui.press(ENTER);
        wait_for("the list", || (!ui.screen().contains("Restored")).then_some(()));
    }
    ui.press("q");
    assert!(ui.left_clean().success());
}

#[test]
fn the_throttle_is_changed_by_the_sentences_of_the_command() {
    let desk = Desk::new();
    let mut ui = desk.open();
    ui.press("4");
    ui.shows(&[
        "THROTTLE (none is set)",
        "upload in work hours",
        desk.source.to_str().unwrap(),
    ]);
    ui.press(&DOWN.repeat(3));
    ui.press(ENTER);
    ui.shows(&["Enter takes it"]);
    ui.type_over("5kbit");
    ui.shows(&["\"5kbit\" is no limit: say 512kbit to 1023mbit"]);
    ui.type_over("20mbit");
    ui.shows(&["The settings are changed."]);
    let set = desk.machine.run(&["agent", "settings"]).done();
    assert_eq!(set["throttle"]["upload"]["work"], "20mbit");
    assert_eq!(set["throttle"]["upload"]["non_work"], "unlimited");
    wait_for("the screen", || (!ui.screen().contains("none is set")).then_some(()));
    ui.press("q");
    assert!(ui.left_clean().success());
}

/// Half a minute's work at the lowest limit, which is set.
fn make_slow(desk: &Desk) {
    let size = Size {
        small: 2,
        large: 4,
        large_bytes: 2 << 20,
    };
    tree::make(&desk.source.join("large"), &mut Random::new(), &size);
    let slow = [
        "agent",
        "settings",
        "--upload-work=512kbit",
        "--upload-non-work=512kbit",
    ];
    desk.machine.run(&slow).done();
}

#[test]
fn a_backup_of_another_process_is_cancelled() {
    let desk = Desk::new();
    make_slow(&desk);
    let backup = Running::start(desk.machine.backup_command(&desk.source));
    let mut ui = desk.open();
    ui.shows(&["Backup InProgress"]);
    ui.press("c");
    ui.shows(&["Stop the job Backup"]);
    ui.press("n");
    wait_for("no question", || (!ui.screen().contains("Stop the job")).then_some(()));
    ui.press("c");
    ui.shows(&["Stop the job Backup"]);
    ui.press("y");
    backup.wait().with_status(1).said(&["what was done so far is kept"]);
    ui.shows(&["Backup  Cancelled"]);
    ui.press("q");
    assert!(ui.left_clean().success());
}

#[test]
fn a_backup_is_begun_here_and_ends_with_the_console() {
    let desk = Desk::new();
    let mut ui = desk.open();
    ui.press("b");
    ui.shows(&["Back up now"]);
    ui.press("y");
    ui.shows(&["Recovery point", "entries"]);
    assert_eq!(desk.machine.points().len(), 1);
    ui.press(ENTER);

    make_slow(&desk);
    ui.press("b");
    ui.shows(&["Back up now"]);
    ui.press("y");
    ui.shows(&["this console", "backs up", "Backup InProgress"]);
    ui.press(CONTROL_C);
    ui.shows(&["Stop the backup and leave?"]);
    ui.press("y");
    assert!(ui.left_clean().success());
    let status = desk.machine.run(&["agent", "status"]).done();
    assert_eq!(status["last"][0]["state"], "Cancelled");
    assert_eq!(desk.machine.points().len(), 1);
}

#[test]
fn a_service_that_is_away_is_told_and_keys_go_on() {
    let mut desk = Desk::new();
    let mut ui = desk.open();
    desk.world.service.kill();
    ui.shows(&["away since 20"]);
    ui.press("4");
    ui.shows(&["THROTTLE", desk.source.to_str().unwrap()]);
    ui.press(ENTER);
    ui.shows(&["Enter takes it"]);
    ui.type_over("8:00-17:00");
    ui.shows(&["Not done: the settings are kept in the vault"]);
    ui.press(ENTER);
    ui.press("3");
    wait_for("the failure", || {
        ui.screen().contains(&desk.world.service.listen).then_some(())
    });
    desk.world.service.start_again();
    ui.press("1");
    ui.shows(&[" answers"]);
    ui.signal(Signal::TERM);
    assert!(ui.left_clean().success());
}

#[test]
fn it_keeps_to_the_size_and_to_the_look_that_are_wanted() {
    let desk = Desk::new();
    fs::write(desk.source.join("evil-\x1b[31mred\u{202e}.txt"), "").unwrap();
    desk.machine.back_up(&desk.source);
    let mut command = desk.ui_command();
    command.env("NO_COLOR", "1");
    let mut ui = Pty::start(&command);
    ui.shows(&["protection"]);
    ui.press("3");
    ui.shows(&["RECOVERY POINT OF", " UTC"]);
    ui.press(ENTER);
    ui.shows(&[&desk.top()]);
    ui.press("/");
    ui.shows(&["Search this recovery point"]);
    ui.type_over("evil-*");
    ui.shows(&["evil-\\u{1b}[31mred", ".txt"]);
    ui.press("1");
    for (rows, columns) in [(40, 120), (24, 80), (5, 20)] {
        ui.resize(rows, columns);
        wait_for("the last line", || {
            let screen = ui.screen();
            let lines: Vec<&str> = screen.lines().collect();
            (lines.len() == usize::from(rows) && lines[lines.len() - 1].starts_with(" b back up")).then_some(())
        });
    }
    ui.press(ESCAPE);
    ui.press("q");
    assert!(ui.left_clean().success());
    let written = String::from_utf8_lossy(&ui.written()).into_owned();
    assert!(
        !written.contains('\u{202e}'),
        "it would turn what stands behind it around"
    );
    for colour in ["\x1b[31m", "\x1b[36m", "\x1b[38;5;", "\x1b[32m"] {
        assert!(!written.contains(colour), "{colour:?}");
    }
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let desk = Desk::new();
    run(desk.ui_command()).refused(&["needs a terminal", "strongroom agent status"]);
    let unregistered = desk.world.path("nobody");
    let mut command = strongroom(["agent", "ui", "--state"]);
    command.arg(unregistered);
    let mut ui = Pty::start(&command);
    ui.shows(&["strongroom: ", "agent register"]);
    assert_eq!(ui.left_clean().code(), Some(1));
}
