//! `kill -9` of either side at random moments: whatever is listed restores exactly, and nothing is sent twice.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use strongroom_format::pack::parse_pack;

use crate::common::listing::Listing;
use crate::common::machine::{Machine, restored};
use crate::common::program::{Ended, Running, run, wait_for};
use crate::common::random::Random;
use crate::common::tree::{self, Size, bytes_below};
use crate::common::world::World;

const KILLS: usize = 50;
const SIZE: Size = Size {
    small: 300,
    large: 20,
    large_bytes: 1 << 20,
};

/// A machine that is killed again and again, and what each recovery point must restore to.
struct Ordeal {
    world: World,
    machine: Machine,
    source: PathBuf,
    random: Random,
    /// How long each kind of work takes here, undisturbed.
    usual: [Duration; 3],
    /// What each point may be of: the service may finish a commit after its client was killed, and so after the source has
    /// changed again.
    expected: BTreeMap<String, [Listing; 2]>,
    /// The source at the last look.
    before: Listing,
    number: usize,
    rounds: usize,
    killed: usize,
}

enum Work {
    FirstBackup,
    Incremental,
    /// Of this point.
    Restore(String),
}

impl Work {
    fn kind(&self) -> usize {
        match self {
            Work::FirstBackup => 0,
            Work::Incremental => 1,
            Work::Restore(_) => 2,
        }
    }
}

impl Ordeal {
    fn new() -> Self {
        let (world, mut random) = (World::new(), Random::new());
        let source = world.path("source");
        tree::make(&source, &mut random, &SIZE);
        let machine = world.machine("ordeal-0");
        let before = Listing::of(&source);
        let mut ordeal = Self {
            world,
            machine,
            source,
            random,
            usual: <_>::default(),
            expected: BTreeMap::new(),
            before,
            number: 0,
            rounds: 0,
            killed: 0,
        };
        ordeal.time(&Work::FirstBackup);
        ordeal.time(&Work::Incremental);
        let restore = Work::Restore(ordeal.any_point());
        ordeal.time(&restore);
        ordeal
    }

    /// Does the work undisturbed, and remembers how long it took.
    fn time(&mut self, work: &Work) {
        let running = self.start(work);
        let started = Instant::now();
        running.wait().with_status(0);
        self.usual[work.kind()] = started.elapsed();
        self.look();
    }

    /// Something to do, in random order.
    fn work(&mut self) -> Work {
        match self.random.below(3) {
            0 => Work::FirstBackup,
            1 => Work::Incremental,
            _ => Work::Restore(self.any_point()),
        }
    }

    fn start(&mut self, work: &Work) -> Running {
        self.number += 1;
        Running::start(match work {
            Work::FirstBackup => {
                // A machine that has forgotten all that it knew, and new large files for it to find.
                fs::remove_dir_all(self.machine.state.join("scratch")).ok();
                let large = self.random.below(SIZE.large);
                let bytes = self.random.bytes(SIZE.large_bytes);
                fs::write(self.source.join(format!("large-{large}")), bytes).unwrap();
                self.machine.backup_command(&self.source)
            }
            Work::Incremental => {
                tree::edit(&self.source, &mut self.random);
                self.machine.backup_command(&self.source)
            }
            Work::Restore(point) => self.machine.restore_command(point, &self.target()),
        })
    }

    fn any_point(&mut self) -> String {
        let index = self.random.below(self.expected.len() as u64) as usize;
        self.expected.keys().nth(index).expect("it is below the length").clone()
    }

    fn target(&self) -> PathBuf {
        self.world.path(&format!("target-{}", self.number))
    }

    /// A moment while the work is done, most likely.
    fn moment(&mut self, work: &Work) -> Duration {
        let usual = self.usual[work.kind()].as_micros() as u64;
        Duration::from_micros(self.random.below(usual))
    }

    /// Points that appeared since the last look are of the source as it is now, or as it was then.
    fn look(&mut self) {
        let now = Listing::of(&self.source);
        let before = std::mem::replace(&mut self.before, now.clone());
        let mut new = 0;
        for point in self.machine.points() {
            self.expected.entry(point).or_insert_with(|| {
                new += 1;
                [now.clone(), before.clone()]
            });
        }
        assert!(new <= 2, "{new} points from two backups");
    }

    /// After the fault the same command must do what it could not.
    fn assert_goes_on(&mut self, work: &Work) {
        match work {
            Work::Restore(point) => {
                let target = self.target();
                run(self.machine.restore_command(point, &target)).done();
                Listing::assert_is_one_of(&self.expected[point], &restored(&target, &self.source), point);
                fs::remove_dir_all(target).unwrap();
            }
            _ => {
                let ended = run(self.machine.backup_command(&self.source));
                ended.with_status(0);
                self.look();
            }
        }
    }

    /// Every listed point restores exactly, and nothing lies about.
    fn assert_is_whole(&mut self) {
        assert_eq!(self.machine.points().len(), self.expected.len());
        for (point, expected) in &self.expected {
            let target = self.world.path("whole");
            run(self.machine.restore_command(point, &target)).done();
            Listing::assert_is_one_of(expected, &restored(&target, &self.source), point);
            fs::remove_dir_all(target).unwrap();
        }
        self.machine.run(&["verify", "latest"]).done();
        assert_eq!(self.world.service.leftovers(), Vec::<PathBuf>::new());
    }

    /// Bytes of blobs that lie in more than one pack.
    fn doubled_bytes(&self) -> u64 {
        let (mut seen, mut doubled) = (HashSet::new(), 0);
        for pack in self.world.service.packs() {
            let toc = parse_pack(&fs::read(pack).unwrap()).unwrap();
            let again = toc.entries().iter().filter(|entry| !seen.insert(entry.id));
            doubled += again.map(|entry| u64::from(entry.length)).sum::<u64>();
        }
        doubled
    }

    /// Not even what was on its way when its sender was killed: of a pack, the service stores only what it lacks.
    fn assert_nothing_is_doubled(&self) {
        assert_eq!(self.doubled_bytes(), 0, "bytes are stored twice");
    }

    /// A service that is killed between a pack and its row leaves a pack that nobody knows: at most the two that are on
    /// their way.
    fn assert_little_is_doubled(&self) {
        let (doubled, most) = (self.doubled_bytes(), self.killed as u64 * SIZE.large_bytes as u64);
        assert!(
            doubled < most + bytes_below(&self.source),
            "{doubled} bytes are stored twice"
        );
    }

    /// Notes whether the kill came in time. If not, the machine has less else to do than when it was timed.
    fn note(&mut self, work: &Work, in_time: bool) {
        self.rounds += 1;
        match in_time {
            true => self.killed += 1,
            false => self.usual[work.kind()] = self.usual[work.kind()].mul_f64(0.9),
        }
    }

    /// Until as many kills came in time as are wanted, however often that has to be tried on a machine whose load changes.
    fn is_over(&self) -> bool {
        let (killed, rounds) = (self.killed, self.rounds);
        assert!(rounds < 5 * KILLS, "only {killed} of {rounds} kills came in time");
        killed == KILLS
    }
}

#[test]
fn of_the_client() {
    let mut ordeal = Ordeal::new();
    while !ordeal.is_over() {
        let work = ordeal.work();
        let running = ordeal.start(&work);
        let ended: Ended = running.kill_after(ordeal.moment(&work));
        ordeal.note(&work, ended.was_killed());
        ordeal.look();
        ordeal.assert_goes_on(&work);
    }
    ordeal.assert_is_whole();
    ordeal.assert_nothing_is_doubled();
    let scratch = ordeal.machine.state.join("scratch");
    let grown = bytes_below(&scratch) > 4 << 20;
    assert!(!grown, "the scratch folder grows: {:?}", tree::names_below(&scratch));
}

#[test]
fn of_the_server() {
    let mut ordeal = Ordeal::new();
    while !ordeal.is_over() {
        let work = ordeal.work();
        let mut running = ordeal.start(&work);
        sleep(ordeal.moment(&work));
        let in_time = !running.has_ended();
        ordeal.note(&work, in_time);
        ordeal.world.service.kill();
        ordeal.world.service.start_again();
        // The client waits for the service and goes on by itself.
        running.wait().with_status(0);
        ordeal.look();
    }
    wait_for("leftovers to go", || {
        ordeal.world.service.leftovers().is_empty().then_some(())
    });
    ordeal.assert_is_whole();
    ordeal.assert_little_is_doubled();
}
