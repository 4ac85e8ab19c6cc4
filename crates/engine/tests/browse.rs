//! Random access to a recovery point finds what a walk through all of it finds, against a vault in memory.

#[allow(dead_code)]
mod common;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use common::{World, noise};
use strongroom_engine::browse::{Browser, Name, PointTree, Seek};
use strongroom_engine::listing::{Listed, list};
use strongroom_engine::remote::VaultReader;
use strongroom_format::entry::Kind;
use strongroom_model::PointId;

/// Enough names for three levels of pages, in folders of many sizes.
const NAMES: usize = 6000;

fn many(world: &World) {
    for n in 0..NAMES {
        world.write(&format!("wide/{:04}", n * 7919 % NAMES), format!("number {n}"));
    }
    for n in 0..300 {
        world.write(&format!("nested/{}/{}/{n}", n % 3, n % 7), "x");
    }
    // "order/a.b" comes after all below "order/a", though '.' is less than '/'.
    for path in ["order/a/x", "order/a.b/x", "order/a-b/x", "order/a b/x"] {
        world.write(path, path);
    }
    fs::create_dir(world.source().join("empty")).unwrap();
}

async fn tree(world: &World, point: PointId) -> Arc<PointTree> {
    let opened = Browser::new(world.parts(), 2).opened(&world.open(point).await);
    opened.tree().await.unwrap().clone()
}

async fn all_paths(world: &World, point: PointId) -> Vec<Vec<u8>> {
    let reader: Arc<dyn VaultReader> = world.vault.clone();
    let mut paths = Vec::new();
    let each = |listed| match listed {
        Listed::Entry(entry) => paths.push(entry.path),
        Listed::Lost(why) => panic!("{why}"),
    };
    list(&reader, &world.keys, &world.open(point).await, vec![], each)
        .await
        .unwrap();
    paths
}

/// All names below a folder, found folder by folder.
async fn below(tree: &PointTree, folder: Vec<u8>, first: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder, first)];
    while let Some((folder, mut from)) = folders.pop() {
        while let Some(name) = tree.next_in(&folder, from).await.unwrap() {
            assert!(name.path().ends_with(name.last()));
            found.push(name.path().to_owned());
            if name.is_folder() {
                folders.push((name.path().to_owned(), name.number() + 1));
            }
            from = tree.after(&name).await.unwrap();
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_is_found_by_number_by_path_and_in_its_folder() {
    let world = World::new();
    many(&world);
    let point = world.backup().await.point;
    let (tree, paths) = (tree(&world, point).await, all_paths(&world, point).await);
    assert_eq!(tree.names(), paths.len() as u64);
    for (number, path) in paths.iter().enumerate() {
        assert_eq!(tree.name(number as u64).await.unwrap().unwrap().path(), path);
        assert_eq!(tree.find(path).await.unwrap().unwrap().number(), number as u64);
        let absent = [path.as_slice(), b"\x01"].concat();
        assert!(tree.find(&absent).await.unwrap().is_none());
    }
    assert!(tree.name(paths.len() as u64).await.unwrap().is_none());
    let mut found = below(&tree, Vec::new(), 0).await;
    found.sort();
    let mut paths = paths;
    paths.sort();
    assert!(found == paths, "{} of {} names", found.len(), paths.len());
}

async fn at(tree: &PointTree, world: &World, path: &str) -> Name {
    let path = world.source().join(path);
    let stored = path.strip_prefix("/").unwrap().as_os_str().as_bytes();
    tree.find(stored).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_of_any_file_are_read() {
    let world = World::new();
    let mut image = noise(6 << 20, 4);
    image[1 << 20..3 << 20].fill(0);
    let files = [
        ("small", noise(100, 1)),
        ("empty", vec![]),
        ("large", noise(20 << 20, 2)),
        ("disk.img", image),
        ("zeros", vec![0; 3 << 20]),
    ];
    for (path, bytes) in &files {
        world.write(path, bytes);
    }
    let point = world.backup().await.point;
    let tree = tree(&world, point).await;
    for (path, bytes) in &files {
        let name = at(&tree, &world, path).await;
        assert_eq!(name.size(), bytes.len() as u64);
        for step in 0..50_u64 {
            let (offset, length) = (step * 777_777 % (bytes.len() as u64 + 1), (step * 99_991) as u32);
            let end = bytes.len().min(offset as usize + length as usize);
            let read = tree.read(&name, offset, length).await.unwrap();
            assert!(
                read == bytes[offset as usize..end],
                "{path}: {length} bytes at {offset}"
            );
        }
        assert!(tree.read(&name, bytes.len() as u64, 10).await.unwrap().is_empty());
        assert!(tree.read(&name, u64::MAX, u32::MAX).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_are_found_and_take_no_space() {
    let world = World::new();
    world.write("before", "x");
    let sparse = fs::File::create(world.source().join("sparse")).unwrap();
    sparse.write_all_at(&noise(65_536, 1), 40 << 20).unwrap();
    sparse.set_len(100 << 20).unwrap();
    let point = world.backup().await.point;
    let tree = tree(&world, point).await;
    let name = at(&tree, &world, "sparse").await;
    let seek = async |offset, what| tree.seek(&name, offset, what).await.unwrap();
    assert_eq!(seek(0, Seek::Hole).await, Some(0));
    assert_eq!(seek(0, Seek::Data).await, Some(40 << 20));
    assert_eq!(seek(40 << 20, Seek::Hole).await, Some((40 << 20) + 65_536));
    assert_eq!(seek(50 << 20, Seek::Data).await, None);
    assert_eq!(seek(100 << 20, Seek::Hole).await, None);
    assert_eq!(tree.allocated(&name).await.unwrap(), 65_536);
    let around = tree.read(&name, (40 << 20) - 10, 20).await.unwrap();
    assert_eq!(around, [&[0; 10][..], &noise(65_536, 1)[..10]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_of_a_file_lead_to_it_and_are_counted() {
    let world = World::new();
    many(&world);
    for (first, second) in [
        ("wide/0000", "nested/first"),
        ("wide/0000", "zz"),
        ("wide/0001", "wide/linked"),
    ] {
        fs::hard_link(world.source().join(first), world.source().join(second)).unwrap();
    }
    let point = world.backup().await.point;
    let tree = tree(&world, point).await;
    let mut meant = Vec::new();
    for path in ["wide/0000", "nested/first", "zz"] {
        let name = tree.meant(at(&tree, &world, path).await).await.unwrap();
        assert!(matches!(name.node().kind, Kind::File { .. }));
        meant.push(name.number());
    }
    assert!(meant.iter().all(|number| *number == meant[0]), "{meant:?}");
    let names_of = async |path| {
        let name = tree.meant(at(&tree, &world, path).await).await.unwrap();
        loop {
            match tree.names_of(&name) {
                Some(names) => return names,
                None => tokio::task::yield_now().await,
            }
        }
    };
    for (path, names) in [("zz", 3), ("wide/linked", 2), ("wide/0002", 1)] {
        assert_eq!(names_of(path).await, names, "{path}");
    }
}

/// Whatever blob is lost, what can still be read is right, and what cannot is an error.
#[tokio::test(flavor = "multi_thread")]
async fn lost_blobs_are_errors_and_are_asked_for_again() {
    let world = World::new();
    many(&world);
    world.write("large", noise(3 << 20, 1));
    let point = world.backup().await.point;
    let paths = all_paths(&world, point).await;
    let ids: Vec<_> = world.vault.held.lock().unwrap().blobs.keys().copied().collect();
    let mut failures = 0;
    for id in ids {
        let bytes = world.vault.held.lock().unwrap().blobs.remove(&id).unwrap();
        let tree = tree(&world, point).await;
        let mut failed = Vec::new();
        for path in paths
            .iter()
            .step_by(97)
            .chain(paths.iter().filter(|path| path.ends_with(b"large")))
        {
            let read = async {
                let name = tree.find(path).await?.expect("it is there");
                tree.read(&name, 0, u32::MAX).await.map(drop)
            };
            if let Err(error) = read.await {
                assert!(error.to_string().contains(&id.to_string()), "{error}");
                failed.push(path);
            }
        }
        world.vault.held.lock().unwrap().blobs.insert(id, bytes);
        for path in &failed {
            let name = tree.find(path).await.unwrap().unwrap();
            tree.read(&name, 0, u32::MAX).await.unwrap();
        }
        failures += failed.len();
    }
    assert!(failures > 10, "only {failures} failures were seen");
}
