//! Keys as people deal with them: passphrases lost and changed, sheets of paper, machines that are renamed or gone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::machine::{Machine, ids, restored};
use crate::common::program::{Ended, run, strongroom};
use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same};
use crate::common::world::{PASSPHRASE, World};

const SIZE: Size = Size {
    small: 12,
    large: 1,
    large_bytes: 1 << 20,
};
const OTHER: &str = "another passphrase altogether";
const NEW: &str = "a new passphrase for old data";

/// A source, and what it was when each recovery point was made.
struct Past {
    source: PathBuf,
    states: Vec<(String, PathBuf)>,
}

impl Past {
    /// A new tree, backed up once.
    fn new(world: &World, machine: &Machine, random: &mut Random) -> Self {
        let source = world.path(&format!("source of {}", machine.name));
        tree::make(&source, random, &SIZE);
        let mut past = Self {
            source,
            states: Vec::new(),
        };
        past.back_up(world, machine);
        past
    }

    fn go_on(&mut self, world: &World, machine: &Machine, random: &mut Random) -> Value {
        tree::edit(&self.source, random);
        self.back_up(world, machine)
    }

    fn back_up(&mut self, world: &World, machine: &Machine) -> Value {
        let report = machine.back_up(&self.source);
        let point = report["point"].as_str().unwrap().to_owned();
        let copy = world.path(&format!("state {point}"));
        tree::copy(&self.source, &copy);
        self.states.push((point, copy));
        report
    }

    fn points(&self) -> Vec<&str> {
        self.states.iter().map(|(point, _)| point.as_str()).collect()
    }

    /// Every point is restored as it was, by a command that is given the point and a target.
    #[track_caller]
    fn assert_restores(&self, world: &World, what: &str, restore: impl Fn(&str, &Path) -> Ended) {
        for (point, state) in &self.states {
            let target = world.path(&format!("{what} {point}"));
            restore(point, &target).done();
            assert_same(state, &restored(&target, &self.source));
        }
    }
}

fn restore_with(machine: &Machine, point: &str, target: &Path, options: &[&str]) -> Ended {
    let mut command = machine.restore_command(point, target);
    command.args(options);
    run(command)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl World {
    fn pin(&self, name: &str) -> String {
        let pin = self.admin(&["vault", "pin", "main"]).done()["pin"]
            .as_str()
            .unwrap()
            .to_owned();
        self.file(name, &pin)
    }

    fn change_passphrase(&self, machine: &Machine, passphrase: &str) -> Ended {
        let file = self.passphrase_file("new", passphrase);
        let pin = self.pin("pin");
        machine.run(&[
            "agent",
            "passphrase",
            "--passphrase-file",
            text(&file),
            "--pin-file",
            &pin,
        ])
    }

    /// A state folder in which nothing is registered yet.
    fn unregistered(&self, name: &str) -> Machine {
        Machine {
            name: name.to_owned(),
            state: self.path(&format!("{name} anew.state")),
        }
    }

    fn register_with(&self, machine: &Machine, options: &[&str]) -> Ended {
        let mut command = machine.command(&["agent", "register", "--name", &machine.name, "--credentials"]);
        command.arg(self.credentials()).args(options);
        run(command)
    }
}

/// SEMANTICS.md §3.2, first row: the machine lives and is registered, the passphrase is lost.
#[test]
fn machine_available_passphrase_lost_another_passphrase_is_set() {
    let (world, mut random) = (World::new(), Random::new());
    let web = world.machine("web");
    let mut past = Past::new(&world, &web, &mut random);
    past.go_on(&world, &web, &mut random);
    world.change_passphrase(&web, NEW).done();
    // What is known of the source goes on to count.
    let report = past.back_up(&world, &web);
    assert!(report["new_bytes"].as_u64().unwrap() < 64 << 10, "{report}");
    past.go_on(&world, &web, &mut random);

    past.assert_restores(&world, "on the machine", |point, target| {
        run(web.restore_command(point, target))
    });
    for (name, passphrase) in [("by-new", NEW), ("by-old", PASSPHRASE)] {
        let fresh = world.machine_with(name, passphrase);
        let points = fresh.run(&["points", "--machine", "web"]).done();
        assert_eq!(ids(&points["points"]), past.points());
        past.assert_restores(&world, name, |point, target| run(fresh.restore_command(point, target)));
        // And the other way: what the new ones back up, the old one reads.
        let own = Past::new(&world, &fresh, &mut random);
        own.assert_restores(&world, "the other way", |point, target| {
            run(web.restore_command(point, target))
        });
    }
    for passphrase in [NEW, PASSPHRASE] {
        past.assert_restores(&world, &format!("rescued by {passphrase}"), |point, target| {
            world.rescue(
                &world.service.vault_folder(),
                passphrase,
                &["restore", point, "--to", text(target)],
            )
        });
    }
}

/// SEMANTICS.md §3.2, second row: the machine is lost, the passphrase is known.
#[test]
fn machine_lost_passphrase_available_another_machine_restores() {
    let (world, mut random) = (World::new(), Random::new());
    let web = world.machine("web");
    let mut past = Past::new(&world, &web, &mut random);
    past.go_on(&world, &web, &mut random);
    fs::remove_dir_all(&web.state).unwrap();
    let other = world.machine("other");
    past.assert_restores(&world, "elsewhere", |point, target| {
        restore_with(&other, point, target, &["--machine", "web"])
    });
}

/// SEMANTICS.md §3.2, third row: machine and passphrase are lost.
#[test]
fn machine_lost_passphrase_lost_nothing_is_restored() {
    let (world, mut random) = (World::new(), Random::new());
    let web = world.machine("web");
    let past = Past::new(&world, &web, &mut random);
    fs::remove_dir_all(&web.state).unwrap();
    let guess = world.passphrase_file("guess", OTHER);
    let other = world.machine_with("other", OTHER);
    let (point, target) = (past.points()[0], world.path("target"));
    assert_eq!(
        ids(&other.run(&["points", "--all"]).done()["points"]),
        Vec::<String>::new()
    );
    run(other.restore_command(point, &target)).refused(&["another passphrase"]);
    restore_with(&other, "latest", &target, &["--machine", "web"]).refused(&["web", "--passphrase-file"]);
    // A guess that opens something, though not this.
    let options = ["--machine", "web", "--passphrase-file", text(&guess)];
    restore_with(&other, "latest", &target, &options).refused(&["web"]);
    let wrong = world.passphrase_file("wrong", "it was something like this");
    let options = ["--machine", "web", "--passphrase-file", text(&wrong)];
    restore_with(&other, "latest", &target, &options).refused(&["wrong", "2 key sets"]);
    let rescue = |passphrase| world.rescue(&world.service.vault_folder(), passphrase, &["points"]);
    rescue("it was something like this").refused(&["wrong"]);
    let listed = rescue(OTHER).done();
    assert_eq!(listed[0]["machine"], Value::Null);
    assert!(!target.exists());
}

/// SEMANTICS.md §3.2: registered again with the same passphrase, old data is restorable; with another one it is not.
#[test]
fn machine_registered_again_reads_its_old_data_by_the_same_passphrase_only() {
    let (world, mut random) = (World::new(), Random::new());
    let web = world.machine("web");
    let mut past = Past::new(&world, &web, &mut random);
    let (again, stranger) = (world.unregistered("web"), world.unregistered("web"));
    let same = world.passphrase_file("same", PASSPHRASE);
    world.register_with(&again, &["--passphrase-file", text(&same)]).done();
    assert_eq!(again.points(), past.points());
    past.go_on(&world, &again, &mut random);
    past.assert_restores(&world, "again", |point, target| {
        run(again.restore_command(point, target))
    });
    // The agent of before is told what happened.
    run(web.backup_command(&past.source)).refused(&["registered again"]);

    fs::remove_dir_all(&again.state).unwrap();
    let other = world.passphrase_file("other", OTHER);
    world
        .register_with(&stranger, &["--passphrase-file", text(&other)])
        .done();
    let target = world.path("target");
    for point in past.points() {
        run(stranger.restore_command(point, &target)).refused(&["another passphrase", "--ask-passphrase"]);
    }
    // It goes on all the same, though it cannot read what was before; and the passphrase of before still opens that.
    let own = run(stranger.backup_command(&past.source));
    own.with_status(0);
    assert!(own.stderr.contains("this backup reads every file"), "{own}");
    let target = world.path("own");
    assert_same(&past.source, &stranger.restore("latest", &past.source, &target));
    past.assert_restores(&world, "before", |point, target| {
        restore_with(&stranger, point, target, &["--passphrase-file", text(&same)])
    });
}

#[test]
fn a_passphrase_is_changed_with_a_pin_and_to_one_of_its_own() {
    let (world, mut random) = (World::new(), Random::new());
    let (web, db) = (world.machine("web"), world.machine_with("db", OTHER));
    let past = Past::new(&world, &web, &mut random);
    let new = world.passphrase_file("new", NEW);
    let change = |options: &[&str]| {
        let mut command = web.command(&["agent", "passphrase", "--passphrase-file"]);
        command.arg(&new).args(options);
        run(command)
    };
    change(&[]).refused(&["--pin-file"]);
    let right = fs::read_to_string(world.pin("right")).unwrap();
    let wrong = if right.trim() == "000000" { "111111" } else { "000000" };
    change(&["--pin-file", &world.file("wrong", wrong)]).refused(&["security PIN", "strongroom vault pin main"]);
    world.change_passphrase(&web, PASSPHRASE).refused(&["already"]);
    world
        .change_passphrase(&web, OTHER)
        .refused(&["other machines", "choose another"]);
    world.change_passphrase(&web, "too short").refused(&["16"]);
    // None of that changed anything.
    world
        .rescue(&world.service.vault_folder(), NEW, &["points"])
        .refused(&["wrong"]);
    world.change_passphrase(&web, NEW).done();
    world.change_passphrase(&web, NEW).refused(&["already"]);
    world.change_passphrase(&db, NEW).refused(&["other machines"]);
    // Who changes the machine's settings from elsewhere uses the new one.
    web.run(&["agent", "settings", "--path", text(&past.source)]).done();
    let change = [
        "item",
        "settings",
        "web",
        "--exclude",
        "*.o",
        "--passphrase-file",
        text(&new),
    ];
    assert_eq!(world.admin(&change).done()["exclude"][0], "*.o");
    past.assert_restores(&world, "after", |point, target| run(web.restore_command(point, target)));
}

/// The four rows of the recovery key on a sheet.
fn rows(sheet: &str) -> Vec<String> {
    let rows = sheet.lines().filter_map(|line| {
        let row = line.trim().split_once("   ")?.1;
        let is_row = row.len() == 19 && row.split('-').all(|group| group.len() == 4);
        is_row.then(|| row.to_owned())
    });
    rows.collect()
}

fn sheet(machine: &Machine, options: &[&str]) -> String {
    let mut command = strongroom(["--state"]);
    command.arg(&machine.state).args(["key", "sheet"]).args(options);
    let ended = run(command);
    ended.with_status(0);
    ended.stdout
}

#[test]
fn a_sheet_alone_restores_on_another_machine() {
    let (world, mut random) = (World::new(), Random::new());
    let web = world.machine("web");
    let past = Past::new(&world, &web, &mut random);
    let sheet = sheet(&web, &[]);
    for part in [
        "web",
        "main",
        &world.service.url,
        "agent register",
        "--recovery-key-file",
        "rescue",
        "█",
    ] {
        assert!(sheet.contains(part), "no {part:?} in {sheet}");
    }
    let rows = rows(&sheet);
    assert_eq!(rows.len(), 4, "{sheet}");
    // Neither the machine nor the passphrase is left. The key is typed as people do.
    fs::remove_dir_all(&web.state).unwrap();
    let typed = rows.join("\n").to_lowercase().replace('-', " ").replace('0', "o");
    let key = world.file("key", &typed);
    let fresh = world.unregistered("fresh");
    let registered = world.register_with(&fresh, &["--recovery-key-file", &key]).done();
    assert_eq!(registered["joined_key_set"], true);
    past.assert_restores(&world, "by sheet", |point, target| {
        restore_with(&fresh, point, target, &["--machine", "web"])
    });
    // It gives the key a passphrase again, and prints the same key.
    world.change_passphrase(&fresh, NEW).done();
    assert_eq!(self::rows(&self::sheet(&fresh, &[])), rows);
    let next = world.machine_with("next", NEW);
    past.assert_restores(&world, "next", |point, target| run(next.restore_command(point, target)));

    // With the objects alone, though the key set is lost too.
    let store = world.service.vault_folder();
    let rescue = |key: &str, arguments: &[&str]| {
        let mut command = strongroom(["rescue", "--json", "--store"]);
        command.arg(&store).args(["--recovery-key-file", key]).args(arguments);
        run(command)
    };
    past.assert_restores(&world, "rescued", |point, target| {
        rescue(&key, &["restore", point, "--to", text(target)])
    });
    fs::rename(store.join("keys"), world.path("keys elsewhere")).unwrap();
    past.assert_restores(&world, "without key set", |point, target| {
        rescue(&key, &["restore", point, "--to", text(target)])
    });
}

#[test]
fn slips_and_strange_sheets_are_noticed() {
    let (world, mut random) = (World::new(), Random::new());
    let (web, db) = (world.machine("web"), world.machine_with("db", OTHER));
    let past = Past::new(&world, &web, &mut random);
    let mut rows = rows(&sheet(&web, &[]));
    let fresh = world.unregistered("fresh");
    let register = |rows: &[String]| {
        let key = world.file("typed", &rows.join("\n"));
        world.register_with(&fresh, &["--recovery-key-file", &key])
    };
    let third = rows[2].clone();
    let last = if third.ends_with('7') { "8" } else { "7" };
    rows[2].replace_range(18.., last);
    register(&rows).refused(&["Row 3"]);
    rows[2] = third;
    rows.swap(0, 1);
    register(&rows).refused(&["Row 1"]);
    register(&rows[1..]).refused(&["48 letters and digits instead of 64"]);
    register(&["what is this?".to_owned()]).refused(&["none of its letters"]);
    assert!(!fresh.state.join("machine.json").exists());

    // A sheet of a machine elsewhere.
    let foreign = world.file(
        "foreign",
        "003G-W58W-4CN3-2XW7 E1Z8-S6N8-PV2D-5NQ1 R7EZ-M5HJ-9SN8-D5A4 8NYV-BVH6-BTBC-GZZT",
    );
    world
        .register_with(&fresh, &["--recovery-key-file", &foreign])
        .refused(&["none of the 2 key sets"]);
    let target = world.path("target");
    let options = ["--machine", "web", "--recovery-key-file", &foreign];
    restore_with(&db, past.points()[0], &target, &options).refused(&["none of the 2 key sets"]);

    // What is written to a file is its owner's, and replaces nothing.
    let file = world.path("sheet.html");
    let write = || web.run(&["key", "sheet", "--html", "--output", text(&file)]);
    assert_eq!(write().done()["recovery_key"], true);
    write().refused(&["exists already"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.contains("<svg") && self::rows(&page).len() == 4, "{page}");
    let without = sheet(&web, &["--without-key"]);
    assert!(
        self::rows(&without).is_empty() && without.contains("--passphrase-file"),
        "{without}"
    );
}

#[test]
fn another_machine_with_another_passphrase_is_read_by_giving_it() {
    let (world, mut random) = (World::new(), Random::new());
    let (web, db) = (world.machine("web"), world.machine_with("db", OTHER));
    let mut past = Past::new(&world, &db, &mut random);
    past.go_on(&world, &db, &mut random);
    let file = world.passphrase_file("of db", OTHER);
    let key = world.file("key of db", &rows(&sheet(&db, &[])).join(" "));
    for options in [
        ["--machine", "db", "--passphrase-file", text(&file)],
        ["--machine", "db", "--recovery-key-file", &key],
    ] {
        let with = |arguments: &[&str]| web.run(&[arguments, &options[..]].concat());
        assert_eq!(ids(&with(&["points"]).done()["points"]), past.points());
        past.assert_restores(&world, options[2], |point, target| {
            restore_with(&web, point, target, &options)
        });
        assert_eq!(with(&["verify", "latest"]).done()["whole"], true);
        assert!(!with(&["ls", "latest"]).done().as_array().unwrap().is_empty());
        let found = with(&["find", "*"]);
        assert!(found.with_status(0).stdout.contains("\"machine\":\"db\""), "{found}");
        let [earlier, later] = past.points()[..] else {
            panic!("two points")
        };
        with(&["diff", earlier, later]).with_status(0);
        // That was for once: the machine has joined nothing.
        assert_eq!(
            ids(&web.run(&["points", "--all"]).done()["points"]),
            Vec::<String>::new()
        );
        let overview = web.run(&["key", "list"]).done();
        assert_eq!(
            (overview["key_sets"].as_array().unwrap().len(), &overview["others"]),
            (1, &1.into())
        );
    }
    let both = ["--ask-passphrase", "--passphrase-file", text(&file)];
    web.run(&[&["points"], &both[..]].concat()).with_status(2);
    web.run(&["points", "--ask-passphrase"])
        .refused(&["nobody can be asked", "--passphrase-file"]);
}

#[test]
fn a_machine_that_is_renamed_leaves_its_past_to_another_one() {
    let (world, mut random) = (World::new(), Random::new());
    let mut web = world.machine("web");
    let past = Past::new(&world, &web, &mut random);
    web.run(&["agent", "settings", "--path", text(&past.source)]).done();
    let same = world.passphrase_file("same", PASSPHRASE);
    world
        .register_with(&web, &["--passphrase-file", text(&same)])
        .refused(&["already", "--again"]);

    // Without a passphrase: the machine has the key.
    web.name = "web-2".to_owned();
    let renamed = world.register_with(&web, &["--again"]).done();
    assert_eq!(
        (&renamed["before"], &renamed["joined_key_set"]),
        (&"web".into(), &true.into())
    );
    assert_eq!(web.points(), Vec::<String>::new());
    assert_eq!(web.run(&["agent", "settings"]).done()["paths"][0], text(&past.source));
    past.assert_restores(&world, "renamed", |point, target| {
        restore_with(&web, point, target, &["--machine", "web"])
    });
    // The first backup under the new name sends hardly anything: the vault knows the contents.
    let report = web.run(&["backup"]).done();
    assert!(report["new_bytes"].as_u64().unwrap() < 64 << 10, "{report}");
    let second = report["point"].as_str().unwrap().to_owned();

    // It comes back under its old name, and finds its old points as its own; the others are another machine's.
    web.name = "web".to_owned();
    world.register_with(&web, &["--again"]).done();
    assert_eq!(web.points(), past.points());
    assert_eq!(
        ids(&web.run(&["points", "--machine", "web-2"]).done()["points"]),
        [second]
    );
    // Its settings of that time are in the vault, and hold again; that is told.
    let back = web.run(&["backup"]);
    assert!(back.stderr.contains("taken over"), "{back}");
    let back = back.with_status(0).value();
    assert!(back["new_bytes"].as_u64().unwrap() < 64 << 10, "{back}");
    assert_eq!(web.points().len(), 2);
    past.assert_restores(&world, "back", |point, target| run(web.restore_command(point, target)));

    // With another passphrase it begins anew, and the key of before is not lost.
    let master = fs::read(web.state.join("master.key")).unwrap();
    let other = world.passphrase_file("other", OTHER);
    world
        .register_with(&web, &["--again", "--passphrase-file", text(&other)])
        .done();
    assert_ne!(fs::read(web.state.join("master.key")).unwrap(), master);
    assert_eq!(fs::read(web.state.join("master-1.key")).unwrap(), master);
    run(web.restore_command(past.points()[0], &world.path("target"))).refused(&["another passphrase"]);
}

#[test]
fn the_overview_tells_who_has_which_key_and_since_when_its_passphrase() {
    let (world, mut random) = (World::new(), Random::new());
    let (web, mail, db) = (
        world.machine("web"),
        world.machine("mail"),
        world.machine_with("db", OTHER),
    );
    let list = |machine: &Machine| machine.run(&["key", "list"]).done();
    let before = list(&web);
    let [only] = &before["key_sets"].as_array().unwrap()[..] else {
        panic!("{before}")
    };
    assert_eq!((&only["own"], &before["others"]), (&true.into(), &1.into()));
    assert_eq!(only["machines"], serde_json::json!(["mail", "web"]));
    assert_eq!(only["passphrases"][0]["by"], "web");
    world.change_passphrase(&mail, NEW).done();
    Past::new(&world, &mail, &mut random);
    let after = list(&web);
    let key_set = &after["key_sets"][0];
    assert_eq!((&key_set["id"], &after["others"]), (&only["id"], &1.into()), "{after}");
    let passphrases = key_set["passphrases"].as_array().unwrap();
    assert_eq!((passphrases.len(), &passphrases[1]["by"]), (2, &"mail".into()));
    assert_eq!(list(&mail), after);
    assert!(passphrases[1]["since"].as_str() > passphrases[0]["since"].as_str());
    // A stranger sees that there are others, and nothing of them.
    let stranger = list(&db);
    assert_eq!(
        (stranger["key_sets"].as_array().unwrap().len(), &stranger["others"]),
        (1, &2.into())
    );
    assert_eq!(stranger["key_sets"][0]["machines"], serde_json::json!(["db"]));
    // For people.
    let mut command = strongroom(["--state"]);
    command.arg(&mail.state).args(["key", "list"]);
    let said = run(command);
    assert!(
        said.stdout.contains("mail, web") && said.stdout.contains("one more"),
        "{said}"
    );
}
