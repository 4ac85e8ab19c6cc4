//! The loop that the whole project uses, on the smallest work there is: objects and an imagined database,
//! stopped at every step, then restarted and checked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use strongroom_store::sim::{Event, Fact, Failure, Fault, Rng, Sim, Steps, Stop, check_order};
use strongroom_store::{Key, Store, StoreError};

const VARIANTS: u64 = 16;

/// A database of one table: object → its bytes, as they were promised.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<BTreeMap<Key, Bytes>>>);

impl Rows {
    fn insert(&self, steps: &Steps, key: &Key, bytes: &Bytes) -> Result<(), Stop> {
        steps.database("insert")?;
        self.0.lock().unwrap().insert(key.clone(), bytes.clone());
        steps.starts(Fact::Row(key.to_string()));
        Ok(())
    }

    fn remove(&self, steps: &Steps, key: &Key) -> Result<(), Stop> {
        steps.database("remove")?;
        steps.ends(Fact::Row(key.to_string()));
        self.0.lock().unwrap().remove(key);
        Ok(())
    }

    fn all(&self) -> BTreeMap<Key, Bytes> {
        self.0.lock().unwrap().clone()
    }
}

/// A row stands on its object, an acknowledgement on its row.
fn needs(fact: &Fact) -> Vec<Fact> {
    match fact {
        Fact::Object(_) => vec![],
        Fact::Row(name) => vec![Fact::Object(Key::new(name).unwrap())],
        Fact::Told(name) => vec![Fact::Row(name.clone())],
    }
}

fn object(n: u8) -> (Key, Bytes) {
    let key = Key::new(&format!("packs/{}/{n}", n % 2)).unwrap();
    (key, vec![n + 1; 20 + usize::from(n)].into())
}

#[derive(Debug)]
enum Failed {
    Store(#[allow(dead_code)] StoreError),
    Rows(#[allow(dead_code)] Stop),
}

/// First the object, then its row, then the word that it is kept.
async fn keep(sim: &Sim, rows: &Rows, n: u8) -> Result<(), Failed> {
    let (key, bytes) = object(n);
    sim.put(&key, bytes.clone()).await.map_err(Failed::Store)?;
    rows.insert(sim.steps(), &key, &bytes).map_err(Failed::Rows)?;
    sim.steps().starts(Fact::Told(key.to_string()));
    Ok(())
}

/// Three keep at once; then one object is given up: first its row, then itself.
async fn work(sim: &Sim, rows: &Rows) -> Result<(), Failed> {
    for n in [0, 3] {
        let (one, two, three) = tokio::join!(keep(sim, rows, n), keep(sim, rows, n + 1), keep(sim, rows, n + 2));
        one.and(two).and(three)?;
    }
    let (key, _) = object(1);
    rows.remove(sim.steps(), &key).map_err(Failed::Rows)?;
    sim.delete(&key).await.map_err(Failed::Store)
}

/// Every row's object is there, whole.
async fn check(sim: &Sim, rows: &Rows, context: &str) {
    for (key, bytes) in rows.all() {
        assert_eq!(sim.get(&key).await.unwrap(), bytes, "{context}: {key}");
    }
    for key in sim.keys() {
        let is_whole = (0..6).any(|n| object(n) == (key.clone(), sim.peek(&key).unwrap()));
        assert!(is_whole, "{context}: {key} is torn");
    }
    check_order(&sim.steps().events(), needs).unwrap();
}

/// Does the work with one fault; whether the fault came.
async fn run_with(fault: Fault, rows: &Rows) -> (Sim, bool) {
    let steps = Steps::with([fault]);
    let sim = Sim::new(7, steps.clone());
    let done = work(&sim, rows).await;
    check_order(&steps.events(), needs).unwrap();
    assert!(done.is_ok() || steps.fired() > 0, "{done:?}");
    (sim, steps.fired() > 0)
}

#[tokio::test]
async fn a_stop_at_any_step_loses_nothing_that_was_promised() {
    let mut states = 0;
    for n in 1.. {
        let rows = Rows::default();
        let (sim, has_fired) = run_with(Fault::stop_at(n), &rows).await;
        if !has_fired {
            assert_eq!((n, sim.steps().taken()), (15, 14), "all steps were tried");
            break;
        }
        assert!(matches!(sim.get(&object(0).0).await, Err(StoreError::Crashed)));
        for seed in 0..VARIANTS {
            let after = sim.crash(seed, Steps::new());
            check(&after, &rows, &format!("stop at {n}, seed {seed}")).await;
            states += 1;
        }
    }
    assert_eq!(states, 14 * VARIANTS);
}

#[tokio::test]
async fn a_second_stop_while_recovering_loses_nothing_either() {
    for first in 1..15 {
        for second in 1.. {
            let rows = Rows::default();
            let (sim, _) = run_with(Fault::stop_at(first), &rows).await;
            let restarted = sim.crash(first * 100 + second, Steps::with([Fault::stop_at(second)]));
            let rows = Rows(Arc::new(Mutex::new(rows.all())));
            for key in rows.all().keys() {
                restarted.steps().starts(Fact::Row(key.to_string()));
            }
            let _ = work(&restarted, &rows).await;
            check_order(&restarted.steps().events(), needs).unwrap();
            let has_fired = restarted.steps().fired() > 0;
            let after = restarted.crash(second, Steps::new());
            check(&after, &rows, &format!("stops at {first}, {second}")).await;
            if !has_fired {
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_error_at_any_step_harms_nothing_and_goes_away() {
    for failure in [Failure::NoSpace, Failure::Io] {
        for is_lasting in [false, true] {
            for n in 1.. {
                let rows = Rows::default();
                let fault = match is_lasting {
                    true => Fault::always_from(n, failure),
                    false => Fault::once(n, failure),
                };
                let context = format!("{fault:?}");
                let (sim, _) = run_with(fault, &rows).await;
                if sim.steps().taken() < n {
                    break;
                }
                sim.steps().heal();
                check(&sim, &rows, &context).await;
                check(&sim.crash(n, Steps::new()), &rows, &context).await;
            }
        }
    }
}

/// What one seed leaves: names and sizes, and what lies under temporary names.
fn left(sim: &Sim) -> Vec<(String, Option<Bytes>)> {
    let objects = sim.keys().into_iter().map(|key| (key.to_string(), sim.peek(&key)));
    let leftovers = sim
        .leftovers()
        .into_iter()
        .map(|bytes| ("leftover".to_owned(), Some(bytes)));
    objects.chain(leftovers).collect()
}

#[tokio::test]
async fn a_seed_is_one_exact_world() {
    let mut logs: Vec<(Vec<Event>, Vec<_>)> = Vec::new();
    for _ in 0..2 {
        let (sim, _) = run_with(Fault::stop_at(5), &Rows::default()).await;
        let worlds = (0..64).map(|seed| left(&sim.crash(seed, Steps::new())));
        logs.push((sim.steps().events(), worlds.collect()));
    }
    assert_eq!(logs[0], logs[1]);
    let mut worlds = logs.remove(0).1;
    worlds.sort();
    worlds.dedup();
    assert!(worlds.len() > 4, "seeds differ: {worlds:?}");
    let is_leftover = |(name, _): &(String, _)| name == "leftover";
    assert!(
        worlds.iter().flatten().any(is_leftover),
        "some puts leave a beginning behind"
    );
}

#[tokio::test]
async fn a_put_or_delete_that_is_cut_may_have_happened() {
    let (key, bytes) = object(0);
    let put = Sim::new(0, Steps::with([Fault::stop_at(1)]));
    assert!(matches!(put.put(&key, bytes.clone()).await, Err(StoreError::Crashed)));
    let deleted = Sim::new(0, Steps::with([Fault::stop_at(2)]));
    deleted.put(&key, bytes.clone()).await.unwrap();
    assert!(matches!(deleted.delete(&key).await, Err(StoreError::Crashed)));
    for sim in [put, deleted] {
        let survives = |seed: &u64| sim.crash(*seed, Steps::new()).peek(&key).is_some();
        let survived = (0..64).filter(survives).count();
        assert!((10..54).contains(&survived), "{survived} of 64");
    }
}

#[tokio::test]
async fn a_put_or_delete_that_fails_may_have_happened() {
    let (key, bytes) = object(0);
    let (mut put, mut deleted) = ([0; 2], [0; 2]);
    for seed in 0..64 {
        let sim = Sim::new(seed, Steps::with([Fault::once(1, Failure::Io)]));
        assert!(matches!(sim.put(&key, bytes.clone()).await, Err(StoreError::Io { .. })));
        put[usize::from(sim.peek(&key).is_some())] += 1;

        let sim = Sim::new(seed, Steps::with([Fault::once(2, Failure::Io)]));
        sim.put(&key, bytes.clone()).await.unwrap();
        assert!(matches!(sim.delete(&key).await, Err(StoreError::Io { .. })));
        deleted[usize::from(sim.peek(&key).is_none())] += 1;

        let sim = Sim::new(seed, Steps::with([Fault::once(1, Failure::NoSpace)]));
        assert!(matches!(
            sim.put(&key, bytes.clone()).await,
            Err(StoreError::NoSpace { .. })
        ));
        assert_eq!(sim.peek(&key), None);
    }
    assert!(
        put.iter().chain(&deleted).all(|count| *count > 10),
        "{put:?} {deleted:?}"
    );
}

#[tokio::test]
async fn a_lying_disk_hurts_and_says_what() {
    let rows = Rows::default();
    let (sim, _) = run_with(Fault::stop_at(1_000), &rows).await;
    let mut ways = [0; 3];
    for seed in 0..256 {
        let (after, hurt) = sim.crash_lying(seed, Steps::new());
        for (key, bytes) in rows.all() {
            let found = after.get(&key).await.ok();
            assert_eq!(
                hurt.contains(&key),
                found.as_ref() != Some(&bytes),
                "seed {seed}: {key}"
            );
            match found {
                None => ways[0] += 1,
                Some(found) if found.len() < bytes.len() => ways[1] += 1,
                Some(found) if found != bytes => ways[2] += 1,
                Some(_) => {}
            }
        }
    }
    assert!(ways.iter().all(|count| *count > 20), "gone, cut and zeroed: {ways:?}");
}

#[tokio::test]
async fn damage_is_done_exactly() {
    let sim = Sim::new(0, Steps::new());
    let (one, other) = (Key::new("1").unwrap(), Key::new("2").unwrap());
    sim.replace(&one, Bytes::from_static(b"abc"));
    sim.replace(&other, Bytes::from_static(b"xyz"));
    sim.flip_bit(&one, 8);
    assert_eq!(sim.get(&one).await.unwrap(), &b"acc"[..]);
    sim.swap(&one, &other);
    assert_eq!(sim.get(&other).await.unwrap(), &b"acc"[..]);
    sim.truncate(&one, 1);
    let cut = sim.get_range(&one, 1..3).await.unwrap_err();
    assert_eq!(cut.to_string(), "object 1 has 1 bytes, but bytes 1..3 were wanted");
    sim.remove(&other);
    assert_eq!(sim.keys(), [one]);
    assert_eq!(
        sim.get(&other).await.unwrap_err().to_string(),
        "object 2 is not in the store"
    );
}

/// A dropped put is one of those that happened or did not.
#[tokio::test]
async fn a_dropped_put_is_whole_or_nothing() {
    let (key, bytes) = object(2);
    for polls in 1..3 {
        let sim = Sim::new(0, Steps::new());
        let mut put = Box::pin(sim.put(&key, bytes.clone()));
        for _ in 0..polls {
            assert!(poll_once(put.as_mut()).await.is_none());
        }
        drop(put);
        let mut rng = Rng::new(polls);
        for _ in 0..8 {
            let after = sim.crash(rng.next_u64(), Steps::new());
            assert!(after.peek(&key).is_none_or(|found| found == bytes));
        }
    }
}

/// Polls once; `None` while it is pending.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// What the watcher says of a log in which object and row come and go in this order.
async fn watch(order: &str) -> Option<Fact> {
    let (key, bytes) = object(0);
    let sim = Sim::new(0, Steps::new());
    let (steps, rows) = (sim.steps(), Rows::default());
    for act in order.split(' ') {
        match act {
            "put" => sim.put(&key, bytes.clone()).await.unwrap(),
            "insert" => rows.insert(steps, &key, &bytes).unwrap(),
            "remove" => rows.remove(steps, &key).unwrap(),
            "delete" => sim.delete(&key).await.unwrap(),
            _ => unreachable!("{act}"),
        }
    }
    check_order(&steps.events(), needs)
        .err()
        .map(|disorder| disorder.missing)
}

#[tokio::test]
async fn the_watcher_sees_every_wrong_order() {
    let missing = Some(Fact::Object(object(0).0));
    assert_eq!(watch("put insert remove delete put").await, None);
    assert_eq!(watch("insert put").await, missing);
    assert_eq!(watch("put insert delete remove").await, missing);
    assert_eq!(watch("put delete insert").await, missing);
}
