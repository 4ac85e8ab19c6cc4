//! Thousands of disks that are almost right. Nothing may panic, go on for ever, or read without end.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use strongroom_volumes::{Disk, Kind, Volume, logical_volumes, volumes};

use crate::world::{Noise, disk, image, run_shell};

const BLOCK: u64 = 4096;
/// How many bytes one try may read: the images are small, and nobody reads more than a few hundred entries.
const READ_MAX: u64 = 4 << 30;
const LOOKED_AT_MAX: usize = 300;

/// A disk with changes laid over it, which counts what is read and remembers where.
struct Changed {
    disk: Arc<dyn Disk>,
    changes: Vec<(u64, u8)>,
    read: AtomicU64,
    places: Mutex<Option<BTreeSet<u64>>>,
}

impl Changed {
    fn new(disk: &Arc<dyn Disk>, changes: Vec<(u64, u8)>) -> Arc<Self> {
        Arc::new(Self {
            disk: Arc::clone(disk),
            changes,
            read: AtomicU64::new(0),
            places: Mutex::new(None),
        })
    }
}

impl Disk for Changed {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        assert!(
            self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed) < READ_MAX,
            "it reads without end"
        );
        self.disk.read_at(offset, buffer)?;
        if let Some(places) = &mut *self.places.lock().unwrap() {
            places.extend(offset / BLOCK..(offset + buffer.len() as u64).div_ceil(BLOCK));
        }
        for (place, byte) in &self.changes {
            if let Some(found) = place.checked_sub(offset).and_then(|at| buffer.get_mut(at as usize)) {
                *found = *byte;
            }
        }
        Ok(())
    }
}

fn look_into(volume: &Volume) -> usize {
    let Ok(file_system) = volume.open() else { return 0 };
    let _ = file_system.remarks();
    let mut buffer = vec![0; 200_000];
    let mut seen = 0;
    for entry in file_system.walk(b"/").into_iter().flatten().take(LOOKED_AT_MAX) {
        let Ok(entry) = entry else { continue };
        seen += 1;
        let Ok(facts) = &entry.entry.facts else { continue };
        match facts.kind {
            Kind::File => {
                let Ok(file) = entry.open() else { continue };
                for place in [0, 100_000, facts.size / 2, facts.size.saturating_sub(7), u64::MAX - 3] {
                    let _ = file.read_at(place, &mut buffer);
                }
            }
            Kind::Folder => {
                let mut from = None;
                for _ in 0..10 {
                    match file_system.entries(&entry.path, from) {
                        Ok(page) if page.next.is_some() => from = page.next,
                        _ => break,
                    }
                }
            }
            _ => {}
        }
    }
    seen
}

fn look(disk: Arc<dyn Disk>) -> usize {
    let Ok(mut found) = volumes(&disk) else { return 0 };
    found.extend(logical_volumes(&found).into_iter().filter_map(|one| one.volume.ok()));
    found.iter().map(look_into).sum()
}

fn plant(root: &Path) {
    let mut noise = Noise(5);
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    for number in 0..60 {
        fs::write(
            root.join(format!("a/a name long enough to need several blocks {number}")),
            "x",
        )
        .unwrap();
    }
    for size in [10, 5000, 300_000] {
        fs::write(root.join(format!("a/b/c/{size}")), noise.bytes(size)).unwrap();
    }
}

/// Tries an image with some thousand sets of changes, where its tables are.
fn attack(image: &Path, seed: u64, tries: usize) {
    let base = disk(image);
    let whole = Changed::new(&base, Vec::new());
    *whole.places.lock().unwrap() = Some(BTreeSet::new());
    assert!(look(whole.clone()) > 60, "{}", image.display());
    let places: Vec<u64> = whole.places.lock().unwrap().take().unwrap().into_iter().collect();
    // Contents are noise, and hardly a byte of them is zero. What has zeros in it and other bytes is tables.
    let mut targets = Vec::new();
    for block in places {
        let mut bytes = vec![0; (base.size() - block * BLOCK).min(BLOCK) as usize];
        base.read_at(block * BLOCK, &mut bytes).unwrap();
        let zeros = bytes.iter().filter(|byte| **byte == 0).count();
        if zeros > 200 {
            targets.extend(
                (0u64..)
                    .zip(&bytes)
                    .filter(|(_, byte)| **byte != 0)
                    .map(|(at, _)| block * BLOCK + at),
            );
        }
    }
    assert!(targets.len() > 500);
    let mut noise = Noise(seed);
    let mut slowest = Duration::ZERO;
    for turn in 0..tries {
        let changes = changes(&mut noise, &targets, &*base);
        let begun = Instant::now();
        look(Changed::new(&base, changes.clone()));
        slowest = slowest.max(begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(60), "turn {turn}: {changes:x?}");
    }
    eprintln!(
        "{}: {} places, {tries} tries, the slowest took {slowest:?}",
        image.display(),
        targets.len()
    );
}

fn changes(noise: &mut Noise, targets: &[u64], base: &dyn Disk) -> Vec<(u64, u8)> {
    let mut changes = Vec::new();
    for _ in 0..=noise.next() % 6 {
        let place = targets[(noise.next() % targets.len() as u64) as usize];
        let mut byte = [0];
        base.read_at(place, &mut byte).unwrap();
        match noise.next() % 5 {
            0 => changes.push((place, byte[0] ^ 1 << (noise.next() % 8))),
            1 => changes.extend((0..4).map(|index| (place + index, 0xff))),
            2 => changes.push((place, 0)),
            3 => changes.extend((0..8).map(|index| (place + index, noise.next() as u8))),
            _ => {
                // Something that stands elsewhere: numbers that are right in another place.
                let from = targets[(noise.next() % targets.len() as u64) as usize];
                let mut bytes = [0; 4];
                if base.read_at(from, &mut bytes).is_ok() {
                    changes.extend((0..4).map(|index| (place + index, bytes[index as usize])));
                }
            }
        }
    }
    changes
}

fn planted(make: &str, size: u64) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    plant(&source);
    let image = image(folder.path(), "image", size);
    let script = make
        .replace("IMAGE", &format!("'{}'", image.display()))
        .replace("SOURCE", &format!("'{}'", source.display()));
    run_shell(&script);
    (folder, image)
}

#[test]
fn ext4() {
    let (_folder, image) = planted("mke2fs -q -t ext4 -b 1024 -d SOURCE IMAGE", 8 << 20);
    attack(&image, 1, 3000);
    let (_folder, image) = planted("mke2fs -q -t ext4 -O inline_data,bigalloc -d SOURCE IMAGE", 16 << 20);
    attack(&image, 2, 2000);
}

#[test]
fn ext2() {
    let (_folder, image) = planted("mke2fs -q -t ext2 -b 1024 -d SOURCE IMAGE", 8 << 20);
    attack(&image, 3, 3000);
}

#[test]
fn a_journal_of_ext4() {
    let make = "mke2fs -q -t ext4 -b 1024 -d SOURCE IMAGE 16M; m=$(mktemp -d); mount -o loop IMAGE $m
        for i in 1 2 3 4 5 6; do mkdir $m/new$i; echo x > $m/new$i/x; sync $m/new$i/x; rm -r $m/new$i; mkdir $m/kept$i; sync $m/kept$i; done
        cp IMAGE IMAGE.copy; umount $m; rmdir $m; mv IMAGE.copy IMAGE";
    let (_folder, image) = planted(make, 16 << 20);
    attack(&image, 4, 3000);
}

#[test]
fn fat() {
    for (seed, width, size) in [(5, 12, 2 << 20), (6, 16, 20 << 20), (7, 32, 40 << 20)] {
        let make = format!("mkfs.vfat -F {width} -s 1 IMAGE >/dev/null; mcopy -s -i IMAGE SOURCE/* ::/");
        let (_folder, image) = planted(&make, size);
        attack(&image, seed, 2000);
    }
}

#[test]
fn ntfs() {
    let make = "mkntfs -q -F -f IMAGE >/dev/null 2>&1; m=$(mktemp -d); ntfs-3g IMAGE $m; cp -r SOURCE/* $m; umount $m; rmdir $m";
    let (_folder, image) = planted(make, 10 << 20);
    attack(&image, 8, 4000);
}

#[test]
fn xfs() {
    let make = "mkfs.xfs -q -f IMAGE; m=$(mktemp -d); mount -o loop,nouuid IMAGE $m; cp -r SOURCE/* $m
        for i in $(seq 60); do dd if=/dev/urandom of=$m/pieces bs=4096 count=1 seek=$((i * 2)) conv=notrunc status=none; done
        umount $m; rmdir $m";
    let (_folder, image) = planted(make, 320 << 20);
    attack(&image, 9, 2000);
}

#[test]
fn xfs_of_version_4() {
    let make = "{ echo /none; echo 0 0; echo d--755 0 0; echo a d--755 0 0; for i in $(seq 70); do echo some-name-$i ---644 0 0 /dev/null; done
        for i in 10 5000 300000; do echo $i ---644 0 0 SOURCE/a/b/c/$i; done; echo $; echo $; } > IMAGE.proto
        mkfs.xfs -q -f -m crc=0 -p IMAGE.proto IMAGE 2>/dev/null";
    let (_folder, image) = planted(make, 320 << 20);
    attack(&image, 10, 2000);
}

#[test]
fn partition_tables() {
    let make = "mke2fs -q -t ext2 -b 1024 -d SOURCE IMAGE.ext 6M; sgdisk -n 1:2048:+6M -n 2:0:0 IMAGE >/dev/null
        dd if=IMAGE.ext of=IMAGE bs=1M seek=1 conv=notrunc status=none";
    let (_folder, image) = planted(make, 12 << 20);
    attack(&image, 11, 2000);
}

#[test]
fn logical_volumes_too() {
    let make = "mke2fs -q -t ext2 -b 1024 -d SOURCE IMAGE.ext 8M; d=$(losetup --find --show IMAGE); trap 'losetup -d $d' EXIT
        o=\"--driverloaded n --devices $d --config backup{backup=0archive=0}\"
        { lvm pvcreate --yes $o $d; lvm vgcreate $o hostile $d; lvm lvcreate $o --yes -an -Zn -Wn -n one -L 8M hostile; } >/dev/null 2>&1
        dd if=IMAGE.ext of=IMAGE bs=1M seek=1 conv=notrunc status=none";
    let (_folder, image) = planted(make, 24 << 20);
    attack(&image, 12, 2000);
}
