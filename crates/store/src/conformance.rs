//! The contract of [`Store`] as a test: every store passes [`check`], whatever it is made of.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::sim::Rng;
use crate::{Key, Listed, SEGMENT_BYTES_MAX, Store, StoreError};

/// A store as the tests know it.
pub type Tested = Arc<dyn Store>;

/// Tries every case on an empty store of its own; panics where the contract is broken. `fresh` makes a new
/// store each time. Runs best on several threads, where "concurrent" means something.
pub async fn check<F: Future<Output = Tested>>(fresh: impl Fn() -> F) {
    put_and_get(fresh().await).await;
    odd_names(fresh().await).await;
    ranges(fresh().await).await;
    missing_objects_are_named(fresh().await).await;
    overwriting_is_atomic(fresh().await).await;
    concurrent_twins(fresh().await).await;
    concurrent_neighbours(fresh().await).await;
    listing(fresh().await).await;
    listing_what_changes(fresh().await).await;
    deleting(fresh().await).await;
    folders_are_no_objects(fresh().await).await;
    a_clash_does_no_harm(fresh().await).await;
    a_large_object(fresh().await).await;
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn put(store: &Tested, name: &str, bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    store.put(&key(name), bytes).await.unwrap();
}

async fn names(store: &Tested, prefix: &str) -> Vec<String> {
    let listed = store.list(prefix).await.unwrap();
    (listed.iter()).map(|line| line.key.to_string()).collect()
}

async fn put_and_get(store: Tested) {
    for (name, bytes) in [("empty", &b""[..]), ("a/one", b"1"), ("a/b/c/deep", &[7; 70_000])] {
        put(&store, name, bytes).await;
        put(&store, name, bytes).await;
        assert_eq!(store.get(&key(name)).await.unwrap(), bytes, "{name}");
        assert_eq!(store.size(&key(name)).await.unwrap(), bytes.len() as u64, "{name}");
    }
}

async fn odd_names(store: Tested) {
    let long = "x".repeat(SEGMENT_BYTES_MAX);
    let longest = format!("{}/{}", "y".repeat(SEGMENT_BYTES_MAX), "z".repeat(SEGMENT_BYTES_MAX));
    let mut all = vec!["-rf", "--", "...", ".x", "_", "0", "A", "a", "b/tmp/c", ".lock", "x..y"];
    all.extend([long.as_str(), longest.as_str()]);
    let deepest = vec!["d"; 256].join("/");
    all.push(&deepest);
    for name in &all {
        put(&store, name, name.as_bytes()).await;
    }
    for name in &all {
        assert_eq!(store.get(&key(name)).await.unwrap(), name.as_bytes(), "{name}");
    }
    all.sort_unstable();
    assert_eq!(names(&store, "").await, all);
}

async fn ranges(store: Tested) {
    let bytes = Rng::new(1).bytes(10_000);
    put(&store, "r", &bytes).await;
    let name = key("r");
    let inside = [
        0..1,
        0..10_000,
        9_999..10_000,
        4_000..8_192,
        0..0,
        77..77,
        10_000..10_000,
    ];
    for range in inside.clone() {
        let expected = &bytes[range.start as usize..range.end as usize];
        assert_eq!(
            store.get_range(&name, range.clone()).await.unwrap(),
            expected,
            "{range:?}"
        );
    }
    let together = store.get_ranges(&name, &inside).await.unwrap();
    for (range, found) in inside.iter().zip(&together) {
        assert_eq!(found, &bytes[range.start as usize..range.end as usize], "{range:?}");
    }
    assert_eq!(together.len(), inside.len());
    assert!(store.get_ranges(&name, &[]).await.unwrap().is_empty());
    #[allow(clippy::reversed_empty_ranges)]
    let outside = [9_999..10_001, 10_001..10_001, 0..u64::MAX, u64::MAX..u64::MAX, 5..4];
    for range in outside {
        check_truncated(store.get_range(&name, range.clone()).await, &range);
        check_truncated(store.get_ranges(&name, &[0..5, range.clone()]).await, &range);
    }
}

fn check_truncated<T: std::fmt::Debug>(found: Result<T, StoreError>, wanted: &Range<u64>) {
    match found.unwrap_err() {
        StoreError::Truncated { key, range, size } => {
            assert_eq!((key.as_str(), &range, size), ("r", wanted, 10_000));
        }
        other => panic!("{wanted:?}: {other:?}"),
    }
}

async fn missing_objects_are_named(store: Tested) {
    put(&store, "there/is", b"something").await;
    // Also one whose folder is missing, and one whose folder is an object.
    for name in ["not", "there/not", "not/there/at/all", "there/is/not"] {
        let name = key(name);
        check_missing(store.get(&name).await, &name);
        check_missing(store.get_range(&name, 0..0).await, &name);
        check_missing(store.get_ranges(&name, std::slice::from_ref(&(0..1))).await, &name);
        check_missing(store.size(&name).await, &name);
    }
}

fn check_missing<T: std::fmt::Debug>(found: Result<T, StoreError>, name: &Key) {
    let error = found.unwrap_err();
    assert!(
        matches!(&error, StoreError::NotFound { key } if key == name),
        "{error:?}"
    );
    assert!(error.to_string().contains(name.as_str()), "{error}");
}

/// The n-th version of an object: a length and a byte of its own, so that a mixture cannot hide.
fn version(n: u8) -> Bytes {
    vec![n; 50_000 + 1_000 * usize::from(n)].into()
}

fn assert_is_a_version(bytes: &Bytes) {
    let n = *bytes.first().expect("no version is empty");
    assert!(*bytes == version(n), "{} bytes of version {n} and others", bytes.len());
}

async fn overwriting_is_atomic(store: Tested) {
    let name = key("over/written");
    store.put(&name, version(0)).await.unwrap();
    let mut tasks = JoinSet::new();
    for reader in 0..3 {
        let (store, name) = (Arc::clone(&store), name.clone());
        tasks.spawn(async move {
            for _ in 0..60 {
                if reader == 0 {
                    // A range that every version has is one version's, too.
                    let bytes = store.get_range(&name, 100..50_000).await.unwrap();
                    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                } else {
                    assert_is_a_version(&store.get(&name).await.unwrap());
                }
            }
        });
    }
    for n in 1..20 {
        store.put(&name, version(n)).await.unwrap();
        assert!(
            store.get(&name).await.unwrap() == version(n),
            "an acknowledged version is seen"
        );
    }
    tasks.join_all().await;
}

async fn concurrent_twins(store: Tested) {
    for (name, are_equal) in [("twins/equal", true), ("twins/different", false)] {
        let mut tasks = JoinSet::new();
        for n in 0..12 {
            let store = Arc::clone(&store);
            let bytes = version(if are_equal { 7 } else { n });
            tasks.spawn(async move { store.put(&key(name), bytes).await });
        }
        tasks.join_all().await.into_iter().for_each(Result::unwrap);
        assert_is_a_version(&store.get(&key(name)).await.unwrap());
    }
    assert_eq!(names(&store, "twins").await, ["twins/different", "twins/equal"]);
}

/// Many puts into folders that do not exist yet, at once.
async fn concurrent_neighbours(store: Tested) {
    let mut tasks = JoinSet::new();
    for n in 0..64_u8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let name = format!("new/{}/{}/{n}", n % 3, n % 5);
            put(&store, &name, &[n]).await;
            assert_eq!(store.get(&key(&name)).await.unwrap(), [n].as_slice());
        });
    }
    tasks.join_all().await;
    assert_eq!(store.list("new").await.unwrap().len(), 64);
}

async fn listing(store: Tested) {
    assert!(store.list("").await.unwrap().is_empty());
    let all = [
        "a",
        "packs-old",
        "packs.d/x",
        "packs/aa/1",
        "packs/aa/2",
        "packs/ab/1",
        "packs/b",
        "z/z/z",
    ];
    for name in all.iter().rev() {
        put(&store, name, name.as_bytes()).await;
    }
    for (prefix, expected) in [
        ("", &all[..]),
        ("packs", &all[3..7]),
        ("packs/", &all[3..7]),
        ("packs/aa", &all[3..5]),
        ("packs/aa/", &all[3..5]),
        ("z", &all[7..]),
        ("pack", &[]),
        ("packs/a", &[]),
        ("a", &[]),
        ("a/b", &[]),
        ("nothing/here", &[]),
    ] {
        assert_eq!(names(&store, prefix).await, expected, "{prefix:?}");
    }
    let line = store.list("z").await.unwrap();
    assert_eq!(
        line,
        [Listed {
            key: key("z/z/z"),
            size: 5
        }]
    );
    for illegal in ["/", "..", "a/../..", "packs//", "tmp"] {
        let error = store.list(illegal).await.unwrap_err();
        assert!(matches!(error, StoreError::Prefix(_)), "{illegal:?}: {error:?}");
    }
}

/// What is there all the while is listed, once, while others come and go.
async fn listing_what_changes(store: Tested) {
    for n in 0..20 {
        put(&store, &format!("l/stays-{n:02}"), b"").await;
    }
    let busy = Arc::clone(&store);
    let changes = tokio::spawn(async move {
        for n in 0..30 {
            put(&busy, &format!("l/goes-{n}"), b"").await;
            put(&busy, "l/stays-07", &[n]).await;
            busy.delete(&key(&format!("l/goes-{n}"))).await.unwrap();
        }
    });
    while !changes.is_finished() {
        let listed = names(&store, "l").await;
        assert!(listed.is_sorted_by(|one, next| one < next), "{listed:?}");
        let stayed = listed.iter().filter(|name| name.contains("stays"));
        assert_eq!(stayed.count(), 20);
        tokio::task::yield_now().await;
    }
    changes.await.unwrap();
}

async fn deleting(store: Tested) {
    put(&store, "d/1", b"1").await;
    put(&store, "d/2", b"2").await;
    for _ in 0..2 {
        store.delete(&key("d/1")).await.unwrap();
        check_missing(store.get(&key("d/1")).await, &key("d/1"));
        assert_eq!(names(&store, "").await, ["d/2"]);
    }
    store.delete(&key("never/was")).await.unwrap();
    // Read before, so that nothing keeps an old file; then a new life under the same name.
    assert_eq!(store.get_range(&key("d/2"), 0..1).await.unwrap(), &b"2"[..]);
    store.delete(&key("d/2")).await.unwrap();
    check_missing(store.get_range(&key("d/2"), 0..1).await, &key("d/2"));
    put(&store, "d/2", b"new").await;
    assert_eq!(store.get_range(&key("d/2"), 0..3).await.unwrap(), &b"new"[..]);
}

async fn folders_are_no_objects(store: Tested) {
    put(&store, "f/g/h", b"").await;
    for name in [key("f"), key("f/g")] {
        check_missing(store.get(&name).await, &name);
        check_missing(store.get_range(&name, 0..0).await, &name);
        check_missing(store.size(&name).await, &name);
        store.delete(&name).await.unwrap();
    }
    store.delete(&key("f/g/h/i")).await.unwrap();
    assert_eq!(names(&store, "").await, ["f/g/h"]);
}

/// A key that is a folder of another: refused or kept, but nothing else suffers.
async fn a_clash_does_no_harm(store: Tested) {
    put(&store, "c/d", b"first").await;
    let clashes = [key("c"), key("c/d/e")];
    for clash in &clashes {
        if let Err(error) = store.put(clash, Bytes::from_static(b"second")).await {
            assert!(error.to_string().contains(clash.as_str()), "{error}");
            assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
        }
    }
    assert_eq!(store.get(&key("c/d")).await.unwrap(), &b"first"[..]);
    put(&store, "c/e", b"third").await;
}

async fn a_large_object(store: Tested) {
    let bytes = Bytes::from(Rng::new(40).bytes(40 << 20));
    store.put(&key("large"), bytes.clone()).await.unwrap();
    assert!(store.get(&key("large")).await.unwrap() == bytes);
    let end = (bytes.len() - 12) as u64..bytes.len() as u64;
    let footer = store.get_range(&key("large"), end).await.unwrap();
    assert_eq!(footer, bytes[bytes.len() - 12..]);
}
