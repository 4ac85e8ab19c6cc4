//! How much of the line a machine takes: what was set, by day and hour, and not more.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::common;
use crate::common::later::Later;
use crate::common::line::Line;
use crate::common::machine::{Machine, restored};
use crate::common::program::{Running, run, wait_for};
use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same};
use crate::common::world::World;

/// Every hour of every day is one of work.
const ALWAYS: [&str; 5] = [
    "agent",
    "settings",
    "--work-hours=0:00-24:00",
    "--work-days=sun-sat",
    "--zone=UTC",
];

/// What a limit of 20mbit lets through in a second.
const BYTES_OF_20MBIT: f64 = 2_500_000.0;

/// How soon a change must hold.
const SOON: Duration = Duration::from_secs(5);

/// A machine whose line is looked at.
struct Looked {
    world: World,
    machine: Machine,
    source: PathBuf,
    line: Line,
}

impl Looked {
    /// With so many MiB to back up that do not compress.
    fn new(mebibytes: u64) -> Self {
        let (world, mut random) = (World::new(), Random::new());
        let source = world.path("source");
        let size = Size {
            small: 5,
            large: mebibytes / 4,
            large_bytes: 4 << 20,
        };
        tree::make(&source, &mut random, &size);
        let machine = world.machine("limited");
        let line = Line::to(&world.service.listen, random);
        line.lead(&machine, &world.service.url);
        Self {
            world,
            machine,
            source,
            line,
        }
    }

    fn set(&self, flags: &[&str]) {
        let command: Vec<&str> = ALWAYS.iter().chain(flags).copied().collect();
        self.machine.run(&command).done();
    }

    fn backup(&self) -> Command {
        let mut command = self.machine.backup_command(&self.source);
        command.arg("--quiet");
        command
    }
}

/// Never more than 5 % above the limit within ten seconds.
fn assert_keeps(most_within_10_seconds: u64, bytes_per_second: f64) {
    let rate = most_within_10_seconds as f64 / 10.0;
    println!("at most {rate:.0} bytes a second within 10 s, of {bytes_per_second:.0}");
    assert!(rate <= bytes_per_second * 1.05, "{rate} bytes a second");
}

#[test]
fn an_upload_takes_what_its_limit_allows_and_no_more() {
    let looked = Looked::new(100);
    looked.set(&["--upload-work=20mbit"]);
    run(looked.backup()).done();
    looked.line.up(|up| {
        assert_keeps(up.most_within(Duration::from_secs(10)), BYTES_OF_20MBIT);
        // Not less either, in the time in which the sender was willing: a machine that is busy with something else lets it
        // stand still, and of that it makes up for a fifth of a second each time.
        let idle: Duration = up
            .pieces
            .windows(2)
            .map(|two| (two[1].0 - two[0].0).saturating_sub(Duration::from_millis(200)))
            .sum();
        let [first, last] = [up.pieces.first(), up.pieces.last()].map(|piece| piece.unwrap().0);
        let willing = (last - first) - idle;
        let rate = up.bytes() as f64 / willing.as_secs_f64();
        println!(
            "{} bytes in {willing:?}, and {idle:?} idle: {rate:.0} a second",
            up.bytes()
        );
        assert!(rate >= BYTES_OF_20MBIT * 0.95, "{rate} bytes a second");
    });
}

#[test]
fn a_download_takes_no_more_than_its_limit_but_for_what_comes_ahead() {
    let looked = Looked::new(60);
    run(looked.backup()).done();
    let target = looked.world.path("target");
    let mut command = looked.machine.restore_command("latest", &target);
    command.args(["--quiet", "--limit-download", "20mbit"]);
    let before = looked.line.down(|down| down.bytes());
    let begun = Instant::now();
    run(command).done();
    looked.line.down(|down| {
        assert!(down.bytes() - before >= 60 << 20);
        let restored = down.since(begun);
        let [first, last] = [restored.pieces.first(), restored.pieces.last()].map(|piece| piece.unwrap().0);
        let ahead = restored.bytes() as f64 - BYTES_OF_20MBIT * 1.05 * (last - first).as_secs_f64();
        println!("{ahead:.0} bytes came ahead");
        // What the system takes in ahead, for each of the answers that come at once.
        assert!(ahead < (8 << 20) as f64, "{ahead} bytes too many");
    });
    assert_same(&looked.source, &restored(&target, &looked.source));
}

#[test]
fn a_changed_limit_holds_for_a_backup_that_runs() {
    let looked = Looked::new(40);
    looked.set(&["--upload-work=1mbit"]);
    let running = Running::start(looked.backup());
    wait_for("the upload", || {
        (looked.line.up(|up| up.bytes()) > 1 << 20).then_some(())
    });
    looked.set(&["--upload-work=unlimited"]);
    let changed = Instant::now();
    running.wait().done();
    assert_changes_at(&looked.line, changed);
}

#[test]
fn a_run_may_have_limits_of_its_own() {
    let looked = Looked::new(20);
    looked.set(&["--upload-work=512kbit"]);
    let mut command = looked.backup();
    command.arg("--limit-upload=unlimited");
    // At the limit of the settings it would take five minutes.
    run(command).done();
}

#[test]
fn the_end_of_work_hours_is_noticed_by_a_backup_that_runs() {
    let looked = Looked::new(40);
    // Half past five on some Friday, by the machine's clock; work ends in ten seconds.
    let (real, begun) = (Timestamp::now(), Instant::now());
    let friday = (0..8)
        .map(|days| real.to_zoned(jiff::tz::TimeZone::UTC).date() + jiff::Span::new().days(days))
        .map(|date| date.at(17, 29, 50, 0).in_tz("UTC").unwrap().timestamp())
        .find(|at| *at > real && at.to_zoned(jiff::tz::TimeZone::UTC).weekday() == jiff::civil::Weekday::Friday);
    let forward = friday.expect("there is one in every week").as_second() - real.as_second();
    looked
        .machine
        .run(&[
            "agent",
            "settings",
            "--work-hours=8:00-17:30",
            "--work-days=mon-fri",
            "--zone=UTC",
            "--upload-work=1mbit",
        ])
        .done();
    let mut command = looked.backup();
    Later::compile(&looked.world.folder("later")).put_forward_by(&mut command, forward);
    // The clock is put forward by whole seconds.
    let part = Duration::from_nanos(real.subsec_nanosecond().unsigned_abs().into());
    let ends = begun + Duration::from_secs(10) - part;
    run(command).done();
    assert_changes_at(&looked.line, ends);
}

/// It becomes fast at this moment, which is known to a second, or soon after: a megabyte goes within the time in which 1mbit
/// lets a fifth of it through.
fn assert_changes_at(line: &Line, moment: Instant) {
    line.up(|up| {
        let fast = up.first_time_faster(1 << 20, Duration::from_millis(1500));
        let fast = fast.expect("it became fast");
        assert!(fast + Duration::from_secs(1) >= moment, "{:?} too early", moment - fast);
        println!("fast {:?} after the change", fast.saturating_duration_since(moment));
        assert!(fast <= moment + SOON, "only {:?} after it", fast - moment);
    });
}

#[test]
fn what_is_no_limit_is_refused() {
    let (world, machine) = {
        let world = World::new();
        let machine = world.machine("refused");
        (world, machine)
    };
    for (flags, words) in [
        (["--upload-work", "511kbit"], "512kbit to 1023mbit"),
        (["--download-non-work", "1024mbit"], "512kbit to 1023mbit"),
        (["--upload-work", "fast"], "20mbit"),
        (["--work-hours", "9-18"], "9:00-18:00"),
        (["--work-days", "someday"], "monday"),
        (["--zone", "Mars/Olympus"], "Europe/Berlin"),
    ] {
        let command = ["agent", "settings", flags[0], flags[1]];
        machine.run(&command).with_status(2).said(&[words]);
    }
    let set = [
        "agent",
        "settings",
        "--upload-work=20mbit",
        "--zone=W. Europe Standard Time",
        "--work-hours=22:00-6:00",
    ];
    let shown = machine.run(&set).done();
    assert_eq!(shown["throttle"]["upload"]["work"], "20mbit");
    assert_eq!(shown["throttle"]["upload"]["non_work"], "unlimited");
    assert_eq!(shown["throttle"]["work_begin"], "22:00:00");
    let text = run({
        let mut command = common::program::strongroom(["agent", "settings", "--state"]);
        command.arg(&machine.state);
        command
    });
    for words in [
        "mon,tue,wed,thu,fri",
        "22:00-06:00",
        "W. Europe Standard Time",
        "20mbit in work hours, unlimited otherwise",
    ] {
        assert!(text.stdout.contains(words), "{text}");
    }
    drop(world);
}
