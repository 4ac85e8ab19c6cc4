//! Scheduled backups keep out of the way: behind other programs, off the battery and off lines that are paid for by the byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::common::line::Line;
use crate::common::machine::Machine;
use crate::common::network_manager::NetworkManager;
use crate::common::program::{Running, run, wait_for};
use crate::common::random::Random;
use crate::common::tree::{self, Size};
use crate::common::world::World;

/// A machine under a policy of its own, with an agent to be.
struct Planned {
    world: World,
    machine: Machine,
    line: Line,
}

impl Planned {
    fn new() -> Self {
        let (world, mut random) = (World::new(), Random::new());
        let source = world.path("source");
        let size = Size {
            small: 5,
            large: 25,
            large_bytes: 4 << 20,
        };
        tree::make(&source, &mut random, &size);
        let machine = world.machine("planned");
        let line = Line::to(&world.service.listen, random);
        line.lead(&machine, &world.service.url);
        machine
            .run(&["agent", "settings", "--path", source.to_str().unwrap()])
            .done();
        world
            .admin(&[
                "policy",
                "create",
                "nightly",
                "--vault",
                "main",
                "--at",
                "03:00",
                "--keep-daily",
                "30",
            ])
            .done();
        let protect = ["item", "protect", "planned", "--vault", "main", "--policy", "nightly"];
        world.admin(&protect).done();
        Self { world, machine, line }
    }

    /// Has a backup due at the next whole minute that is far enough away to be planned for.
    fn plan(&self) {
        let second = (Timestamp::now() + SignedDuration::from_secs(10)).as_second();
        let due = Timestamp::from_second(second - second.rem_euclid(60) + 60).unwrap();
        let at = due.strftime("%H:%M").to_string();
        self.world
            .admin(&[
                "policy", "set", "nightly", "--vault", "main", "--at", &at, "--zone", "UTC",
            ])
            .done();
        assert!(Timestamp::now() < due, "the machine is too slow for this test");
    }

    /// The newest job, when it is so.
    fn job(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || {
            let list = self.world.admin(&["job", "list", "--vault", "main"]).done();
            let job = list["jobs"].as_array().unwrap().first().cloned()?;
            is_so(&job).then_some(job)
        })
    }
}

/// Threads of a process: what each is to the scheduler, and to the disks.
fn priorities(process: u32) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else {
            continue;
        };
        // The name may have blanks in it, and ends with a parenthesis; nice is the 17th after it.
        let after = stat.rsplit_once(") ").unwrap().1;
        let nice = after.split(' ').nth(16).unwrap().parse().unwrap();
        let name = thread.file_name();
        let output = Command::new("ionice").arg("-p").arg(&name).output().unwrap();
        found.push((nice, String::from_utf8(output.stdout).unwrap().trim().to_owned()));
    }
    found
}

#[test]
fn a_scheduled_backup_stands_back_and_others_do_not() {
    let planned = Planned::new();
    // Slow enough to be looked at.
    let slow = ["--upload-work=8mbit", "--upload-non-work=8mbit"];
    planned
        .machine
        .run(&[&["agent", "settings"][..], &slow].concat())
        .done();
    let agent = Running::start(planned.machine.command(&["agent", "run"]));
    let usual = priorities(std::process::id())[0].0;

    planned
        .world
        .admin(&["item", "backup", "planned", "--vault", "main"])
        .done();
    wait_for("the upload", || {
        (planned.line.up(|up| up.bytes()) > 1 << 20).then_some(())
    });
    let all = priorities(agent.id());
    assert!(all.iter().all(|(nice, _)| *nice == usual), "{all:?}");
    let job = planned.job("the backup", |job| job["state"] == "InProgress");
    planned
        .world
        .admin(&["job", "stop", job["id"].as_str().unwrap(), "--vault", "main"])
        .done();
    planned.job("its end", |job| job["state"] == "Cancelled");

    planned.plan();
    planned.job("the scheduled one", |job| {
        job["trigger"] == "Schedule" && job["state"] == "InProgress"
    });
    wait_for("threads that stand back", || {
        let all = priorities(agent.id());
        let back = all
            .iter()
            .filter(|(nice, io)| *nice == usual + 10 && io == "best-effort: prio 7");
        // Its own, and at least one each that seals and makes pages; those that serve the network do not.
        (back.count() >= 3 && all.iter().any(|(nice, _)| *nice == usual)).then_some(())
    });
}

/// Power supplies that a process sees instead of those of this computer.
struct Supplies(PathBuf);

impl Supplies {
    fn on_battery(folder: &Path) -> Self {
        for (name, files) in [
            ("AC", [("type", "Mains"), ("online", "0")]),
            ("BAT0", [("type", "Battery"), ("status", "Discharging")]),
        ] {
            fs::create_dir(folder.join(name)).unwrap();
            for (file, text) in files {
                fs::write(folder.join(name).join(file), format!("{text}\n")).unwrap();
            }
        }
        Self(folder.to_owned())
    }

    fn plug_in(&self) {
        fs::write(self.0.join("AC/online"), "1\n").unwrap();
    }

    /// The command, where it sees them.
    fn seen_by(&self, command: &Command) -> Command {
        const SCRIPT: &str = "mount --bind \"$1\" /sys/class/power_supply && shift && exec \"$@\"";
        let mut seeing = Command::new("unshare");
        seeing.args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(&self.0);
        seeing.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => seeing.env(name, value),
                None => seeing.env_remove(name),
            };
        }
        seeing
    }
}

#[test]
fn a_scheduled_backup_waits_for_mains_power_and_others_do_not() {
    let planned = Planned::new();
    let supplies = Supplies::on_battery(&planned.world.folder("supplies"));
    let command = |arguments: &[&str]| supplies.seen_by(&planned.machine.command(arguments));

    run(command(&["backup"])).with_status(0).said(&["runs on battery"]);
    let status = run(command(&["agent", "status"])).done();
    assert_eq!((&status["on_battery"], &status["waits"]), (&true.into(), &true.into()));

    let agent = Running::start(command(&["agent", "run"]));
    planned.plan();
    let waits = |job: &Value| job["trigger"] == "Schedule" && job["tasks"][0]["name"] == "Wait for mains power";
    planned.job("a job that waits", waits);
    assert!(
        agent.has_said().contains("waits for mains power"),
        "{}",
        agent.has_said()
    );
    assert_eq!(planned.machine.points().len(), 1);

    supplies.plug_in();
    planned.job("its end", |job| job["state"] == "Completed");
    assert_eq!(planned.machine.points().len(), 2);
    let status = run(command(&["agent", "status"])).done();
    assert_eq!(
        (&status["on_battery"], &status["waits"]),
        (&false.into(), &false.into())
    );
}

#[test]
fn a_scheduled_backup_waits_for_a_connection_that_is_not_metered() {
    let planned = Planned::new();
    let network = NetworkManager::with_one_connection(&planned.world.folder("network"));
    let command = |arguments: &[&str]| network.asked_by(planned.machine.command(arguments));
    network.is_metered(true);

    run(command(&["backup"])).with_status(0).said(&["metered connection"]);
    let status = run(command(&["agent", "status"])).done();
    assert_eq!((&status["metered"], &status["waits"]), (&true.into(), &true.into()));

    let agent = Running::start(command(&["agent", "run"]));
    planned.plan();
    let waits = |job: &Value| {
        job["trigger"] == "Schedule" && job["tasks"][0]["name"] == "Wait for a connection that is not metered"
    };
    planned.job("a job that waits", waits);
    assert!(
        agent.has_said().contains("waits for a connection that is not metered"),
        "{}",
        agent.has_said()
    );
    assert_eq!(planned.machine.points().len(), 1);

    network.is_metered(false);
    planned.job("its end", |job| job["state"] == "Completed");
    assert_eq!(planned.machine.points().len(), 2);
    let status = run(command(&["agent", "status"])).done();
    assert_eq!((&status["metered"], &status["waits"]), (&false.into(), &false.into()));
}

#[test]
fn settings_can_have_a_scheduled_backup_begin_on_a_metered_connection() {
    let planned = Planned::new();
    let network = NetworkManager::with_one_connection(&planned.world.folder("network"));
    network.is_metered(true);
    planned
        .machine
        .run(&["agent", "settings", "--on-metered", "true"])
        .done();
    let status = run(network.asked_by(planned.machine.command(&["agent", "status"]))).done();
    assert_eq!((&status["metered"], &status["waits"]), (&true.into(), &false.into()));

    let agent = Running::start(network.asked_by(planned.machine.command(&["agent", "run"])));
    planned.plan();
    planned.job("its end", |job| {
        job["trigger"] == "Schedule" && job["state"] == "Completed"
    });
    assert!(!agent.has_said().contains("waits"), "{}", agent.has_said());
}
