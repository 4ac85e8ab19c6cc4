//! Disk images of which the source knows what has changed: only that is read, and all of it is right.

#[allow(dead_code)]
mod common;

use std::fs;
use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{World, noise};
use strongroom_engine::backup::{BackupReport, Past};
use strongroom_model::Digest;
use strongroom_sources::files::{Kind, Meta, Names, ReadError, Segment, WalkIssue, Xattrs};
use strongroom_sources::source::{Comparison, Contents, Found, Small, Source, VolumesRead, Walk};

const BLOCK: u64 = 64 << 10;

/// What is still as the last recovery point has it.
type Kept = Vec<Range<u64>>;

/// One disk in memory.
#[derive(Clone)]
struct Disk {
    contents: Arc<Vec<u8>>,
    meta: Meta,
    kept: Kept,
    read: Arc<AtomicU64>,
}

impl Disk {
    fn new(contents: &[u8], kept: Kept) -> Self {
        let size = contents.len() as u64;
        let meta = Meta {
            kind: Kind::File,
            mode: 0o600,
            uid: 0,
            gid: 0,
            mtime: (1, 0),
            ctime: (1, 0),
            size,
            dev: 0,
            ino: 1,
            nlink: 1,
            blocks: size / 512,
        };
        Self {
            contents: Arc::new(contents.to_vec()),
            meta,
            kept,
            read: Arc::default(),
        }
    }

    fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl Source for Disk {
    type Walk = OneDisk;

    fn walk(&self) -> Result<OneDisk, WalkIssue> {
        Ok(OneDisk(Some(self.clone())))
    }

    fn paths(&self) -> Vec<Vec<u8>> {
        vec![b"disk".to_vec()]
    }

    fn exclusions(&self) -> Vec<String> {
        Vec::new()
    }
}

struct OneDisk(Option<Disk>);

impl Iterator for OneDisk {
    type Item = Result<Disk, WalkIssue>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl Walk for OneDisk {
    type Found = Disk;

    fn volumes(&self) -> VolumesRead {
        VolumesRead::default()
    }
}

impl Found for Disk {
    type Open = Disk;

    fn path(&self) -> &[u8] {
        b"disk.raw"
    }

    fn name(&self) -> &[u8] {
        b"disk.raw"
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn device(&self) -> u64 {
        0
    }

    fn moment(&self) -> Option<(i64, u32)> {
        None
    }

    fn volume(&self) -> Option<usize> {
        None
    }

    fn set_meta(&mut self, _: Meta) {}

    fn comparison(&self) -> Comparison {
        Comparison::Different
    }

    fn owner<'a>(&'a self, _: &'a Names) -> [&'a [u8]; 2] {
        [b"root", b"root"]
    }

    fn read_link(&self) -> Result<Vec<u8>, ReadError> {
        unreachable!("it is no link")
    }

    fn xattrs(&self) -> Result<Xattrs, ReadError> {
        Ok(Xattrs::new())
    }

    fn read_small(&self, into: &mut Vec<u8>) -> Result<Small<Disk>, ReadError> {
        into.extend_from_slice(&self.contents);
        let file = self.clone();
        Ok(Small { file, unchanged: true })
    }

    fn open(&self) -> Result<Disk, ReadError> {
        Ok(self.clone())
    }
}

impl Contents for Disk {
    fn stat(&self) -> Meta {
        self.meta
    }

    fn fill_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let contents = self.contents.get(offset as usize..).unwrap_or_default();
        let length = buffer.len().min(contents.len());
        buffer[..length].copy_from_slice(&contents[..length]);
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }

    fn segments(&self) -> impl Iterator<Item = Result<Segment, ReadError>> {
        let (mut segments, mut at) = (Vec::new(), 0);
        let data = |from: u64, to: u64| Segment::Data {
            offset: from,
            len: to - from,
        };
        for Range { start, end } in self.kept.iter().cloned() {
            if start > at {
                segments.push(data(at, start));
            }
            segments.push(Segment::Kept {
                offset: start,
                len: end - start,
            });
            at = end;
        }
        let size = self.contents.len() as u64;
        if at < size {
            segments.push(data(at, size));
        }
        segments.into_iter().map(Ok)
    }

    fn unchanged_since(&self, _: &Meta) -> Result<bool, ReadError> {
        Ok(true)
    }

    fn xattrs(&self) -> Result<Xattrs, ReadError> {
        Ok(Xattrs::new())
    }
}

fn since(point: Option<Digest>) -> Option<Past> {
    Some(Past {
        moment: "2026-11-22T00:00:00Z".parse().unwrap(),
        compared_with: point,
        frozen: None,
    })
}

/// Backs a disk up, and restores it.
async fn checked(world: &World, disk: &Disk, compared_with: Option<Digest>) -> BackupReport {
    let report = world.try_backup_of(disk.clone(), since(compared_with)).await.unwrap();
    assert!(report.issues.is_empty(), "{:?}", report.issues);
    let target = tempfile::tempdir().unwrap();
    world.restore_to(report.point, target.path()).await;
    let restored = fs::read(target.path().join("disk.raw")).unwrap();
    assert!(restored == *disk.contents, "the restored disk is another");
    report
}

fn one(range: Range<u64>) -> Kept {
    iter::once(range).collect()
}

/// Noise, a stretch of zeros, and noise again; some bytes more than whole blocks.
fn contents() -> Vec<u8> {
    let mut contents = noise(20 << 20, 1);
    contents[8 << 20..10 << 20].fill(0);
    contents.extend_from_slice(&noise(5000, 2));
    contents
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_neither_read_nor_sent() {
    let world = World::new();
    let mut contents = contents();
    let size = contents.len() as u64;
    let first = checked(&world, &Disk::new(&contents, vec![]), None).await;

    let changed = 5 * BLOCK..7 * BLOCK;
    contents[changed.start as usize..changed.end as usize].copy_from_slice(&noise(2 * BLOCK as usize, 3));
    let disk = Disk::new(&contents, vec![0..changed.start, changed.end..size]);
    let second = checked(&world, &disk, Some(first.digest)).await;
    assert!(
        disk.bytes_read() <= 2 * BLOCK + 4096,
        "{} bytes were read",
        disk.bytes_read()
    );
    assert!(second.new_bytes < 3 * BLOCK, "{} bytes are new", second.new_bytes);
    assert_eq!(second.bytes, size);

    // Nothing has changed.
    let disk = Disk::new(&contents, one(0..size));
    let third = checked(&world, &disk, Some(second.digest)).await;
    assert!(disk.bytes_read() <= 4096, "{} bytes were read", disk.bytes_read());
    assert!(third.new_bytes < BLOCK, "{} bytes are new", third.new_bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_another_point_is_read() {
    let world = World::new();
    let contents = contents();
    let size = contents.len() as u64;
    let first = checked(&world, &Disk::new(&contents, vec![]), None).await;
    let mut other = contents.clone();
    other[..1 << 20].copy_from_slice(&noise(1 << 20, 4));
    checked(&world, &Disk::new(&other, vec![]), None).await;
    // The source still compares itself with the first.
    let disk = Disk::new(&contents, one(0..size));
    checked(&world, &disk, Some(first.digest)).await;
    assert!(disk.bytes_read() >= size);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_blocks_is_read_and_a_disk_may_grow_and_shrink() {
    let world = World::new();
    let mut contents = contents();
    let first = checked(&world, &Disk::new(&contents, vec![]), None).await;
    // The end was no whole block, and is followed by more now.
    let before = contents.len() as u64;
    contents.extend_from_slice(&noise(300_000, 5));
    let disk = Disk::new(&contents, vec![100..3 * BLOCK + 77, 4 * BLOCK..before]);
    let second = checked(&world, &disk, Some(first.digest)).await;
    assert!(disk.bytes_read() < 10 * BLOCK, "{} bytes were read", disk.bytes_read());
    contents.truncate(9 << 20);
    let disk = Disk::new(&contents, one(0..9 << 20));
    checked(&world, &disk, Some(second.digest)).await;
    assert!(disk.bytes_read() < BLOCK, "{} bytes were read", disk.bytes_read());
}

/// Writes of any length at any place, told in whole blocks or to the byte; each point has to be right.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_generations_of_random_writes() {
    let world = World::new();
    let mut contents = contents();
    let mut digest = checked(&world, &Disk::new(&contents, vec![]), None).await.digest;
    let mut numbers = noise(1 << 16, 6).into_iter();
    let mut number = |below: u64| {
        let bytes: Vec<u8> = numbers.by_ref().take(8).collect();
        u64::from_le_bytes(bytes.try_into().unwrap()) % below
    };
    for generation in 0..20 {
        let size = contents.len() as u64;
        let mut dirty: Vec<Range<u64>> = Vec::new();
        for _ in 0..number(8) {
            let start = number(size);
            let end = (start + 1 + number(3 * BLOCK)).min(size);
            let bytes = match number(4) {
                0 => vec![0; (end - start) as usize],
                seed => noise((end - start) as usize, seed * 1000 + generation),
            };
            contents[start as usize..end as usize].copy_from_slice(&bytes);
            let step = [1, 512, BLOCK, 3 * BLOCK][number(4) as usize];
            dirty.push(start / step * step..end.next_multiple_of(step).min(size));
        }
        dirty.sort_by_key(|range| range.start);
        let (mut kept, mut at) = (Vec::new(), 0);
        for range in dirty {
            if range.start > at {
                kept.push(at..range.start);
            }
            at = at.max(range.end);
        }
        if at < size {
            kept.push(at..size);
        }
        digest = checked(&world, &Disk::new(&contents, kept), Some(digest)).await.digest;
    }
}
