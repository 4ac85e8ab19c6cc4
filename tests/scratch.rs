//! The scratch folder: where it may be, how much room it needs, how it moves, and that its loss costs one slower run only.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::common::machine::Machine;
use crate::common::mount::Mount;
use crate::common::program::{Ended, Running, run};
use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same};
use crate::common::world::World;

const SIZE: Size = Size {
    small: 200,
    large: 2,
    large_bytes: 1 << 20,
};

fn backed_up(world: &World) -> (Machine, PathBuf) {
    let source = world.path("source");
    tree::make(&source, &mut Random::new(), &SIZE);
    tree::let_age();
    let machine = world.machine("machine");
    machine.back_up(&source);
    (machine, source)
}

fn move_command(machine: &Machine, to: &Path) -> Command {
    let mut command = machine.command(&["agent", "settings", "--scratch"]);
    command.arg(to);
    command
}

fn move_to(machine: &Machine, to: &Path) -> Ended {
    run(move_command(machine, to))
}

/// Nothing is read, so the scratch folder is there and whole.
#[track_caller]
fn assert_knows_all(machine: &Machine, source: &Path) {
    assert_eq!(machine.back_up(source)["files_read"], 0);
}

#[test]
fn it_moves_with_all_that_it_knows_and_its_loss_costs_one_run() {
    let world = World::new();
    let (machine, source) = backed_up(&world);
    let (old, new) = (machine.state.join("scratch"), world.path("new"));
    assert!(old.exists());
    let moved = move_to(&machine, &new).done();
    assert_eq!(moved["scratch"], new.to_str().unwrap());
    assert!(!old.exists(), "the old one is gone");
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
    assert_knows_all(&machine, &source);
    assert!(!old.exists(), "it is not made again");
    // Back again, over what is left of it.
    fs::create_dir(&old).unwrap();
    move_to(&machine, &old).done();
    assert_knows_all(&machine, &source);
    // Lost: what the vault knows is fetched from it, nothing is sent again, and the next run is as fast as ever.
    fs::remove_dir_all(&old).unwrap();
    let report = machine.back_up(&source);
    assert!(report["new_bytes"].as_u64().unwrap() < 10_000, "{report}");
    assert_knows_all(&machine, &source);
    assert_same(&source, &machine.restore("latest", &source, &world.path("target")));
}

#[test]
fn a_move_that_is_cut_short_leaves_one_that_is_whole() {
    let world = World::new();
    let (machine, source) = backed_up(&world);
    let places = [world.path("one"), world.path("two")];
    let mut random = Random::new();
    let mut killed = 0;
    for round in 0..20 {
        let to = &places[round % 2];
        let time = Duration::from_micros(random.below(30_000));
        killed += usize::from(Running::start(move_command(&machine, to)).kill_after(time).was_killed());
        // Whichever counts now knows all.
        assert_knows_all(&machine, &source);
    }
    assert!(killed > 0, "no move was cut short");
    move_to(&machine, &world.path("last")).done();
    let left: Vec<&PathBuf> = places.iter().filter(|place| place.join("last.json").exists()).collect();
    assert!(left.len() <= 1, "more than what one attempt left: {left:?}");
    assert_knows_all(&machine, &source);
}

#[test]
fn places_that_cannot_be_are_refused() {
    let world = World::new();
    let (machine, source) = backed_up(&world);
    let folder = |name: &str| world.folder(name);
    let (open, foreign, used) = (folder("open"), folder("foreign"), folder("used"));
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    chown(&foreign, Some(65534), None).unwrap();
    fs::write(used.join("letter"), "of somebody").unwrap();
    let link = world.path("link");
    symlink(folder("behind"), &link).unwrap();
    let program = world.path("program");
    let mounted = Mount::of_program("sshfs", &folder("outside"), &program);
    let inside = machine.state.join("scratch/inside");
    for (place, words) in [
        (&open, "others may write to it"),
        (&foreign, "belongs to user 65534"),
        (&used, "letter"),
        (&link, "is a link"),
        (&program, "a network volume"),
        (&inside, "in the present one"),
    ] {
        move_to(&machine, place).refused(&[place.to_str().unwrap(), words, "agent settings --scratch"]);
    }
    assert_eq!(fs::read_to_string(used.join("letter")).unwrap(), "of somebody");
    assert_knows_all(&machine, &source);
    // One that became so is refused too, before anything begins.
    let scratch = machine.state.join("scratch");
    fs::set_permissions(&scratch, Permissions::from_mode(0o770)).unwrap();
    run(machine.backup_command(&source)).refused(&["others may write to it", "chmod go-w"]);
    // The way out that the message names works from there.
    move_to(&machine, &world.path("elsewhere")).with_status(0);
    machine.back_up(&source);
    assert_knows_all(&machine, &source);
    drop(mounted);
}

#[test]
fn too_little_room_is_said_with_how_much_is_missing() {
    let world = World::new();
    let (machine, source) = backed_up(&world);
    let small = world.path("small");
    let mount = Mount::tmpfs(&small, "2m");
    move_to(&machine, &small).done();
    let ended = run(machine.backup_command(&source));
    ended.with_status(3);
    for words in [
        "may lack",
        "MiB of room",
        small.to_str().unwrap(),
        "agent settings --scratch",
    ] {
        assert!(ended.stdout.contains(words), "{words:?} is not said: {ended}");
    }
    assert_same(&source, &machine.restore("latest", &source, &world.path("target")));
    mount.remount("size=32m");
    assert_knows_all(&machine, &source);
    // Away from it, so that it can be unmounted.
    move_to(&machine, &world.path("large")).done();
}
