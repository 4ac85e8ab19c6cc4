//! The administrator chooses a password, and the first one is of no use any more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::common::program::{Running, run, strongroom, wait_for};
use crate::common::world::World;

const NEW: &str = "a better password";

fn file(world: &World, text: &str) -> PathBuf {
    let file = world.path(&format!("password of {} letters", text.len()));
    fs::write(&file, format!("{text}\n")).unwrap();
    file
}

fn password_command(world: &World, old: &Path, new: &Path) -> Command {
    let mut command = world.admin_command(&["password", "--password-file"]);
    command.arg(old).arg("--new-password-file").arg(new);
    command
}

fn login_command(world: &World, password: &Path) -> Command {
    let mut command = world.admin_command(&["login", &world.service.url, "--password-file"]);
    command.arg(password);
    command
}

#[test]
fn the_new_password_opens_and_the_first_does_not() {
    let mut world = World::new();
    let (first, new) = (world.service.password_file.clone(), file(&world, NEW));
    let changed = run(password_command(&world, &first, &new)).done();
    assert_eq!(changed["user"], "admin");
    assert_eq!(changed["first_password_file"], true);
    // Whoever has changed it stays signed in.
    world.admin(&["vault", "list"]).done();
    run(login_command(&world, &first)).refused(&["password is wrong"]);
    run(login_command(&world, &new)).done();

    // The service does not offer a file that is of no use, and knows when it is gone.
    world.service.stop();
    let mut serve = strongroom(["serve", "--listen", &world.service.listen, "--data"]);
    serve.arg(&world.service.data);
    let serving = Running::start(serve);
    wait_for("the warning", || serving.has_said().contains("delete it").then_some(()));
    serving.signal(Signal::TERM);
    let ended = serving.wait();
    assert!(!ended.stdout.contains("first password"), "{ended}");
    fs::remove_file(&first).unwrap();
    world.service.start_again();
    let changed = run(password_command(&world, &new, &file(&world, "the third password"))).done();
    assert_eq!(changed["first_password_file"], false);
}

#[test]
fn people_are_told_to_change_the_first_password_and_to_delete_its_file() {
    let mut world = World::new();
    let (first, new) = (world.service.password_file.clone(), file(&world, NEW));
    let mut serve = strongroom(["serve", "--listen", "127.0.0.1:0", "--data"]);
    serve.arg(world.path("another"));
    let mut serving = Running::start(serve);
    wait_for("its address", || {
        serving.has_printed().contains("Ctrl-C ends").then_some(())
    });
    assert!(!serving.has_ended());
    serving.signal(Signal::TERM);
    let announced = serving.wait();
    announced.with_status(0);
    for words in ["choose another with `strongroom password`", "delete the file", "&& rm "] {
        assert!(announced.stdout.contains(words), "{words:?} is not said: {announced}");
    }
    let mut command = strongroom(["password", "--password-file"]);
    command.env("STRONGROOM_CONFIG", world.path("administrator"));
    command.arg(&first).arg("--new-password-file").arg(&new);
    let ended = run(command);
    ended.with_status(0);
    for words in ["Changed the password of admin", "admin-password", "delete it"] {
        assert!(ended.stdout.contains(words), "{words:?} is not said: {ended}");
    }
    world.service.stop();
}

#[test]
fn passwords_that_do_not_do() {
    let world = World::new();
    let (first, new) = (world.service.password_file.clone(), file(&world, NEW));
    let short = file(&world, "eleven char");
    run(password_command(&world, &first, &short)).refused(&["11 characters", "at least 12"]);
    run(password_command(&world, &first, &first)).refused(&["the present one", "choose another"]);
    let absent = world.path("absent");
    run(password_command(&world, &absent, &new)).refused(&["absent"]);
    run(password_command(&world, &first, &absent)).refused(&["absent"]);
    let mut nobody_to_ask = world.admin_command(&["password", "--password-file"]);
    nobody_to_ask.arg(&first);
    run(nobody_to_ask).refused(&["--new-password-file"]);
    world.admin(&["password"]).refused(&["--password-file"]);
    let mut stranger = password_command(&world, &first, &new);
    stranger.env("STRONGROOM_CONFIG", world.path("stranger"));
    run(stranger).refused(&["not signed in", "strongroom login"]);
    // An argument would be seen by everybody on the machine.
    world.admin(&["password", NEW]).with_status(2);
    for _ in 0..5 {
        run(password_command(&world, &short, &new)).refused(&["present password is wrong"]);
    }
    // Guessing is slowed down for the sign-in as well: each failure makes the wait longer than this test.
    let guess = || run(login_command(&world, &short));
    let refused = (0..10).map(|_| guess()).find(|ended| ended.stderr.contains("Too many"));
    refused.expect("nobody slows the guesses down").refused(&["wait"]);
    world.admin(&["vault", "list"]).done();
}
