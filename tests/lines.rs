//! Bad lines: what is cut, reset, held up or swallowed costs time, and no work that was acknowledged.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use crate::common::line::{Line, Mood};
use crate::common::machine::{Machine, restored};
use crate::common::program::{Running, wait_for};
use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same, bytes_below};
use crate::common::world::World;

/// How long nothing goes at all.
const OUTAGE: Duration = Duration::from_secs(180);

/// How long after an outage everything is done: dead connections are given up after two minutes, most of them within the
/// outage.
const AFTERWARDS: Duration = Duration::from_secs(240);

/// Some packs' worth of files that do not compress.
const SIZE: Size = Size {
    small: 50,
    large: 40,
    large_bytes: 4 << 20,
};

/// What goes beside contents, and what may be lost when an answer is cut in the middle: a pack.
const SLACK: u64 = 20 << 20;

/// What a broken answer carries that is of no use, on average at most: a part of a chunk, and what lies in the buffers of the
/// system.
const CHUNK: u64 = 2 << 20;

struct Bad {
    // First, so that nobody waits for it when the service stops.
    line: Line,
    world: World,
    machine: Machine,
    source: PathBuf,
}

impl Bad {
    fn new() -> Self {
        let (world, mut random) = (World::new(), Random::new());
        let source = world.path("source");
        tree::make(&source, &mut random, &SIZE);
        let machine = world.machine("remote");
        let line = Line::to(&world.service.listen, random);
        line.lead(&machine, &world.service.url);
        Self {
            line,
            world,
            machine,
            source,
        }
    }

    /// Lets it go over a wild line, and over none for three minutes in the middle; `gone` tells how far it is.
    fn endure(&self, running: Running, gone: impl Fn() -> u64) {
        wait_for("the first packs", || (gone() > 24 << 20).then_some(()));
        self.line.be(Mood::Black);
        sleep(OUTAGE);
        self.line.be(Mood::Wild);
        running.wait_up_to(AFTERWARDS).with_status(0);
        self.line.be(Mood::Well);
        println!("{} connections were broken", self.line.broken());
        assert!(self.line.broken() > 3, "it was not that bad");
    }
}

#[test]
fn a_backup_over_a_bad_line_ends_well_and_sends_nothing_twice() {
    let bad = Bad::new();
    bad.line.be(Mood::Wild);
    let running = Running::start(bad.machine.backup_command(&bad.source));
    bad.endure(running, || bad.line.up(|up| up.bytes()));
    let (sent, lost) = (bad.line.up(|up| up.bytes()), bad.line.unanswered());
    let stored = bytes_below(&bad.world.service.vault_folder());
    println!("{sent} bytes were sent, {stored} are stored, {lost} were not acknowledged");
    assert!(
        sent <= stored + lost + SLACK,
        "{sent} bytes were sent for {stored}, and {lost} lost"
    );
    let there = bad.machine.restore("latest", &bad.source, &bad.world.path("after"));
    assert_same(&bad.source, &there);
    assert_eq!(bad.machine.points().len(), 1);
}

#[test]
fn a_restore_over_a_bad_line_ends_well_and_fetches_nothing_twice() {
    let bad = Bad::new();
    bad.machine.back_up(&bad.source);
    let stored = bytes_below(&bad.world.service.vault_folder());
    let target = bad.world.path("target");
    let before = bad.line.down(|down| down.bytes());
    let fetched = || bad.line.down(|down| down.bytes()) - before;
    bad.line.be(Mood::Wild);
    let running = Running::start(bad.machine.restore_command("latest", &target));
    bad.endure(running, fetched);
    let (fetched, broken) = (fetched(), bad.line.broken());
    println!("{fetched} bytes came, {stored} are stored");
    assert!(
        fetched <= stored + stored / 20 + broken * CHUNK,
        "{fetched} bytes came for {stored}, on {broken} broken connections"
    );
    assert_same(&bad.source, &restored(&target, &bad.source));
}
