//! What a backup and a restore promise, against a vault in memory.

#[allow(dead_code)]
mod common;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};

use common::{World, noise};
use strongroom_engine::restore::{RestoreOptions, restore};
use strongroom_engine::verify::verify;

fn a_little_of_everything(world: &World) {
    world.write("small.txt", "hello");
    world.write("empty", "");
    world.write("folder/one", noise(100_000, 1));
    world.write("folder/two", noise(300_000, 2));
    world.write("folder/large", noise(6 << 20, 3));
    world.write("folder/zeros", vec![0; 3 << 20]);
    world.write("text", "all work and no play ".repeat(50_000));
    symlink("small.txt", world.source().join("link")).unwrap();
    fs::hard_link(world.source().join("small.txt"), world.source().join("folder/hard")).unwrap();
    fs::create_dir(world.source().join("nothing in here")).unwrap();
    let sparse = fs::File::create(world.source().join("sparse")).unwrap();
    sparse.write_all_at(b"island", 40 << 20).unwrap();
    sparse.set_len(100 << 20).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restores_exactly_and_a_sparse_file_stays_sparse() {
    let world = World::new();
    a_little_of_everything(&world);
    let report = world.backup().await;
    assert!(report.issues.is_empty(), "{:?}", report.issues);
    world.check_restore(report.point).await;
    let target = tempfile::tempdir().unwrap();
    world.restore_to(report.point, target.path()).await;
    let restored = target
        .path()
        .join(world.source().strip_prefix("/").unwrap())
        .join("sparse");
    assert!(fs::metadata(restored).unwrap().blocks() * 512 < 1 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changed_reads_nothing_and_sends_nothing() {
    let world = World::new();
    a_little_of_everything(&world);
    for n in 0..3000 {
        world.write(&format!("many/{n}"), format!("number {n}"));
    }
    world.backup().await;
    let before = world.blob_count();
    let again = world.backup().await;
    assert_eq!(again.files_read, 0);
    // The folders above the source belong to other processes too: if they changed, one page and its ancestors did.
    assert!(
        world.blob_count() - before <= 3,
        "{} new blobs",
        world.blob_count() - before
    );
    world.check_restore(again.point).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recovery_point_is_a_full_one() {
    let world = World::new();
    a_little_of_everything(&world);
    let first = world.backup().await;
    let target = tempfile::tempdir().unwrap();
    let kept = target.path().join("kept");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&world.source(), &kept])
        .status();
    assert!(copied.unwrap().success());
    fs::remove_file(world.source().join("folder/large")).unwrap();
    world.write("folder/two", "now small");
    world.write("folder/added", noise(50_000, 9));
    fs::remove_dir_all(world.source().join("nothing in here")).unwrap();
    let second = world.backup().await;
    world.check_restore(second.point).await;
    let restored = tempfile::tempdir().unwrap();
    world.restore_to(first.point, restored.path()).await;
    common::compare(&kept, &restored.path().join(world.source().strip_prefix("/").unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_input_gives_equal_blobs_whatever_the_threads_do() {
    let world = World::new();
    a_little_of_everything(&world);
    for n in 0..500 {
        world.write(&format!("many/{n}"), noise(n * 37, n as u64));
    }
    world.backup().await;
    // The folders above the source belong to other processes too, so the pages that hold them may differ.
    let ids = |world: &World| {
        let held = world.vault.held.lock().unwrap();
        let mut ids: Vec<_> = held
            .blobs
            .iter()
            .map(|(id, bytes)| (bytes.starts_with(b"SRP1"), *id))
            .collect();
        ids.retain(|(is_page, _)| !is_page);
        ids
    };
    let expected = ids(&world);
    for _ in 0..3 {
        fs::remove_dir_all(world.scratch_path()).unwrap();
        *world.vault.held.lock().unwrap() = Default::default();
        world.backup().await;
        assert_eq!(ids(&world), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_folder_is_not_stored_again() {
    let world = World::new();
    for n in 0..300 {
        world.write(&format!("before/{n}"), noise(20_000, n));
    }
    world.write("before/large", noise(5 << 20, 77));
    world.backup().await;
    let sent = world.sent_bytes();
    fs::rename(world.source().join("before"), world.source().join("zz after")).unwrap();
    let moved = world.backup().await;
    assert!(
        world.sent_bytes() - sent < 100_000,
        "{} bytes for a rename",
        world.sent_bytes() - sent
    );
    world.check_restore(moved.point).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_changed_in_place_is_stored_by_blocks() {
    let world = World::new();
    world.write("disk.img", noise(32 << 20, 5));
    world.backup().await;
    let sent = world.sent_bytes();
    let image = fs::File::options()
        .write(true)
        .open(world.source().join("disk.img"))
        .unwrap();
    for n in 0..20 {
        image
            .write_all_at(&noise(4096, 100 + n), n * (1 << 20) + 12_345)
            .unwrap();
    }
    drop(image);
    let changed = world.backup().await;
    let added = world.sent_bytes() - sent;
    assert!(added < 40 * (64 << 10) + 100_000, "{added} bytes for 20 changed blocks");
    world.check_restore(changed.point).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_that_are_mostly_unused_are_made_anew() {
    let world = World::new();
    for n in 0..100 {
        world.write(&format!("f{n:03}"), noise(10_000, n));
    }
    world.backup().await;
    for n in 0..80 {
        world.write(&format!("f{n:03}"), noise(10_000, 1000 + n));
    }
    world.backup().await;
    let third = world.backup().await;
    assert_eq!(third.files_read, 20, "the survivors of the old bundle are bundled anew");
    let fourth = world.backup().await;
    assert_eq!(fourth.files_read, 0);
    world.check_restore(fourth.point).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_scratch_folder_a_machine_sends_nothing_twice() {
    let world = World::new();
    a_little_of_everything(&world);
    world.backup().await;
    world.write("folder/two", noise(300_000, 22));
    world.backup().await;
    let sent = world.sent_bytes();
    fs::remove_dir_all(world.scratch_path()).unwrap();
    let report = world.backup().await;
    assert_eq!(report.files_read, 0);
    assert!(world.sent_bytes() - sent < 8192, "{} bytes", world.sent_bytes() - sent);
    world.check_restore(report.point).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_vault_lost_is_sent_again() {
    let world = World::new();
    a_little_of_everything(&world);
    world.backup().await;
    let lost: Vec<_> = {
        let mut held = world.vault.held.lock().unwrap();
        let ids: Vec<_> = held.blobs.keys().copied().step_by(2).collect();
        ids.iter().for_each(|id| drop(held.blobs.remove(id)));
        ids
    };
    let report = world.backup().await;
    assert!(
        lost.iter()
            .any(|id| world.vault.held.lock().unwrap().blobs.contains_key(id))
    );
    world.check_restore(report.point).await;
}

/// Of a page that is lost too, nobody can tell what is missing below it.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_lost_everything_gets_everything_again() {
    let world = World::new();
    a_little_of_everything(&world);
    world.backup().await;
    world.vault.held.lock().unwrap().blobs.clear();
    let report = world.backup().await;
    world.check_restore(report.point).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_line_loses_nothing_that_was_sent() {
    let world = World::new();
    for n in 0..40 {
        world.write(&format!("f{n}"), noise(2 << 20, n));
    }
    world.vault.held.lock().unwrap().packs_max = Some(2);
    let error = world.try_backup().await.unwrap_err();
    assert!(error.to_string().contains("the line was cut"), "{error}");
    assert!(world.vault.held.lock().unwrap().points.is_empty());
    let sent = world.sent_bytes();
    world.vault.held.lock().unwrap().packs_max = None;
    let report = world.backup().await;
    assert_eq!(report.new_bytes + sent, world.sent_bytes(), "nothing is sent twice");
    world.check_restore(report.point).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_makes_no_point_and_the_next_one_goes_on() {
    let mut world = World::new();
    for n in 0..20 {
        world.write(&format!("f{n}"), noise(2 << 20, n));
    }
    world.progress.cancel();
    assert!(
        world
            .try_backup()
            .await
            .unwrap_err()
            .to_string()
            .contains("interrupted")
    );
    assert!(world.vault.held.lock().unwrap().points.is_empty());
    world.progress = Default::default();
    world.check_restore(world.backup().await.point).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_blob_is_named_and_costs_only_its_own_files() {
    let world = World::new();
    world.write("a", noise(600_000, 1));
    world.write("b", noise(3 << 20, 2));
    world.write("c", "fine");
    let report = world.backup().await;
    let largest = {
        let held = world.vault.held.lock().unwrap();
        *held.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0
    };
    world.vault.held.lock().unwrap().blobs.remove(&largest);
    let target = tempfile::tempdir().unwrap();
    let restored = world.restore_to(report.point, target.path()).await;
    assert_eq!(restored.issues.len(), 1);
    assert!(restored.issues[0].path.ends_with(b"/b") && restored.issues[0].why.contains(&largest.to_string()));
    let folder = target.path().join(world.source().strip_prefix("/").unwrap());
    assert!(folder.join("a").exists() && !folder.join("b").exists() && folder.join("c").exists());
    let verified = verify(&world.parts(), &world.open(report.point).await).await.unwrap();
    assert!(!verified.is_clean() && verified.issues.iter().all(|issue| issue.path.ends_with(b"/b")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_goes_on_where_it_was_and_mends_what_is_wrong() {
    let world = World::new();
    a_little_of_everything(&world);
    let report = world.backup().await;
    let target = tempfile::tempdir().unwrap();
    let folder = target.path().join(world.source().strip_prefix("/").unwrap());
    world.restore_to(report.point, target.path()).await;
    fs::remove_file(folder.join("folder/one")).unwrap();
    let wrong = fs::File::options().write(true).open(folder.join("folder/two")).unwrap();
    let time = wrong.metadata().unwrap().modified().unwrap();
    wrong.write_all_at(b"x", 1000).unwrap();
    wrong.set_modified(time).unwrap();
    fs::write(folder.join("text"), "cut off").unwrap();
    let again = world.restore_to(report.point, target.path()).await;
    assert!(again.issues.is_empty(), "{:?}", again.issues);
    assert!(again.files_kept >= 5, "{}", again.files_kept);
    common::compare(&world.source(), &folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_link_is_restored_without_its_first_name() {
    let world = World::new();
    world.write("a/first", noise(700_000, 1));
    fs::create_dir(world.source().join("b")).unwrap();
    for name in ["b/second", "b/third"] {
        fs::hard_link(world.source().join("a/first"), world.source().join(name)).unwrap();
    }
    let report = world.backup().await;
    let target = tempfile::tempdir().unwrap();
    let folder = world.source().strip_prefix("/").unwrap().join("b");
    let mut options = RestoreOptions::to(target.path());
    options.picked.paths = vec![folder.as_os_str().as_bytes().to_vec()];
    let restored = restore(&world.parts(), &world.open(report.point).await, &options)
        .await
        .unwrap();
    assert!(restored.issues.is_empty(), "{:?}", restored.issues);
    common::compare(&world.source().join("b"), &target.path().join(folder));
}
