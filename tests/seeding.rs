//! Offline seeding: the first backup travels on a disk, and what comes after it goes over the line.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::machine::Machine;
use crate::common::mount::Mount;
use crate::common::program::{Ended, run};
use crate::common::random::Random;
use crate::common::service::files_below;
use crate::common::tree::{self, Size, assert_same};
use crate::common::world::World;

const SIZE: Size = Size {
    small: 40,
    large: 4,
    large_bytes: 12 << 20,
};
const OTHER: &str = "another passphrase altogether";

struct Seeding {
    world: World,
    web: Machine,
    source: PathBuf,
    folder: PathBuf,
    random: Random,
}

impl Seeding {
    /// A machine with a source that was never backed up.
    fn new() -> Self {
        let (world, mut random) = (World::new(), Random::new());
        let web = world.machine("web");
        let source = world.path("source");
        tree::make(&source, &mut random, &SIZE);
        tree::let_age();
        let folder = world.path("seed");
        Self {
            world,
            web,
            source,
            folder,
            random,
        }
    }

    fn seed_command(&self, folder: &Path) -> Command {
        let mut command = self.web.backup_command(&self.source);
        command.arg("--seed-to").arg(folder);
        command
    }

    #[track_caller]
    fn seed(&self) -> Value {
        run(self.seed_command(&self.folder)).done()
    }

    fn import(&self, folder: &Path) -> Ended {
        self.world
            .admin(&["vault", "import-seed", folder.to_str().unwrap(), "--vault", "main"])
    }

    /// The packs of the seed, by name.
    fn packs(&self) -> Vec<PathBuf> {
        let mut packs = files_below(&self.folder.join("packs"));
        packs.sort();
        packs
    }

    /// Bytes of packs that the service was sent since it was started.
    fn bytes_received(&self) -> u64 {
        let ca = self.world.service.ca_file.to_str().unwrap();
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--cacert", ca]);
        command.arg(format!("{}/metrics", self.world.service.url));
        let ended = run(command);
        ended.with_status(0);
        let line = ended
            .stdout
            .lines()
            .find(|line| line.contains("received_bytes_total") && !line.starts_with('#'));
        let figure = line.expect("the service counts").rsplit(' ').next().unwrap();
        figure.parse::<f64>().unwrap() as u64
    }

    #[track_caller]
    fn assert_restores(&self, point: &str, what: &str) {
        let target = self.world.path(what);
        let at = self.web.restore(point, &self.source, &target);
        assert_same(&self.source, &at);
    }
}

/// Puts a file's bit over.
fn flip(file: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn name_of(pack: &Path) -> &str {
    pack.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_seed_saves_the_first_upload_and_the_next_backup_sends_what_changed() {
    let mut seeding = Seeding::new();
    let seeded = seeding.seed();
    assert_eq!(seeded["seed"], seeding.folder.to_str().unwrap());
    let point = seeded["point"].as_str().unwrap().to_owned();
    assert_eq!(seeding.bytes_received(), 0, "contents went over the line");
    assert_eq!(seeding.web.points(), Vec::<String>::new());
    // Nothing in the folder is in the clear: not even names.
    let names = tree::names_below(&seeding.source);
    let description = fs::read_to_string(seeding.folder.join("seed.json")).unwrap();
    for name in names
        .iter()
        .filter_map(|name| name.file_name())
        .map(|name| name.to_string_lossy())
    {
        assert!(
            name.len() < 6 || !description.contains(&*name),
            "{name} in {description}"
        );
    }
    // Until it was imported the machine waits.
    run(seeding.web.backup_command(&seeding.source)).refused(&["import-seed", "--forget-seed"]);

    // It is a copy of the disk that arrives.
    let arrived = seeding.world.path("arrived");
    tree::copy(&seeding.folder, &arrived);
    let imported = seeding.import(&arrived).done();
    assert_eq!(
        (imported["point"].as_str(), &imported["packs_known"]),
        (Some(&*point), &0.into())
    );
    assert_eq!(imported["packs_sent"], seeding.packs().len());
    assert_eq!(seeding.web.points(), [point.as_str()]);
    seeding.assert_restores(&point, "of the seed");
    assert_eq!(seeding.web.run(&["verify", "latest"]).done()["whole"], true);
    // Again is the same as once.
    let again = seeding.import(&arrived).done();
    assert_eq!((&again["packs_sent"], &again["point"]), (&0.into(), &imported["point"]));
    assert_eq!(seeding.web.points().len(), 1);

    let (whole, before) = (seeded["new_bytes"].as_u64().unwrap(), seeding.bytes_received());
    let file = seeding.source.join("written after the seed");
    fs::write(&file, b"a little").unwrap();
    let next = seeding.web.back_up(&seeding.source);
    let sent = seeding.bytes_received() - before;
    println!("first backup: {whole} bytes; after the seed: {sent} bytes over the line");
    assert!(sent * 100 < whole, "{sent} of {whole} bytes were sent");
    assert!(next["files_read"].as_u64().unwrap() <= 2, "{next}");
    seeding.assert_restores("latest", "after the seed");
    tree::edit(&seeding.source, &mut seeding.random);
    seeding.web.back_up(&seeding.source);
    seeding.assert_restores("latest", "and later");
}

#[test]
fn a_seed_with_one_flipped_byte_is_refused_by_its_objects_name() {
    let seeding = Seeding::new();
    seeding.seed();
    let packs = seeding.packs();
    assert!(packs.len() > 2, "{packs:?}");
    for (number, pack) in packs.iter().enumerate() {
        // Somewhere in the blobs, in the table of contents, in the last byte.
        let length = fs::metadata(pack).unwrap().len();
        let at = [length / 2, length - 60, length - 1][number % 3];
        flip(pack, at);
        let refused = seeding.import(&seeding.folder);
        refused.refused(&[name_of(pack), "damaged"]);
        flip(pack, at);
    }
    let description = seeding.folder.join("seed.json");
    let point = files_below(&seeding.folder.join("points")).remove(0);
    for file in [&point, &seeding.folder.join("objects.list")] {
        flip(file, 40);
        seeding.import(&seeding.folder).refused(&["damaged"]);
        flip(file, 40);
    }
    // What it says of itself is not what counts: the statement is, and that is signed.
    let text = fs::read_to_string(&description).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let statement = json["statement"].as_str().unwrap();
    let altered = format!("{}{}", &statement[..statement.len() - 6], "AAAAAA");
    fs::write(&description, text.replace(statement, &altered)).unwrap();
    seeding.import(&seeding.folder).refused(&["signed", "altered"]);
    assert_eq!(seeding.web.points(), Vec::<String>::new());
    fs::write(&description, text).unwrap();
    seeding.import(&seeding.folder).done();
    seeding.assert_restores("latest", "mended");
}

#[test]
fn half_a_copy_is_named_before_anything_is_sent() {
    let seeding = Seeding::new();
    seeding.seed();
    let packs = seeding.packs();
    let (missing, cut) = (&packs[0], &packs[1]);
    let kept = (fs::read(missing).unwrap(), fs::read(cut).unwrap());
    fs::remove_file(missing).unwrap();
    fs::write(cut, &kept.1[..kept.1.len() / 2]).unwrap();
    let refused = seeding.import(&seeding.folder);
    refused.refused(&[name_of(missing), "is missing", name_of(cut), "bytes instead of"]);
    assert_eq!(seeding.bytes_received(), 0);
    let description = seeding.folder.join("seed.json");
    let elsewhere = seeding.world.path("seed.json");
    fs::rename(&description, &elsewhere).unwrap();
    seeding.import(&seeding.folder).refused(&["no whole seed", "--seed-to"]);
    seeding.import(&seeding.world.path("nowhere")).refused(&["nowhere"]);
    fs::rename(&elsewhere, &description).unwrap();
    fs::write(missing, kept.0).unwrap();
    fs::write(cut, kept.1).unwrap();
    seeding.import(&seeding.folder).done();
    seeding.assert_restores("latest", "copied again");
}

#[test]
fn a_seed_of_another_vault_key_or_past_is_refused() {
    let seeding = Seeding::new();
    let world = &seeding.world;
    seeding.seed();
    world.admin(&["vault", "create", "second"]).done();
    let seed = seeding.folder.to_str().unwrap();
    world
        .admin(&["vault", "import-seed", seed, "--vault", "second"])
        .refused(&["another vault than second"]);
    // Who may only look may not import.
    world.person("reader");
    let assign = ["role", "assign", "backup-reader", "--to", "reader"];
    world.admin(&assign).done();
    let refused = world.run_as("reader", &["vault", "import-seed", seed, "--vault", "main"]);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    // A second seed, or anything else, is not written over.
    run(seeding.seed_command(&seeding.folder)).refused(&["import"]);
    seeding
        .web
        .run(&["backup", "--forget-seed", seeding.source.to_str().unwrap()])
        .done();
    run(seeding.seed_command(&seeding.folder)).refused(&["holds a seed already"]);
    run(seeding.seed_command(&seeding.source)).refused(&["is not empty"]);
    // A backup over the line came first.
    seeding.import(&seeding.folder).refused(&["came after this seed"]);

    // Made with another key set than the machine has now.
    let db = world.machine_with("db", OTHER);
    let folder = world.path("seed of db");
    let mut command = db.backup_command(&seeding.source);
    run({
        command.arg("--seed-to").arg(&folder);
        command
    })
    .done();
    let mut register = db.command(&["agent", "register", "--again", "--name", "db", "--credentials"]);
    register.arg(world.credentials()).arg("--passphrase-file");
    register.arg(world.passphrase_file("third", "a third passphrase of db"));
    run(register).done();
    seeding.import(&folder).refused(&["registered again"]);
}

/// Its folder may lie in what is backed up, and is left out then.
#[test]
fn a_seed_does_not_hold_itself() {
    let seeding = Seeding::new();
    let folder = seeding.source.join("a [disk] of *mine*");
    run(seeding.seed_command(&folder)).done();
    seeding.import(&folder).done();
    fs::rename(&folder, &seeding.folder).unwrap();
    let target = seeding.world.path("target");
    let at = seeding.web.restore("latest", &seeding.source, &target);
    assert_eq!(tree::names_below(&at), tree::names_below(&seeding.source));
}

#[test]
fn a_full_seed_disk_ends_cleanly_and_the_same_command_goes_on() {
    let seeding = Seeding::new();
    let disk = Mount::tmpfs(&seeding.folder, "20m");
    let command = || seeding.seed_command(&seeding.folder);
    run(command()).refused(&["the seed's disk is full", "goes on"]);
    assert!(!seeding.folder.join("seed.json").exists());
    let written: u64 = seeding
        .packs()
        .iter()
        .map(|pack| fs::metadata(pack).unwrap().len())
        .sum();
    assert!(written > 8 << 20, "{written}");
    let before = seeding.packs();
    seeding.import(&seeding.folder).refused(&["no whole seed"]);
    disk.remount("size=200m");
    let seeded = run(command()).done();
    // What was written is not written again.
    let all: u64 = seeding
        .packs()
        .iter()
        .map(|pack| fs::metadata(pack).unwrap().len())
        .sum();
    assert!(before.iter().all(|pack| pack.exists()));
    assert!(
        seeded["new_bytes"].as_u64().unwrap() + written <= all + (1 << 20),
        "{seeded}: {written} of {all}"
    );
    seeding.import(&seeding.folder).done();
    seeding.assert_restores("latest", "from the full disk");
}

#[test]
fn an_import_that_was_cut_off_goes_on_where_it_was() {
    let seeding = Seeding::new();
    seeding.seed();
    // The last pack is damaged: what came before it is taken in.
    let packs = seeding.packs();
    let last = packs.last().unwrap();
    flip(last, 100);
    seeding.import(&seeding.folder).refused(&[name_of(last)]);
    assert!(seeding.bytes_received() > 0);
    flip(last, 100);
    let imported = seeding.import(&seeding.folder).done();
    assert_eq!(
        (&imported["packs_sent"], &imported["packs_known"]),
        (&1.into(), &(packs.len() - 1).into())
    );
    seeding.assert_restores("latest", "went on");
}
