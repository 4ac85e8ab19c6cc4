//! Every store keeps the one contract, and the simulated one behaves as the real one does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use proptest::prelude::*;
use strongroom_store::conformance::{self, Tested};
use strongroom_store::sim::{Sim, Steps};
use strongroom_store::{Disk, Key, StoreError};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn disk_keeps_the_contract() {
    let root = tempfile::tempdir().unwrap();
    let count = AtomicU32::new(0);
    let fresh = || async {
        let n = count.fetch_add(1, Ordering::Relaxed);
        Arc::new(Disk::open(root.path().join(n.to_string())).unwrap()) as Tested
    };
    conformance::check(fresh).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sim_keeps_the_contract() {
    conformance::check(|| async { Arc::new(Sim::new(1, Steps::new())) as Tested }).await;
}

/// One operation of a random history over few names, so that they meet.
#[derive(Debug, Clone)]
enum Act {
    Put(Key, Vec<u8>),
    Get(Key),
    Range(Key, u64, u64),
    Size(Key),
    List(&'static str),
    Delete(Key),
}

fn any_act() -> impl Strategy<Value = Act> {
    let named = |names: &'static [&'static str]| prop::sample::select(names).prop_map(|name| Key::new(name).unwrap());
    let objects = || named(&["a/b", "a/c/d", "a-b", "d/e", "d/f"]);
    // Also folders of objects, and what would be in an object if that were a folder.
    let key = || named(&["a", "a/b", "a/b/c", "a/c", "a/c/d", "a-b", "d/e", "d/f", "x/y"]);
    prop_oneof![
        4 => (objects(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(k, b)| Act::Put(k, b)),
        2 => key().prop_map(Act::Get),
        2 => (key(), 0..45u64, 0..45u64).prop_map(|(k, from, to)| Act::Range(k, from, to)),
        1 => key().prop_map(Act::Size),
        1 => prop::sample::select(["", "a", "a/", "d", "x"].as_slice()).prop_map(Act::List),
        2 => key().prop_map(Act::Delete),
    ]
}

/// What a caller sees of an act, with the errors as callers decide by them.
async fn see(store: &Tested, act: &Act) -> String {
    let seen = match act.clone() {
        Act::Put(key, bytes) => store.put(&key, bytes.into()).await.map(|()| String::new()),
        Act::Get(key) => store.get(&key).await.map(|bytes| format!("{bytes:?}")),
        Act::Range(key, from, to) => (store.get_range(&key, from..to).await).map(|b| format!("{b:?}")),
        Act::Size(key) => store.size(&key).await.map(|size| size.to_string()),
        Act::List(prefix) => store.list(prefix).await.map(|lines| format!("{lines:?}")),
        Act::Delete(key) => store.delete(&key).await.map(|()| String::new()),
    };
    seen.unwrap_or_else(|error| match error {
        StoreError::Io { .. } => "refused".to_owned(),
        other => other.to_string(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn sim_and_disk_cannot_be_told_apart(acts in prop::collection::vec(any_act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let root = tempfile::tempdir().unwrap();
            let disk = Arc::new(Disk::open(root.path()).unwrap()) as Tested;
            let sim = Arc::new(Sim::new(0, Steps::new())) as Tested;
            for act in &acts {
                prop_assert_eq!(see(&disk, act).await, see(&sim, act).await, "{:?}", act);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn what_was_put_survives_reopening() {
    let root = tempfile::tempdir().unwrap();
    let key = Key::new("points/1/2").unwrap();
    let bytes = Bytes::from_static(b"point");
    strongroom_store::Store::put(&Disk::open(root.path()).unwrap(), &key, bytes.clone())
        .await
        .unwrap();
    let again: Tested = Arc::new(Disk::open(root.path()).unwrap());
    assert_eq!(again.get(&key).await.unwrap(), bytes);
}
