//! Promises that only a real file system can keep or break.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use strongroom_store::{Disk, Key, Store, StoreError};
use tempfile::TempDir;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// A small file system in memory, unmounted when dropped.
struct Mounted(TempDir);

impl Mounted {
    fn tmpfs(options: &str) -> Mounted {
        let folder = TempDir::new().unwrap();
        mount(&["-t", "tmpfs", "-o", options, "strongroom-test"], folder.path());
        Mounted(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a store in it may still be open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn mount(arguments: &[&str], folder: &Path) {
    let output = Command::new("mount").args(arguments).arg(folder).output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "this test must be allowed to mount (run it as root): {why}"
    );
}

/// Puts `size_bytes` at a time until it fails; how many fitted, and why no more.
async fn fill(disk: &Disk, size_bytes: usize) -> (usize, StoreError) {
    for n in 0..10_000 {
        let bytes = Bytes::from(vec![n as u8; size_bytes]);
        if let Err(error) = disk.put(&key(&format!("packs/{}/{n}", n % 4)), bytes).await {
            return (n, error);
        }
    }
    panic!("a small file system takes no 10,000 objects");
}

#[tokio::test]
async fn a_full_disk_is_named_and_heals() {
    for (options, size_bytes) in [("size=8m", 300_000), ("size=64m,nr_inodes=40", 10)] {
        let mounted = Mounted::tmpfs(options);
        let disk = Disk::open(mounted.path().join("store")).unwrap();
        let (fitted, error) = fill(&disk, size_bytes).await;
        assert!(fitted > 20, "{options}: {fitted}");
        let lost = key(&format!("packs/{}/{fitted}", fitted % 4));
        assert!(
            matches!(&error, StoreError::NoSpace { key } if *key == lost),
            "{options}: {error:?}"
        );
        assert!(temporary_files(mounted.path()).is_empty(), "{options}");
        assert!(
            matches!(disk.get(&lost).await, Err(StoreError::NotFound { .. })),
            "{options}"
        );
        for n in 0..fitted {
            let bytes = disk.get(&key(&format!("packs/{}/{n}", n % 4))).await.unwrap();
            assert_eq!(bytes, vec![n as u8; size_bytes], "{options}");
        }
        // Space is freed, also that of an object somebody has read: then it goes on.
        disk.get_range(&key("packs/0/0"), 0..1).await.unwrap();
        disk.delete(&key("packs/0/0")).await.unwrap();
        disk.put(&lost, Bytes::from(vec![1; size_bytes])).await.unwrap();
    }
}

fn temporary_files(mount: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(mount.join("store/tmp")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| !path.ends_with(".lock")).collect()
}

#[tokio::test]
async fn a_read_only_disk_is_named() {
    let mounted = Mounted::tmpfs("size=1m");
    let root = mounted.path().join("store");
    let disk = Disk::open(&root).unwrap();
    disk.put(&key("a"), Bytes::from_static(b"1")).await.unwrap();
    mount(&["-o", "remount,ro"], mounted.path());
    let error = disk.put(&key("b"), Bytes::new()).await.unwrap_err().to_string();
    let why = "Read-only file system (os error 30)";
    assert_eq!(error, format!("could not make a temporary file for object b: {why}"));
    let error = disk.delete(&key("a")).await.unwrap_err().to_string();
    assert_eq!(error, format!("could not delete object a: {why}"));
    drop(disk);

    let error = Disk::open(&root).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("could not write to the store in {}: {why}", root.display())
    );
    let new = mounted.path().join("new");
    let error = Disk::open(&new).unwrap_err().to_string();
    assert_eq!(error, format!("could not make the store in {}: {why}", new.display()));

    let disk = Disk::open_read_only(&root).unwrap();
    assert_eq!(disk.get(&key("a")).await.unwrap(), &b"1"[..]);
    assert_eq!(disk.list("").await.unwrap().len(), 1);
    let error = disk.put(&key("b"), Bytes::new()).await.unwrap_err().to_string();
    assert_eq!(error, "could not write object b: the store was opened for reading only");
}

#[tokio::test]
async fn opening_for_reading_changes_nothing() {
    let folder = TempDir::new().unwrap();
    Disk::open_read_only(folder.path()).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let error = Disk::open_read_only(folder.path().join("none"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("could not read the store in "), "{error}");
}

#[test]
fn leftovers_go_when_nobody_else_is_there() {
    let folder = TempDir::new().unwrap();
    let leftover = folder.path().join("tmp/1-1");
    let first = Disk::open(folder.path()).unwrap();
    fs::write(&leftover, "half").unwrap();
    // The first one may be writing it.
    let second = Disk::open(folder.path()).unwrap();
    assert!(leftover.exists());
    drop(first);
    let third = Disk::open(folder.path()).unwrap();
    assert!(leftover.exists());
    drop((second, third));
    Disk::open(folder.path()).unwrap();
    assert!(!leftover.exists());
}

#[tokio::test]
async fn a_leftover_with_our_number_is_no_obstacle() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    for number in 0..100 {
        fs::write(
            folder.path().join(format!("tmp/{}-{number}", std::process::id())),
            "old",
        )
        .unwrap();
    }
    disk.put(&key("a"), Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(disk.get(&key("a")).await.unwrap(), &b"new"[..]);
}

#[tokio::test]
async fn only_the_owner_can_look_inside() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("region/vault");
    let disk = Disk::open(&root).unwrap();
    disk.put(&key("a/b/c"), Bytes::from_static(b"1")).await.unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for made in ["", "tmp", "a", "a/b"] {
        assert_eq!(mode(root.join(made)), 0o700, "{made}");
    }
    assert_eq!(mode(folder.path().join("region")), 0o700);
    for made in ["a/b/c", "tmp/.lock"] {
        assert_eq!(mode(root.join(made)), 0o600, "{made}");
    }
}

#[tokio::test]
async fn what_is_no_object_is_not_seen() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    disk.put(&key("a/object"), Bytes::from_static(b"1")).await.unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    fs::write(folder.path().join("a/not a key"), "").unwrap();
    fs::write(folder.path().join("lost+found/1"), "").unwrap();
    symlink("/etc/passwd", folder.path().join("a/link")).unwrap();
    let fifo = Command::new("mkfifo")
        .arg(folder.path().join("a/fifo"))
        .status()
        .unwrap();
    assert!(fifo.success());
    let listed = disk.list("").await.unwrap();
    assert_eq!(
        listed.iter().map(|line| line.key.as_str()).collect::<Vec<_>>(),
        ["a/object"]
    );
    for name in ["a/link", "a/fifo"].map(key) {
        let errors = [
            disk.get(&name).await.unwrap_err(),
            disk.get_range(&name, 0..1).await.unwrap_err(),
            disk.size(&name).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
        }
    }
}

/// An open file must not hide what happened to its name.
#[tokio::test]
async fn a_file_exchanged_behind_our_back_is_noticed() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    let path = |name: &str| folder.path().join(name);
    let one_byte = |name: &'static str| {
        let disk = disk.clone();
        async move {
            disk.get_range(&key(name), 0..1)
                .await
                .map_err(|error| error.to_string())
        }
    };
    for name in ["a", "b"] {
        disk.put(&key(name), Bytes::copy_from_slice(name.as_bytes()))
            .await
            .unwrap();
        assert_eq!(one_byte(name).await.unwrap(), name.as_bytes());
    }
    fs::rename(path("a"), path("x")).unwrap();
    fs::rename(path("b"), path("a")).unwrap();
    fs::rename(path("x"), path("b")).unwrap();
    assert_eq!(one_byte("a").await.unwrap(), &b"b"[..]);
    assert_eq!(one_byte("b").await.unwrap(), &b"a"[..]);
    fs::write(path("a"), "").unwrap();
    let cut = "object a has 0 bytes, but bytes 0..1 were wanted";
    assert_eq!(one_byte("a").await.unwrap_err(), cut);
    fs::remove_file(path("b")).unwrap();
    assert_eq!(one_byte("b").await.unwrap_err(), "object b is not in the store");
}

#[tokio::test]
async fn open_files_are_bounded() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    let open = || {
        let names = fs::read_dir("/proc/self/fd").unwrap();
        let targets = names.filter_map(|name| fs::read_link(name.unwrap().path()).ok());
        targets
            .filter(|target| target.starts_with(folder.path().join("many")))
            .count()
    };
    for n in 0..200 {
        let name = key(&format!("many/{n}"));
        disk.put(&name, Bytes::from_static(b"x")).await.unwrap();
        for _ in 0..3 {
            disk.get_range(&name, 0..1).await.unwrap();
        }
    }
    assert_eq!(open(), 64);
    for n in 150..200 {
        disk.delete(&key(&format!("many/{n}"))).await.unwrap();
    }
    assert_eq!(open(), 14);
}

#[tokio::test]
async fn sizes_beyond_memory_are_read_in_parts() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    let file = fs::File::create(folder.path().join("sparse")).unwrap();
    file.set_len(1 << 40).unwrap();
    let name = key("sparse");
    assert_eq!(disk.size(&name).await.unwrap(), 1 << 40);
    let end = (1 << 40) - 2..1 << 40;
    assert_eq!(disk.get_range(&name, end).await.unwrap(), &[0, 0][..]);
}

/// An operator who removes empty folders costs one failed put at most.
#[tokio::test]
async fn a_folder_removed_behind_our_back_is_made_again() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::open(folder.path()).unwrap();
    disk.put(&key("a/b/1"), Bytes::new()).await.unwrap();
    fs::remove_dir_all(folder.path().join("a")).unwrap();
    disk.put(&key("a/b/2"), Bytes::new()).await.unwrap_err();
    disk.put(&key("a/b/2"), Bytes::new()).await.unwrap();
}
