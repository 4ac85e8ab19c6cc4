//! Fingerprint → where in the vault the contents lie: immutable sorted segments, and what this run found on top.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use strongroom_format::entry::{Chunk, Fingerprint};
use strongroom_model::BlobId;

use super::segment::{Segment, SegmentRecord, write_segment};
use crate::slot::Slot;

/// So many new records are kept in memory before they are written to a segment: about 20 MiB.
const FRESH_MAX: usize = 256 << 10;
/// So many segments are searched before they are merged into one.
const SEGMENTS_MAX: usize = 8;

/// A place in a chunk that the vault has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The chunk.
    pub chunk: Chunk,
    /// First byte in the chunk's contents.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
}

/// What is known about some contents.
#[derive(Clone, Debug)]
pub enum Known {
    /// An earlier run stored them.
    Before(Placed),
    /// This run stores them: in this chunk, at this offset.
    Now(Slot<Chunk>, u32),
}

#[derive(Clone, Debug)]
struct Fresh {
    chunk: Slot<Chunk>,
    offset: u32,
    length: u32,
}

/// The map. Entries that turn out to be wrong cost a commit that is refused, never a wrong backup: see
/// [`FingerprintMap::distrust`].
#[derive(Debug)]
pub struct FingerprintMap {
    folder: PathBuf,
    /// Oldest first.
    segments: Vec<(PathBuf, Segment)>,
    fresh: HashMap<Fingerprint, Fresh>,
    distrusted: HashSet<BlobId>,
    next_number: u64,
}

impl FingerprintMap {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let mut segments = BTreeMap::new();
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            match (number(&path), Segment::open(&path)) {
                (Some(number), Ok(segment)) => drop(segments.insert(number, (path, segment))),
                // Left over or damaged: without it some contents are sent again, no more.
                _ => fs::remove_file(path)?,
            }
        }
        let next_number = segments.last_key_value().map_or(0, |(number, _)| number + 1);
        let segments = segments.into_values().collect();
        let (fresh, distrusted) = (HashMap::new(), HashSet::new());
        Ok(Self {
            folder: folder.to_owned(),
            segments,
            fresh,
            distrusted,
            next_number,
        })
    }

    /// Looks contents of `length` bytes up.
    pub fn find(&self, fingerprint: Fingerprint, length: u32) -> Option<Known> {
        if let Some(fresh) = self.fresh.get(&fingerprint) {
            return (fresh.length == length).then(|| Known::Now(fresh.chunk.clone(), fresh.offset));
        }
        let placed = self
            .segments
            .iter()
            .rev()
            .find_map(|(_, segment)| segment.find(fingerprint))?;
        let trusted = placed.length == length && !self.distrusted.contains(&placed.chunk.id);
        trusted.then_some(Known::Before(placed))
    }

    /// Notes that contents are on their way to the vault.
    pub fn insert(&mut self, fingerprint: Fingerprint, chunk: Slot<Chunk>, offset: u32, length: u32) {
        self.fresh.insert(fingerprint, Fresh { chunk, offset, length });
    }

    /// Whether it is time to call [`FingerprintMap::flush`].
    pub fn is_full(&self) -> bool {
        self.fresh.len() >= FRESH_MAX
    }

    /// The chunks that earlier runs stored, some of them several times.
    pub fn chunks(&self) -> impl Iterator<Item = BlobId> {
        let segments = self.segments.iter();
        segments.flat_map(|(_, segment)| segment.chunks().map(|chunk| chunk.id))
    }

    /// Writes what this run found to disk. Waits for chunks that are being sealed: all must have been handed on.
    pub fn flush(&mut self) -> io::Result<()> {
        let (records, chunks) = self.take_fresh();
        if !records.is_empty() {
            self.add_segment(records.len(), records.into_iter(), chunks.into_iter())?;
        }
        if self.segments.len() > SEGMENTS_MAX {
            self.merge()
        } else {
            Ok(())
        }
    }

    /// Chunks that the vault turned out not to have; their contents count as unknown from now on.
    pub fn distrust(&mut self, chunks: &[BlobId]) {
        self.distrusted.extend(chunks);
        let distrusted = &self.distrusted;
        self.fresh
            .retain(|_, fresh| fresh.chunk.wait().is_some_and(|chunk| !distrusted.contains(&chunk.id)));
    }

    fn take_fresh(&mut self) -> (Vec<SegmentRecord>, Vec<Chunk>) {
        let mut chunks = Vec::new();
        let mut positions = HashMap::new();
        let mut records = Vec::with_capacity(self.fresh.len());
        for (fingerprint, fresh) in self.fresh.drain() {
            // A chunk that never came to be: the run is failing, and its contents are simply not known.
            let Some(chunk) = fresh.chunk.wait() else { continue };
            let chunk = *positions.entry(chunk.id).or_insert_with(|| {
                chunks.push(*chunk);
                chunks.len() as u32 - 1
            });
            records.push(SegmentRecord {
                fingerprint,
                chunk,
                offset: fresh.offset,
                length: fresh.length,
            });
        }
        records.sort_unstable_by_key(|record| record.fingerprint);
        (records, chunks)
    }

    fn add_segment(
        &mut self,
        count: usize,
        records: impl Iterator<Item = SegmentRecord>,
        chunks: impl Iterator<Item = Chunk>,
    ) -> io::Result<()> {
        let path = self.folder.join(format!("{:08}.segment", self.next_number));
        write_segment(&path, count, records, chunks)?;
        self.next_number += 1;
        self.segments.push((path.clone(), Segment::open(&path)?));
        Ok(())
    }

    /// Makes one segment of all; where two know the same contents, the newer one counts. Nothing is loaded: all segments
    /// are read side by side.
    fn merge(&mut self) -> io::Result<()> {
        let old = std::mem::take(&mut self.segments);
        let segments: Vec<&Segment> = old.iter().map(|(_, segment)| segment).collect();
        let count = Merged::new(&segments).count();
        let chunks = segments.iter().flat_map(|segment| segment.chunks());
        self.add_segment(count, Merged::new(&segments), chunks)?;
        old.into_iter().try_for_each(|(path, _)| fs::remove_file(path))
    }
}

/// The records of several segments in order. The chunk tables follow one another, so a record's position moves by the
/// lengths of the tables before its own.
struct Merged<'a> {
    segments: &'a [&'a Segment],
    /// The next record of each segment.
    next: Vec<usize>,
    /// Where the chunk table of each segment begins.
    bases: Vec<u32>,
}

impl<'a> Merged<'a> {
    fn new(segments: &'a [&'a Segment]) -> Self {
        let bases = segments.iter().scan(0, |next, segment| {
            let base = *next;
            *next += segment.chunk_count() as u32;
            Some(base)
        });
        Self {
            segments,
            bases: bases.collect(),
            next: vec![0; segments.len()],
        }
    }

    fn head(&self, at: usize) -> Option<SegmentRecord> {
        (self.next[at] < self.segments[at].len()).then(|| self.segments[at].record(self.next[at]))
    }
}

impl Iterator for Merged<'_> {
    type Item = SegmentRecord;

    fn next(&mut self) -> Option<SegmentRecord> {
        let heads = (0..self.segments.len()).filter_map(|at| Some((self.head(at)?, at)));
        // Of equal ones the last, which is the newest.
        let (mut record, at) = heads.min_by_key(|(record, at)| (record.fingerprint, std::cmp::Reverse(*at)))?;
        for other in 0..self.segments.len() {
            if self
                .head(other)
                .is_some_and(|head| head.fingerprint == record.fingerprint)
            {
                self.next[other] += 1;
            }
        }
        record.chunk += self.bases[at];
        Some(record)
    }
}

fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".segment")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::slot;

    fn fingerprint(n: u32) -> Fingerprint {
        Fingerprint(blake3::hash(&n.to_le_bytes()).as_bytes()[..16].try_into().unwrap())
    }

    fn settled(n: u32) -> Slot<Chunk> {
        let (chunk, promise) = slot();
        promise.keep(Chunk {
            id: BlobId::from_bytes([n as u8; 32]),
            length: n,
        });
        chunk
    }

    fn filled(folder: &Path, numbers: std::ops::Range<u32>) -> FingerprintMap {
        let mut map = FingerprintMap::open(folder).unwrap();
        for n in numbers {
            map.insert(fingerprint(n), settled(n % 7), n, n + 1);
        }
        map.flush().unwrap();
        map
    }

    fn check(map: &FingerprintMap, numbers: std::ops::Range<u32>) {
        for n in numbers {
            let Some(Known::Before(placed)) = map.find(fingerprint(n), n + 1) else {
                panic!("{n} is not known")
            };
            let expected = BlobId::from_bytes([(n % 7) as u8; 32]);
            assert_eq!((placed.offset, placed.length, placed.chunk.id), (n, n + 1, expected));
            assert!(map.find(fingerprint(n), n + 2).is_none(), "another length");
        }
    }

    #[test]
    fn what_was_flushed_is_known_to_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(folder.path(), 0..1000));
        let map = FingerprintMap::open(folder.path()).unwrap();
        check(&map, 0..1000);
        assert!(map.find(fingerprint(5000), 5001).is_none());
    }

    #[test]
    fn segments_are_merged_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..20 {
            drop(filled(folder.path(), n * 100..n * 100 + 150));
        }
        let map = FingerprintMap::open(folder.path()).unwrap();
        assert!(map.segments.len() <= SEGMENTS_MAX + 1);
        check(&map, 0..2050);
    }

    #[test]
    fn a_damaged_segment_counts_as_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path(), 0..10).segments[0].0.clone();
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
        let map = FingerprintMap::open(folder.path()).unwrap();
        assert!(map.find(fingerprint(3), 4).is_none());
        assert!(!path.exists());
    }

    #[test]
    fn distrusted_chunks_are_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let mut map = filled(folder.path(), 0..10);
        map.distrust(&[BlobId::from_bytes([3; 32])]);
        assert!(map.find(fingerprint(3), 4).is_none());
        assert!(map.find(fingerprint(4), 5).is_some());
    }
}
