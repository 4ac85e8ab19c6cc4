//! The machine stops at every single step of the store and the database, and every restart keeps the promises
//! (reliability families 1, 2, 3 and 12).
//!
//! Seeds are fixed and printed with every failure; `STRONGROOM_CRASH_VARIANTS` asks for more variants of each point.

mod world;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::future::join;
use strongroom_store::sim::{Failure, Fault, Sim, Steps};
use strongroom_vault::VaultError;
use world::check::check;
use world::client::{Client, Source, source};
use world::{World, run};

const SEED: u64 = 20_261_121;

fn variants() -> u64 {
    let asked = std::env::var("STRONGROOM_CRASH_VARIANTS");
    asked.map_or(16, |text| text.parse().expect("a number of variants"))
}

/// What a machine is to back up, in order: first, incremental, and the same again.
fn sources() -> Vec<Source> {
    let changed = [source(0, 6), source(100, 3)].concat();
    vec![source(0, 9), changed.clone(), changed]
}

/// The story so far, as the clients know it.
#[derive(Clone, Default)]
struct Story {
    clients: Vec<Client>,
    /// How many backups are done.
    done: usize,
}

/// Goes on with the story: whatever was cut is done again. Two machines of one key set back up in turn.
async fn go_on(world: &World, story: &mut Story) -> Result<(), VaultError> {
    for (number, name) in ["web", "mail"].into_iter().enumerate() {
        if story.clients.len() == number {
            story.clients.push(Client::register(world, name, 1).await?);
        }
    }
    for client in &mut story.clients {
        client.settle(world).await?;
        client.sent.clear();
    }
    let sources = sources();
    while story.done < sources.len() * 2 {
        let source = &sources[story.done / 2];
        story.clients[story.done % 2].backup(world, source).await?;
        story.done += 1;
    }
    for client in &story.clients {
        for point in client.points.keys() {
            let restored = client.restore(world, *point).await;
            // What a restore says is a sentence; here all that matters is that the machine stopped or it is exact.
            match restored {
                Ok(restored) => assert!(sources.contains(&restored)),
                Err(sentence) => assert!(world.steps.fired() > 0, "{sentence}"),
            }
        }
    }
    Ok(())
}

/// The same with both machines at the same time, each with all its packs at the same time, and each pack twice.
async fn go_on_at_once(world: &World, story: &mut Story) -> Result<(), VaultError> {
    for (number, name) in ["web", "mail"].into_iter().enumerate() {
        if story.clients.len() == number {
            story.clients.push(Client::register(world, name, 1).await?);
        }
    }
    for client in &mut story.clients {
        client.settle(world).await?;
        client.sent.clear();
        client.is_hasty = true;
    }
    let sources = sources();
    while story.done < sources.len() {
        let [one, two] = &mut story.clients[..] else {
            panic!("there are two machines")
        };
        let source = &sources[story.done];
        let (one, two) = join(one.backup(world, source), two.backup(world, source)).await;
        one.and(two)?;
        story.done += 1;
    }
    Ok(())
}

/// What distinguishes two disks.
fn state(sim: &Sim) -> Vec<(String, Option<Bytes>)> {
    sim.keys().iter().map(|key| (key.to_string(), sim.peek(key))).collect()
}

/// After a crash: all promises hold; the same clients go on to the end, sending nothing again that was acknowledged; and
/// then all promises hold again.
async fn recover(world: &World, mut story: Story) {
    check(world, &story.clients, &sources()).await;
    let before = story.clients.clone();
    story.clients.iter_mut().for_each(|client| client.is_hasty = false);
    go_on(world, &mut story).await.expect("nothing is in the way any more");
    for (client, before) in story.clients.iter().zip(&before) {
        let again = before.acknowledged.keys().find(|id| client.sent.contains(id));
        assert_eq!(again, None, "an acknowledged blob was sent again");
    }
    check(world, &story.clients, &sources()).await;
}

/// Runs the story with a fault at step `n`; answers the world, how far the story came, and whether it got through before.
async fn story_with(n: u64, fault: Fault, is_hasty: bool) -> (World, Story, bool) {
    let steps = Steps::with([fault]);
    let world = match is_hasty {
        false => World::new(SEED, steps).await,
        true => World::crowded(SEED, steps).await,
    };
    let mut story = Story::default();
    let ended = match is_hasty {
        false => go_on(&world, &mut story).await,
        true => go_on_at_once(&world, &mut story).await,
    };
    assert!(ended.is_ok() || world.steps.fired() > 0, "{:?}", ended.err());
    let is_untouched = world.steps.taken() < n;
    (world, story, is_untouched)
}

/// What was tried.
#[derive(Default)]
struct Tally {
    points: u64,
    states: u64,
    different: u64,
}

/// Crashes at the steps `first`, `first + stride`, …
fn crash_at_every_step(first: u64, stride: usize, is_hasty: bool) {
    let mut tally = Tally::default();
    for n in (first..).step_by(stride) {
        tally.points += 1;
        if run(crash_at(n, is_hasty, &mut tally)) {
            break;
        }
    }
    let Tally {
        points,
        states,
        different,
    } = tally;
    println!("crash points: {points}, crash states: {states}, of which different: {different}, violations: 0");
}

/// Crashes at step `n`, with all variants of what survives. Answers whether the story got through before.
async fn crash_at(n: u64, is_hasty: bool, tally: &mut Tally) -> bool {
    let (world, story, is_untouched) = story_with(n, Fault::stop_at(n), is_hasty).await;
    let mut seen = BTreeSet::new();
    for variant in 0..variants() {
        let seed = SEED ^ n << 20 ^ variant;
        tally.states += 1;
        if seen.insert(state(&world.sim.crash(seed, Steps::new()))) {
            println!("stop at {n}, seed {seed}");
            let after = world.crash(seed, Steps::new()).await;
            recover(&after, story.clone()).await;
            after.close().await;
            tally.different += 1;
        }
    }
    world.close().await;
    is_untouched
}

#[test]
fn every_crash_keeps_the_promises_odd_steps() {
    crash_at_every_step(1, 2, false);
}

#[test]
fn every_crash_keeps_the_promises_even_steps() {
    crash_at_every_step(2, 2, false);
}

#[test]
fn every_crash_keeps_the_promises_with_all_at_once() {
    crash_at_every_step(1, 5, true);
}

#[test]
fn a_crash_while_recovering_keeps_the_promises() {
    let mut pairs = 0;
    for n in (5..).step_by(31) {
        let is_untouched = run(async {
            let (world, story, is_untouched) = story_with(n, Fault::stop_at(n), false).await;
            for second in (1 + n % 7..).step_by(17) {
                let seed = SEED ^ n << 20 ^ second;
                println!("stop at {n}, then at {second}, seed {seed}");
                let after = world.crash(seed, Steps::with([Fault::stop_at(second)])).await;
                let mut story = story.clone();
                let ended = go_on(&after, &mut story).await;
                if after.steps.fired() == 0 {
                    ended.expect("nothing was in the way");
                    after.close().await;
                    break;
                }
                let last = after.crash(seed + 1, Steps::new()).await;
                recover(&last, story).await;
                last.close().await;
                after.close().await;
                pairs += 1;
            }
            world.close().await;
            is_untouched
        });
        if is_untouched {
            break;
        }
    }
    println!("crash pairs: {pairs}, violations: 0");
}

/// The step fails and the service goes on: the client is told, and tries again without a restart.
fn fail_at_every_step(failure: Failure, make: impl Fn(u64, Failure) -> Fault) {
    let mut points = 0;
    for n in (1..).step_by(3) {
        let is_untouched = run(async {
            println!("{failure:?} at {n}, seed {SEED}");
            let world = World::new(SEED, Steps::with([make(n, failure)])).await;
            let mut story = Story::default();
            let ended = go_on(&world, &mut story).await;
            let is_untouched = world.steps.taken() < n;
            if let (Err(error), Failure::NoSpace) = (&ended, failure) {
                assert!(matches!(error, VaultError::NoSpace), "{error}");
            }
            world.steps.heal();
            recover(&world, story).await;
            world.close().await;
            is_untouched
        });
        points += 1;
        if is_untouched {
            break;
        }
    }
    println!("failures tried: {points}, violations: 0");
}

#[test]
fn every_io_error_is_survived() {
    fail_at_every_step(Failure::Io, Fault::once);
}

#[test]
fn a_full_disk_is_told_and_survived() {
    fail_at_every_step(Failure::NoSpace, Fault::once);
    fail_at_every_step(Failure::NoSpace, Fault::always_from);
}
