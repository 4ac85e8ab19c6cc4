//! An immutable sorted file of fingerprints, mapped into memory.
//!
//! ```text
//! segment := "SRMAP002" records:u64 record* chunk* check[32]
//! record  := fingerprint[16] chunk:u32 offset:u32 length:u32      sorted by fingerprint
//! chunk   := identity[32] length:u32
//! ```

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use memmap2::Mmap;
use strongroom_format::entry::{Chunk, Fingerprint};
use strongroom_model::BlobId;

use super::map::Placed;

const MAGIC: &[u8; 8] = b"SRMAP002";
const HEAD: usize = 16;
const RECORD: usize = 28;
const CHUNK: usize = 36;

/// A segment that was found whole.
#[derive(Debug)]
pub struct Segment {
    bytes: Mmap,
    records: usize,
}

/// A record in memory: its chunk is a position in a table.
#[derive(Clone, Copy, Debug)]
pub struct SegmentRecord {
    pub fingerprint: Fingerprint,
    pub chunk: u32,
    pub offset: u32,
    pub length: u32,
}

impl Segment {
    /// Maps the file at `path` and checks it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the file lies in a folder that only this user can write to and that this process holds a lock on; a
        // segment is complete when it gets its name and is never written to again, only unlinked, which leaves maps alone.
        #[allow(unsafe_code)]
        let bytes = unsafe { Mmap::map(&file)? };
        let records = checked_records(&bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { bytes, records })
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Looks a fingerprint up.
    pub fn find(&self, fingerprint: Fingerprint) -> Option<Placed> {
        let (mut low, mut high) = (0, self.records);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.record(middle).fingerprint < fingerprint {
                low = middle + 1
            } else {
                high = middle
            }
        }
        let record = (low < self.records).then(|| self.record(low))?;
        (record.fingerprint == fingerprint).then(|| self.placed(record))?
    }

    /// The record at this position, which is below [`Segment::len`].
    pub fn record(&self, position: usize) -> SegmentRecord {
        let bytes = &self.bytes[HEAD + position * RECORD..][..RECORD];
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let fingerprint = Fingerprint(bytes[..16].try_into().expect("16 bytes"));
        SegmentRecord {
            fingerprint,
            chunk: number(16),
            offset: number(20),
            length: number(24),
        }
    }

    /// Where the contents of a record lie; `None` if the segment does not list the chunk.
    fn placed(&self, record: SegmentRecord) -> Option<Placed> {
        let chunk = *self.chunk_table().get(record.chunk as usize)?;
        Some(Placed {
            chunk: decode_chunk(chunk),
            offset: record.offset,
            length: record.length,
        })
    }

    /// How many chunks it lists.
    pub fn chunk_count(&self) -> usize {
        self.chunk_table().len()
    }

    /// The chunks that it lists.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk> {
        self.chunk_table().iter().map(|chunk| decode_chunk(*chunk))
    }

    fn chunk_table(&self) -> &[[u8; CHUNK]] {
        self.bytes[HEAD + self.records * RECORD..self.bytes.len() - 32]
            .as_chunks()
            .0
    }
}

fn decode_chunk(bytes: [u8; CHUNK]) -> Chunk {
    let (id, length) = bytes.split_first_chunk::<32>().expect("36 bytes");
    let length = u32::from_le_bytes(length.try_into().expect("4 bytes"));
    Chunk {
        id: BlobId::from_bytes(*id),
        length,
    }
}

fn checked_records(bytes: &[u8]) -> Option<usize> {
    let (body, check) = bytes.split_last_chunk::<32>()?;
    let records = u64::from_le_bytes(body.get(8..HEAD)?.try_into().ok()?);
    let records = usize::try_from(records).ok()?;
    let chunks = body
        .len()
        .checked_sub(HEAD.checked_add(records.checked_mul(RECORD)?)?)?;
    let whole = body.starts_with(MAGIC) && chunks % CHUNK == 0 && blake3::hash(body) == *check;
    whole.then_some(records)
}

/// Writes a segment of `count` records sorted by fingerprint, first under another name.
pub fn write_segment(
    path: &Path,
    count: usize,
    records: impl Iterator<Item = SegmentRecord>,
    chunks: impl Iterator<Item = Chunk>,
) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let file = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
    let mut out = Checked {
        file,
        hasher: blake3::Hasher::new(),
    };
    out.put(MAGIC)?;
    out.put(&(count as u64).to_le_bytes())?;
    for record in records {
        out.put(&encode(record))?;
    }
    for chunk in chunks {
        out.put(chunk.id.as_bytes())?;
        out.put(&chunk.length.to_le_bytes())?;
    }
    out.finish()?;
    fs::rename(temporary, path)
}

fn encode(record: SegmentRecord) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    bytes[..16].copy_from_slice(&record.fingerprint.0);
    bytes[16..20].copy_from_slice(&record.chunk.to_le_bytes());
    bytes[20..24].copy_from_slice(&record.offset.to_le_bytes());
    bytes[24..].copy_from_slice(&record.length.to_le_bytes());
    bytes
}

struct Checked {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
}

impl Checked {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.write_all(self.hasher.finalize().as_bytes())?;
        self.file.flush()
    }
}
