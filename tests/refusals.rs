//! What cannot be done is refused with one clear sentence and the right exit status, and nothing is lost by it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::common;
use crate::common::later::Later;
use crate::common::machine::{Machine, restored};
use crate::common::mount::Mount;
use crate::common::program::{Ended, run};
use crate::common::random::Random;
use crate::common::service::Service;
use crate::common::tree::{self, Size, assert_same};
use crate::common::world::{PASSPHRASE, World};

const SMALL: Size = Size {
    small: 20,
    large: 1,
    large_bytes: 100 << 10,
};
const LARGE: Size = Size {
    small: 20,
    large: 12,
    large_bytes: 2 << 20,
};

/// A source that is backed up once.
fn backed_up(world: &World, size: &Size) -> (Machine, PathBuf) {
    let source = world.path("source");
    tree::make(&source, &mut Random::new(), size);
    let machine = world.machine("machine");
    machine.back_up(&source);
    (machine, source)
}

fn unregistered(world: &World, name: &str) -> Machine {
    Machine {
        name: name.to_owned(),
        state: world.path(&format!("{name}.state")),
    }
}

#[test]
fn names_that_are_none() {
    let world = World::new();
    for name in ["1bad", "x", "with space", "käse", "-"] {
        let refused = world.admin(&["vault", "create", name]);
        refused.with_status(2);
        assert!(refused.stderr.contains("letter"), "{refused}");
    }
    world.admin(&["vault", "create", "main"]).refused(&["main", "taken"]);
    let output = world.path("output");
    for arguments in [
        ["vault", "show", "nothing"].as_slice(),
        &["vault", "delete", "nothing"],
        &["vault", "credentials", "nothing", "--output", output.to_str().unwrap()],
    ] {
        world
            .admin(arguments)
            .refused(&["no vault called nothing", "strongroom vault list"]);
    }
    assert!(!output.exists());
}

#[test]
fn usage_that_is_wrong() {
    for (arguments, words) in [
        (["restore", "latest"].as_slice(), "--to"),
        (&["bakup", "/etc"], "'bakup'"),
        (&["vault", "shwo", "main"], "'shwo'"),
        (&["backup", "/etc", "--nonsense"], "--nonsense"),
        (&["backup", "/etc", "--compression", "much"], "'much'"),
        (&["points", "--all", "--machine", "web-1"], "--all"),
        (&["vault", "create", "1bad"], "letter"),
    ] {
        let refused = run(common::program::strongroom(arguments));
        refused.with_status(2).said(&[words, "--help"]);
        assert!(refused.stderr.starts_with("strongroom: "), "{refused}");
        assert!(!refused.stderr.contains("error:"), "{refused}");
        assert_eq!(refused.stdout, "");
    }
    let helped = run(common::program::strongroom(["backup", "--help"]));
    assert!(
        helped.is_done() && helped.stderr.is_empty() && helped.stdout.contains("Usage:"),
        "{helped}"
    );
}

#[test]
fn passphrases_that_are_none() {
    let mut world = World::new();
    let machine = unregistered(&world, "machine");
    let credentials = world.credentials();
    let short = world.passphrase_file("short", "fifteen letters");
    world.register(&machine, &credentials, &short).refused(&["16"]);
    let absent = world.path("absent");
    world
        .register(&machine, &credentials, &absent)
        .refused(&["passphrase", absent.to_str().unwrap()]);
    world
        .register(&machine, &credentials, &world.folder("folder"))
        .refused(&["passphrase", "folder"]);
    let binary = world.path("binary");
    fs::write(&binary, [0xff; 40]).unwrap();
    world
        .register(&machine, &credentials, &binary)
        .refused(&["passphrase", "binary"]);
    let refused = run(machine.command(&["agent", "register", "--credentials", credentials.to_str().unwrap()]));
    refused.refused(&["no passphrase"]);
    // The credentials are as good as before.
    let good = world.passphrase_file("good", PASSPHRASE);
    world.register(&machine, &credentials, &good).done();
    world.service.stop();
    let rescue = world.rescue(&world.service.data, "another passphrase altogether", &["points"]);
    rescue.refused(&["passphrase is wrong"]);
}

#[test]
fn vault_credentials_that_are_none() {
    let world = World::new();
    let machine = unregistered(&world, "machine");
    let passphrase = world.passphrase_file("good", PASSPHRASE);
    let good = fs::read_to_string(world.credentials()).unwrap();
    let secret = serde_json::from_str::<serde_json::Value>(&good).unwrap()["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let altered = [
        ("garbage", "these are no credentials".to_owned()),
        ("empty", String::new()),
        ("cut", good[..good.len() / 2].to_owned()),
        (
            "other secret",
            good.replace(&secret, &secret.chars().rev().collect::<String>()),
        ),
        ("other authority", good.replacen("\\nMII", "\\nMIJ", 1)),
        ("newer", good.replace("\"version\": 1", "\"version\": 2")),
    ];
    for (what, text) in altered {
        let file = world.path("altered");
        fs::write(&file, &text).unwrap();
        assert_ne!(text, good, "{what}");
        world.register(&machine, &file, &passphrase).refused(&["credentials"]);
    }
    world
        .register(&machine, &world.path("absent"), &passphrase)
        .refused(&["credentials", "absent"]);
    assert!(fs::read_dir(&machine.state).is_err() || !machine.state.join("machine.json").exists());
}

#[test]
fn vault_credentials_that_have_expired() {
    let mut world = World::new();
    let credentials = world.credentials();
    let passphrase = world.passphrase_file("good", PASSPHRASE);
    let later = Later::compile(&world.folder("later"));
    world.service.stop();
    world.service.start_as(|command| later.put_forward(command, 9));
    world
        .register(&unregistered(&world, "in-time"), &credentials, &passphrase)
        .done();
    let unused = world.path("unused");
    fs::copy(&credentials, &unused).unwrap();
    world.service.stop();
    world.service.start_as(|command| later.put_forward(command, 11));
    let refused = world.register(&unregistered(&world, "too-late"), &unused, &passphrase);
    refused.refused(&["expired", "strongroom vault credentials main"]);
}

#[test]
fn a_machine_that_is_not_registered() {
    let world = World::new();
    let machine = unregistered(&world, "nobody");
    let target = world.path("target");
    for arguments in [
        vec!["points"],
        vec!["ls", "latest"],
        vec!["verify", "latest"],
        vec!["backup", "/etc"],
    ] {
        machine
            .run(&arguments)
            .refused(&["not registered", "strongroom agent register"]);
    }
    run(machine.restore_command("latest", &target)).refused(&["not registered"]);
    assert!(!target.exists() && !machine.state.exists());
}

#[test]
fn a_machine_that_is_registered_twice() {
    let world = World::new();
    let machine = world.machine("machine");
    let again = world.register(&machine, &world.credentials(), &world.path("machine.passphrase"));
    again.refused(&["already", "machine"]);
    assert_eq!(machine.points(), Vec::<String>::new());
}

#[test]
fn recovery_points_that_are_not_there() {
    let world = World::new();
    let machine = world.machine("empty");
    machine
        .run(&["ls", "latest"])
        .refused(&["no recovery point yet", "strongroom backup"]);
    let (machine, source) = backed_up(&world, &SMALL);
    machine.back_up(&source);
    let points = machine.points();
    let shared = points[0]
        .chars()
        .zip(points[1].chars())
        .take_while(|(one, other)| one == other)
        .count();
    machine
        .run(&["ls", &points[0][..shared]])
        .refused(&["several recovery points", &points[0][..shared]]);
    machine.run(&["ls", &points[0][..=shared]]).done();
    for nonsense in ["ffffffff", "yesterday", "01a1fc94-7066-7d86-bb47-66e1b57b2b6c"] {
        machine.run(&["ls", nonsense]).refused(&[nonsense, "strongroom points"]);
        machine.run(&["verify", nonsense]).refused(&[nonsense]);
    }
    let target = world.path("target");
    run(machine.restore_command("ffffffff", &target)).refused(&["ffffffff"]);
    machine
        .run(&["ls", "latest", "--machine", "stranger"])
        .refused(&["stranger"]);
    let mut command = common::program::strongroom(["points", "--machine", "stranger", "--state"]);
    command.arg(&machine.state);
    let ended = run(command);
    assert!(ended.is_done() && ended.stdout.contains("machine stranger"), "{ended}");
    assert!(!target.exists());
}

#[test]
fn paths_that_are_not_there() {
    let world = World::new();
    let (machine, source) = backed_up(&world, &SMALL);
    let absent = source.join("absent");
    run(machine.backup_command(&absent)).refused(&[absent.to_str().unwrap()]);
    assert_eq!(machine.points().len(), 1);
    machine
        .run(&["ls", "latest", absent.to_str().unwrap()])
        .refused(&["nothing at", absent.to_str().unwrap()]);
    let mut command = machine.restore_command("latest", &world.path("target"));
    command.arg(&absent);
    run(command).refused(&["nothing at", absent.to_str().unwrap()]);
    let mut command = machine.restore_command("latest", &world.path("target"));
    command.arg(&absent).arg(source.join("large-0"));
    let ended = run(command);
    ended.with_status(3);
    assert!(ended.stdout.contains(absent.to_str().unwrap()), "{ended}");
}

#[test]
fn a_service_that_is_away() {
    let mut world = World::new();
    let (machine, source) = backed_up(&world, &SMALL);
    world.service.stop();
    let mut command = machine.backup_command(&source);
    command.arg("--no-retry");
    run(command).refused(&[&world.service.url]);
    machine.run(&["points", "--no-retry"]).refused(&[&world.service.url]);
    world.sign_in().refused(&[&world.service.url]);
}

#[test]
fn a_service_with_another_certificate() {
    let mut world = World::new();
    let (machine, source) = backed_up(&world, &SMALL);
    let mut command = world.admin_command(&["login", &world.service.url]);
    let other = Service::start(&world.path("other"));
    command
        .arg("--ca")
        .arg(&other.ca_file)
        .arg("--password-file")
        .arg(&world.service.password_file);
    run(command).refused(&["certificate"]);
    // Nobody is asked for the password of a service that cannot be known.
    let mut command = world.admin_command(&["login", &other.url, "--password-file"]);
    command.arg(&other.password_file);
    run(command).refused(&["--ca"]);
    // Somebody else's service stands where the machine's was.
    world.service.stop();
    let impostor = Service::start_at(&world.path("impostor"), world.service.listen.clone());
    assert_eq!(impostor.url, world.service.url);
    run(machine.backup_command(&source)).refused(&["certificate"]);
    machine.run(&["points"]).refused(&["certificate"]);
    let target = world.path("target");
    run(machine.restore_command("latest", &target)).refused(&["certificate"]);
}

#[test]
fn a_wrong_password() {
    let world = World::new();
    let wrong = world.path("wrong");
    fs::write(&wrong, "not the password\n").unwrap();
    let mut command = world.admin_command(&["login", &world.service.url, "--ca"]);
    command.arg(&world.service.ca_file).arg("--password-file").arg(&wrong);
    run(command).refused(&["password"]);
    let mut stranger = world.admin_command(&["vault", "list"]);
    stranger.env("STRONGROOM_CONFIG", world.path("stranger"));
    run(stranger).refused(&["not signed in", "strongroom login"]);
}

#[test]
fn a_full_disk_for_the_scratch_folder() {
    let world = World::new();
    let state = world.path("full.state");
    let mount = Mount::tmpfs(&state, "1m");
    let machine = world.machine("full");
    assert_eq!(machine.state, state);
    let source = world.path("source");
    tree::make(&source, &mut Random::new(), &SMALL);
    fill(&state.join("filler"));
    let ended = run(machine.backup_command(&source));
    // The recovery point is safe in the vault: only the next backup suffers.
    ended.with_status(3);
    for words in ["scratch", "No space left", "the recovery point is whole"] {
        assert!(ended.stdout.contains(words), "{words:?} is not said: {ended}");
    }
    assert_eq!((ended.stderr.as_str(), machine.points().len()), ("", 1));
    assert_same(&source, &machine.restore("latest", &source, &world.path("from-full")));
    mount.remount("size=16m");
    machine.back_up(&source);
    assert_same(&source, &machine.restore("latest", &source, &world.path("target")));
}

/// Takes all the room that there is.
fn fill(file: &Path) {
    let mut bytes = vec![0; 64 << 20];
    while !bytes.is_empty() {
        use std::io::Write as _;
        let mut file = fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        let written = file.write(&bytes).unwrap_or(0);
        match written {
            0 => bytes.truncate(bytes.len() / 2),
            _ => bytes.truncate(bytes.len() - written),
        }
    }
}

#[test]
fn a_full_disk_for_the_service() {
    let folder = TempDir::with_prefix("strongroom-test-").unwrap();
    let data = folder.path().join("data");
    let mount = Mount::tmpfs(&data, "8m");
    let service = Service::start(&data);
    let world = World::with(folder, service);
    // Declared last, it is unmounted before the folder is removed.
    let mount = mount;
    let (machine, source) = backed_up(&world, &SMALL);
    let before = world.path("before");
    tree::copy(&source, &before);
    tree::make(&source, &mut Random::new(), &LARGE);
    for _ in 0..2 {
        run(machine.backup_command(&source)).refused(&["space"]);
    }
    // What was acknowledged is there.
    assert_eq!(machine.points().len(), 1);
    assert_same(
        &before,
        &machine.restore("latest", &source, &world.path("restored-before")),
    );
    mount.remount("size=64m");
    machine.back_up(&source);
    assert_eq!(machine.points().len(), 2);
    assert_same(&source, &machine.restore("latest", &source, &world.path("restored")));
    machine.run(&["verify", "latest"]).done();
    assert_eq!(world.service.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn a_full_disk_for_a_restore() {
    let world = World::new();
    let (machine, source) = backed_up(&world, &LARGE);
    let target = world.path("target");
    let mount = Mount::tmpfs(&target, "6m");
    run(machine.restore_command("latest", &target)).refused(&["no space is left", "run the same command again"]);
    mount.remount("size=64m");
    let report = run(machine.restore_command("latest", &target)).done();
    assert!(report["files_kept"].as_u64() > Some(0), "{report}");
    assert_same(&source, &restored(&target, &source));
}

#[test]
fn a_target_that_cannot_be_written_to() {
    let world = World::new();
    let (machine, source) = backed_up(&world, &SMALL);
    let target = world.path("target");
    let mount = Mount::tmpfs(&target, "6m");
    mount.remount("ro");
    run(machine.restore_command("latest", &target)).refused(&["read-only", target.to_str().unwrap()]);
    run(machine.restore_command("latest", &target.join("below"))).refused(&["read-only"]);
    let file = world.path("file");
    fs::write(&file, "x").unwrap();
    run(machine.restore_command("latest", &file)).refused(&[file.to_str().unwrap()]);
    mount.remount("rw");
    assert_same(&source, &machine.restore("latest", &source, &target));
}

/// Root without the capabilities that let it read everything is like anybody else.
fn without_privilege(command: &Command) -> Ended {
    let mut unprivileged = Command::new("setpriv");
    unprivileged
        .arg("--bounding-set=-dac_override,-dac_read_search")
        .arg(command.get_program());
    unprivileged.args(command.get_args());
    run(unprivileged)
}

#[test]
fn files_that_cannot_be_read() {
    let world = World::new();
    let (machine, source) = backed_up(&world, &SMALL);
    let (file, folder) = (source.join("closed file"), source.join("closed folder"));
    fs::write(&file, "x").unwrap();
    fs::create_dir(&folder).unwrap();
    for path in [&file, &folder] {
        fs::set_permissions(path, Permissions::from_mode(0o0)).unwrap();
    }
    let ended = without_privilege(&machine.backup_command(&source));
    ended.with_status(3);
    for path in [&file, &folder] {
        assert!(
            ended.stdout.contains(path.to_str().unwrap()),
            "{} is not named: {ended}",
            path.display()
        );
    }
    assert_eq!(machine.points().len(), 2, "the rest is safe");
    let there = machine.restore("latest", &source, &world.path("target"));
    tree::assert_same_but(&source, &there, &["closed file", "closed folder"]);
    // For people: a line for each, on the error output.
    let mut command = common::program::strongroom(["backup", "--state"]);
    command.arg(&machine.state).arg(&source);
    let ended = without_privilege(&command);
    ended
        .with_status(3)
        .said(&["strongroom: warning: ", "closed file", "closed folder"]);
}
