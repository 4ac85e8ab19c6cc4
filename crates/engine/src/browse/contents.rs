//! The contents of a file, any part of them.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use strongroom_format::entry::{Chunk, Extent, Kind};
use strongroom_sources::files::ShownPath;

use super::Unreadable;
use super::page::is_name;
use super::tree::{Name, PointTree};
use crate::backup::record_content;

/// So many stretches of a file are looked at in one go.
const STRETCHES_MAX: usize = 8192;
/// Chunks of no more bytes are waited for in one go.
const AT_ONCE_BYTES: u64 = 12 << 20;
/// No more of a file is fetched ahead of a sequential reader.
const AHEAD_BYTES_MAX: u64 = 12 << 20;
/// A reader who is no further away from where he was still goes on: the system asks for several parts at once.
const SLACK_BYTES: u64 = 1 << 20;
/// So many leaves are looked at to find the holes of one file; what lies behind them counts as data.
const LEAVES_MAX: usize = 64;

/// A part of a file that comes from one place.
struct Stretch {
    length: u64,
    from: Source,
}

#[derive(Clone, Copy)]
enum Source {
    Hole,
    Zeros,
    Chunk(Chunk, u32),
}

impl Stretch {
    fn chunk(&self) -> Option<Chunk> {
        match self.from {
            Source::Chunk(chunk, _) => Some(chunk),
            Source::Hole | Source::Zeros => None,
        }
    }
}

/// What to look for in a file, as in lseek(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// `SEEK_DATA`
    Data,
    /// `SEEK_HOLE`
    Hole,
}

impl PointTree {
    /// Bytes of a file from `offset` on: `length`, or as many as there are.
    pub async fn read(&self, file: &Name, offset: u64, length: u32) -> Result<Vec<u8>, Unreadable> {
        let end = offset.saturating_add(length.into()).min(file.size());
        let mut bytes = Vec::with_capacity(end.saturating_sub(offset) as usize);
        while offset + (bytes.len() as u64) < end {
            let stretches = self.stretches(file, offset + bytes.len() as u64..end).await?;
            self.append(&stretches, &mut bytes).await?;
        }
        Ok(bytes)
    }

    /// Sends for the chunks of a part of a file, and waits for none of them.
    pub async fn read_ahead(&self, file: &Name, part: Range<u64>) -> Result<(), Unreadable> {
        let stretches = self.stretches(file, part).await?;
        let mut chunks: Vec<Chunk> = stretches.iter().filter_map(Stretch::chunk).collect();
        chunks.dedup();
        self.blobs.chunks_ahead(&chunks);
        Ok(())
    }

    /// Where in a file data or a hole begins, from `offset` on; `None` if there is none, or the file ends before.
    pub async fn seek(&self, file: &Name, offset: u64, what: Seek) -> Result<Option<u64>, Unreadable> {
        let (mut position, size) = (offset, file.size());
        if offset >= size {
            return Ok(None);
        }
        for _ in 0..LEAVES_MAX {
            if position >= size {
                break;
            }
            for stretch in self.stretches(file, position..size).await? {
                let is_hole = matches!(stretch.from, Source::Hole);
                if is_hole == (what == Seek::Hole) {
                    return Ok(Some(position));
                }
                position += stretch.length;
            }
        }
        Ok(match what {
            Seek::Data => (position < size).then_some(position),
            Seek::Hole => Some(size),
        })
    }

    /// Bytes of a file that are no holes.
    pub async fn allocated(&self, file: &Name) -> Result<u64, Unreadable> {
        let Kind::File { size, content } = &file.node().kind else {
            return Ok(0);
        };
        let is_data = |extent: &&Extent| !matches!(extent, Extent::Hole { .. });
        let mut allocated: u64 = content.extents.iter().filter(is_data).map(Extent::length).sum();
        let mut position = content.length();
        let mut leaves = 0;
        while content.continues && position < *size && leaves < LEAVES_MAX {
            for stretch in self.stretches(file, position..*size).await? {
                allocated += if matches!(stretch.from, Source::Hole) {
                    0
                } else {
                    stretch.length
                };
                position += stretch.length;
            }
            leaves += 1;
        }
        Ok(allocated + size.saturating_sub(position))
    }

    /// What lies in a part of a file that is not empty: from its beginning on, but perhaps not to its end.
    async fn stretches(&self, file: &Name, part: Range<u64>) -> Result<Vec<Stretch>, Unreadable> {
        let leaf = self.leaf_of(file.path(), part.start).await?;
        let mut stretches = Vec::new();
        let mut position = leaf.offset;
        let of_file = leaf.records().iter().filter(|entry| entry.path == file.path());
        for entry in of_file {
            if is_name(entry) {
                position = 0;
            }
            for extent in record_content(&entry.record).map_or(&[][..], |content| &content.extents) {
                let end = position.saturating_add(extent.length());
                if end > part.start && position < part.end && stretches.len() < STRETCHES_MAX {
                    stretches.push(cut(extent, position, &part));
                }
                position = end;
            }
        }
        match stretches.is_empty() {
            false => Ok(stretches),
            true => Err(Unreadable::new(format!(
                "the recovery point does not say what lies at byte {} of /{}",
                part.start,
                ShownPath(file.path())
            ))),
        }
    }

    async fn append(&self, stretches: &[Stretch], bytes: &mut Vec<u8>) -> Result<(), Unreadable> {
        let mut rest = stretches;
        while !rest.is_empty() {
            let (group, later) = rest.split_at(group(rest));
            let chunks: Vec<Chunk> = group.iter().filter_map(Stretch::chunk).collect();
            let mut places = self.blobs.chunks(&chunks).await.into_iter();
            for stretch in group {
                let length = stretch.length as usize;
                let Source::Chunk(chunk, offset) = stretch.from else {
                    bytes.resize(bytes.len() + length, 0);
                    continue;
                };
                let place = places.next().expect("each of these has one");
                let contents = place.wait().await.clone()?;
                let piece = contents.get(offset as usize..offset as usize + length);
                let shorter = || Unreadable::new(format!("chunk {} is shorter than its page says", chunk.id));
                bytes.extend_from_slice(piece.ok_or_else(shorter)?);
            }
            rest = later;
        }
        Ok(())
    }
}

/// How many of these stretches, the first ones, need chunks of [`AT_ONCE_BYTES`] together; one at least.
fn group(stretches: &[Stretch]) -> usize {
    let mut bytes = 0;
    let fits = |stretch: &&Stretch| {
        bytes += stretch.chunk().map_or(0, |chunk| u64::from(chunk.length));
        bytes <= AT_ONCE_BYTES
    };
    stretches.iter().take_while(fits).count().max(1)
}

/// The part of an extent, which begins at `position` of its file, that lies in `part`.
fn cut(extent: &Extent, position: u64, part: &Range<u64>) -> Stretch {
    let skipped = part.start.saturating_sub(position);
    let end = position.saturating_add(extent.length()).min(part.end);
    let from = match extent {
        Extent::Hole { .. } => Source::Hole,
        Extent::Zero { .. } => Source::Zeros,
        Extent::Piece { chunk, offset, .. } | Extent::Blocks { chunk, offset, .. } => {
            // What is skipped is shorter than the extent, and that has 32 bits.
            Source::Chunk(*chunk, offset + skipped as u32)
        }
    };
    Stretch {
        length: end - position - skipped,
        from,
    }
}

/// Notices that somebody reads a file from one end to the other.
#[derive(Debug, Default)]
pub struct SequentialReads(Mutex<Reads>);

#[derive(Debug, Default)]
struct Reads {
    /// Where the last read ended.
    next: u64,
    /// Bytes that were read one after the other.
    run: u64,
    /// To where was sent for.
    asked: u64,
}

impl SequentialReads {
    /// What to send for now that these bytes are being read: the more was read already, the more.
    pub fn ahead(&self, offset: u64, length: u64, size: u64) -> Option<Range<u64>> {
        let mut reads = self.0.lock().expect("no thread panicked here");
        let end = offset.saturating_add(length);
        if offset.abs_diff(reads.next) > SLACK_BYTES {
            *reads = Reads {
                asked: end,
                ..Reads::default()
            };
        } else {
            reads.run = reads.run.saturating_add(length);
        }
        reads.next = end;
        let window = reads.run.saturating_mul(2).min(AHEAD_BYTES_MAX);
        let (from, until) = (reads.asked.max(end), end.saturating_add(window).min(size));
        // In halves, so that not every read sends for something.
        if from >= until || from > end.saturating_add(window / 2) {
            return None;
        }
        reads.asked = until;
        Some(from..until)
    }

    /// Sends for what comes next, if it is worth it.
    pub fn go_on(&self, tree: &Arc<PointTree>, file: &Name, offset: u64, length: u32) {
        if let Some(part) = self.ahead(offset, length.into(), file.size()) {
            let (tree, file) = (tree.clone(), file.clone());
            // Whoever reads it will learn what is amiss.
            tokio::spawn(async move { tree.read_ahead(&file, part).await.ok() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: u64 = 128 << 10;

    #[test]
    fn who_reads_on_gets_more_ahead_and_nothing_twice() {
        let reads = SequentialReads::default();
        let size = 100 << 20;
        let (mut asked, mut most) = (0, 0);
        for offset in (0..size).step_by(READ as usize) {
            if let Some(part) = reads.ahead(offset, READ, size) {
                assert!(
                    part.start >= asked && part.start >= offset + READ,
                    "{part:?} after {asked}"
                );
                asked = part.end;
            }
            most = most.max(asked.saturating_sub(offset + READ));
            assert!(asked.saturating_sub(offset + READ) <= AHEAD_BYTES_MAX);
        }
        assert_eq!((asked, most), (size, AHEAD_BYTES_MAX));
    }

    #[test]
    fn who_jumps_about_gets_nothing_ahead() {
        let reads = SequentialReads::default();
        for number in 1..100 {
            assert_eq!(reads.ahead(number % 7 * (10 << 20), READ, 100 << 20), None, "{number}");
        }
    }
}
