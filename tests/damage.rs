//! Any flipped byte in any object is noticed by `verify` and by `restore`, named, and costs nobody else's files.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use strongroom_format::pack::{BlobKind, FOOTER_LENGTH, Toc, parse_pack};

use crate::common::listing::Listing;
use crate::common::machine::{Machine, restored};
use crate::common::program::{Ended, run};
use crate::common::random::Random;
use crate::common::tree::{self, Size};
use crate::common::world::{PASSPHRASE, World};

const SIZE: Size = Size {
    small: 60,
    large: 4,
    large_bytes: 300 << 10,
};
/// Enough names for several pages.
const MANY: Size = Size {
    small: 1200,
    large: 1,
    large_bytes: 300 << 10,
};

/// A small vault whose objects are damaged one after the other. Its one recovery point needs all of them.
struct Victim {
    world: World,
    machine: Machine,
    source: PathBuf,
    whole: Listing,
    random: Random,
    number: u32,
}

/// A part of an object, and what it is.
struct Region {
    object: String,
    file: PathBuf,
    bytes: Range<u64>,
}

impl Victim {
    fn new(size: &Size) -> Self {
        let (world, mut random) = (World::new(), Random::new());
        let source = world.path("source");
        tree::make(&source, &mut random, size);
        let machine = world.machine("victim");
        machine.back_up(&source);
        let whole = Listing::of(&source);
        Self {
            world,
            machine,
            source,
            whole,
            random,
            number: 0,
        }
    }

    /// Regions of all objects whose key begins with this, whole.
    fn objects(&self, prefix: &str) -> Vec<Region> {
        let objects = self.world.service.objects().into_iter();
        let region = |(object, file): (String, PathBuf)| {
            let bytes = 0..fs::metadata(&file).unwrap().len();
            Region { object, file, bytes }
        };
        objects
            .filter(|(object, _)| object.starts_with(prefix))
            .map(region)
            .collect()
    }

    /// All packs, cut by `part`.
    fn packs<R: IntoIterator<Item = Range<u64>>>(&self, part: impl Fn(&Toc) -> R) -> Vec<Region> {
        let mut regions = Vec::new();
        for pack in self.objects("packs/") {
            let toc = parse_pack(&fs::read(&pack.file).unwrap()).unwrap();
            let parts = part(&toc).into_iter();
            regions.extend(parts.map(|bytes| Region {
                object: pack.object.clone(),
                file: pack.file.clone(),
                bytes,
            }));
        }
        regions
    }

    /// Flips one bit somewhere in a region, while `look` looks; returns where it was.
    fn flipped<T>(&mut self, region: &Region, look: impl FnOnce(&mut Self) -> T) -> (T, String) {
        let at = region.bytes.start + self.random.below(region.bytes.end - region.bytes.start);
        let bit = 1 << self.random.below(8);
        let flip = || {
            let mut bytes = fs::read(&region.file).unwrap();
            bytes[at as usize] ^= bit;
            fs::write(&region.file, bytes).unwrap();
        };
        flip();
        let seen = look(self);
        flip();
        (seen, format!("bit {bit:#04x} of byte {at} of {}", region.object))
    }

    fn verify(&self) -> Ended {
        self.machine.run(&["verify", "latest"])
    }

    fn restore(&mut self) -> (Ended, PathBuf) {
        self.number += 1;
        let target = self.world.path(&format!("restored-{}", self.number));
        (run(self.machine.restore_command("latest", &target)), target)
    }

    /// What the restore does not complain about is right. Returns how many names it complains about.
    fn assert_others_are_whole(&self, ended: &Ended, target: &Path, place: &str) -> usize {
        let there = restored(target, &self.source);
        let (mut named, mut stretches) = (Vec::new(), 0);
        for (path, why) in warnings(ended) {
            match names_lost(&why) {
                Some(names) => stretches += names,
                None => named.push(PathBuf::from(path)),
            }
        }
        let mut differences = self.whole.differences(&Listing::of(&there));
        differences.retain(|path| !named.contains(&self.source.join(path)));
        let wrong: Vec<_> = differences.iter().filter(|path| there.join(path).is_file()).collect();
        assert_eq!(
            wrong,
            Vec::<&PathBuf>::new(),
            "{place}: wrong without a warning: {ended}"
        );
        assert!(
            differences.len() <= stretches,
            "{place}: {differences:?} are lost without a warning: {ended}"
        );
        // Folders of the stretch are there, if something below them is not lost.
        let folders = 30;
        assert!(
            stretches >= ALL_NAMES || stretches <= differences.len() + folders,
            "{place}: {stretches} are not lost: {ended}"
        );
        named.len() + stretches
    }

    /// `verify` and `restore` both notice damage in any of these regions, `rounds` times each, and name the object.
    fn assert_noticed(mut self, regions: &[Region], rounds: usize) {
        assert!(!regions.is_empty());
        for region in regions.iter().flat_map(|region| std::iter::repeat_n(region, rounds)) {
            let ((verified, (ended, target)), place) =
                self.flipped(region, |victim| (victim.verify(), victim.restore()));
            verified.with_status(1);
            assert!(names(&verified, &region.object), "{place}: not named: {verified}");
            ended.with_status(if restored(&target, &self.source).exists() { 3 } else { 1 });
            assert!(names(&ended, &region.object), "{place}: not named: {ended}");
            let lost = self.assert_others_are_whole(&ended, &target, &place);
            println!("{place}: {lost} names were lost");
            fs::remove_dir_all(target).unwrap();
        }
        self.verify().done();
        let (ended, target) = self.restore();
        ended.done();
        self.whole.assert_is(&restored(&target, &self.source), "without damage");
    }
}

/// More than there are.
const ALL_NAMES: usize = 1 << 32;

/// Path and reason of every warning.
fn warnings(ended: &Ended) -> Vec<(String, String)> {
    let value = ended.value();
    let warnings = value["warnings"].as_array().expect("there are warnings").iter();
    let text = |warning: &Value, field: &str| warning[field].as_str().unwrap().to_owned();
    warnings
        .map(|warning| (text(warning, "path"), text(warning, "why")))
        .collect()
}

/// How many names a warning about a whole stretch of the tree speaks of.
fn names_lost(why: &str) -> Option<usize> {
    match why.split_once(" names from here on are lost")? {
        ("all", _) => Some(ALL_NAMES),
        (count, _) => count.parse().ok(),
    }
}

/// Whether an object is named anywhere in what a command printed, by its key or at least by its name.
fn names(ended: &Ended, object: &str) -> bool {
    let name = object.rsplit('/').next().expect("keys have parts");
    ended.stdout.contains(name) || ended.stderr.contains(name)
}

fn blobs(toc: &Toc, kind: BlobKind) -> Vec<Range<u64>> {
    let entries = toc.entries().iter().filter(|entry| entry.kind == kind);
    entries
        .map(|entry| entry.offset..entry.offset + u64::from(entry.length))
        .collect()
}

#[test]
fn in_a_chunk() {
    let victim = Victim::new(&SIZE);
    let regions = victim.packs(|toc| blobs(toc, BlobKind::Chunk));
    victim.assert_noticed(&regions, 4);
}

#[test]
fn in_a_page() {
    let victim = Victim::new(&MANY);
    let regions = victim.packs(|toc| blobs(toc, BlobKind::Page));
    assert!(regions.len() > 2, "one page cannot lose less than all");
    victim.assert_noticed(&regions, 2);
}

#[test]
fn in_a_table_of_contents() {
    let victim = Victim::new(&SIZE);
    let regions = victim.packs(|toc| Some(toc.blobs_length()..toc.pack_length() - FOOTER_LENGTH as u64));
    victim.assert_noticed(&regions, 6);
}

#[test]
fn in_the_footer_of_a_pack() {
    let victim = Victim::new(&SIZE);
    let regions = victim.packs(|toc| Some(toc.pack_length() - FOOTER_LENGTH as u64..toc.pack_length()));
    victim.assert_noticed(&regions, 4);
}

#[test]
fn in_the_vault_file() {
    let victim = Victim::new(&SIZE);
    let regions = victim.objects("vault.json");
    victim.assert_noticed(&regions, 12);
}

#[test]
fn in_a_key_set() {
    let victim = Victim::new(&SIZE);
    let regions = victim.objects("keys/");
    victim.assert_noticed(&regions, 16);
}

/// Without its own object a recovery point cannot be had, but the others can.
#[test]
fn in_a_recovery_point() {
    let mut victim = Victim::new(&SIZE);
    tree::edit(&victim.source, &mut victim.random);
    victim.machine.back_up(&victim.source);
    let points = victim.machine.points();
    let regions = victim.objects("points/");
    for region in regions.iter().flat_map(|region| std::iter::repeat_n(region, 12)) {
        let damaged = region.object.rsplit('/').next().expect("keys have parts").to_owned();
        let other = points
            .iter()
            .find(|point| **point != damaged)
            .expect("there are two")
            .clone();
        let (target, spared) = (victim.world.path("damaged"), victim.world.path("spared"));
        let look = |victim: &mut Victim| {
            let verified = victim.machine.run(&["verify", &damaged]);
            let ended = run(victim.machine.restore_command(&damaged, &target));
            (verified, ended, run(victim.machine.restore_command(&other, &spared)))
        };
        let ((verified, ended, other_ended), place) = victim.flipped(region, look);
        for failed in [verified, ended] {
            assert!(names(&failed, &region.object), "{place}: not named: {failed}");
            failed.refused(&["damaged"]);
        }
        other_ended.done();
        fs::remove_dir_all(spared).unwrap();
    }
    victim.verify().done();
}

/// The same without a service: `rescue` has nothing to compare with but the objects themselves.
#[test]
fn in_what_rescue_reads() {
    let mut victim = Victim::new(&SIZE);
    let store = victim.world.service.vault_folder();
    victim.world.service.stop();
    let regions = victim.objects("packs/");
    for region in regions.iter().flat_map(|region| std::iter::repeat_n(region, 10)) {
        let target = victim.world.path("rescued");
        let arguments = ["restore", "latest", "--to", target.to_str().unwrap()];
        let (ended, place) = victim.flipped(region, |victim| victim.world.rescue(&store, PASSPHRASE, &arguments));
        ended.with_status(if restored(&target, &victim.source).exists() {
            3
        } else {
            1
        });
        assert!(names(&ended, &region.object), "{place}: not named: {ended}");
        victim.assert_others_are_whole(&ended, &target, &place);
        fs::remove_dir_all(target).unwrap();
    }
}

/// The table of contents of a pack says where its blobs lie. A rescue finds them without it.
#[test]
fn rescue_reads_packs_without_their_footer() {
    let mut victim = Victim::new(&SIZE);
    let store = victim.world.service.vault_folder();
    victim.world.service.stop();
    let regions = victim.packs(|toc| Some(toc.pack_length() - FOOTER_LENGTH as u64..toc.pack_length()));
    for region in regions.iter().flat_map(|region| std::iter::repeat_n(region, 3)) {
        let target = victim.world.path("rescued");
        let arguments = ["restore", "latest", "--to", target.to_str().unwrap()];
        let (ended, place) = victim.flipped(region, |victim| victim.world.rescue(&store, PASSPHRASE, &arguments));
        ended.with_status(3);
        assert!(names(&ended, &region.object), "{place}: not named: {ended}");
        victim.whole.assert_is(&restored(&target, &victim.source), &place);
        fs::remove_dir_all(target).unwrap();
    }
}
