//! Contents of attributes, wherever they are: in the record, in clusters, or told of in several records.

use crate::bytes::{byte, le16, le32, le64, part};
use crate::disk::fill;
use crate::error::{Result, damaged, unsupported};

use super::record::{Attribute, Type, attributes};
use super::{NUMBER, Ntfs, compressed};

/// How many stretches of clusters one file may have.
const RUNS_MAX: usize = 1 << 20;
/// The longest list of attributes; Windows itself stops at 256 KiB.
const LIST_MAX: u64 = 256 << 10;
const COMPRESSED: u16 = 0x00ff;
const ENCRYPTED: u16 = 0x4000;

/// Contents of one attribute.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) size: u64,
    /// What lies beyond has never been written, and is zeros.
    written: u64,
    pub(super) flags: u16,
    /// How many clusters are compressed together.
    pub(super) unit: u64,
    place: Place,
}

enum Place {
    Resident(Vec<u8>),
    /// In order, without gaps.
    Runs(Vec<Run>),
}

impl Default for Place {
    fn default() -> Self {
        Self::Runs(Vec::new())
    }
}

/// Clusters one after the other.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// The number of the first within the file.
    first: u64,
    /// The first on the disk; none for a hole.
    start: Option<u64>,
    count: u64,
}

impl Stream {
    /// Contents that stand in the record.
    pub(super) fn resident(self) -> Option<Vec<u8>> {
        match self.place {
            Place::Resident(bytes) => Some(bytes),
            Place::Runs(_) => None,
        }
    }

    fn new(attribute: Attribute<'_>) -> Self {
        if attribute.is_resident() {
            let bytes = attribute.resident().to_vec();
            let size = bytes.len() as u64;
            return Self {
                size,
                written: size,
                flags: attribute.flags(),
                unit: 0,
                place: Place::Resident(bytes),
            };
        }
        let bytes = attribute.bytes;
        let unit = 1u64.checked_shl(u32::from(le16(bytes, 34))).unwrap_or(0);
        Self {
            size: le64(bytes, 48),
            written: le64(bytes, 56),
            flags: attribute.flags(),
            unit,
            place: Place::default(),
        }
    }

    /// Takes over the runs of an attribute that begins where the last one ended.
    fn extend(&mut self, attribute: Attribute<'_>) -> Result<()> {
        let Place::Runs(runs) = &mut self.place else {
            return Ok(());
        };
        let bytes = attribute.bytes;
        let mut first = runs.last().map_or(0, |run| run.first + run.count);
        if attribute.is_resident() || le64(bytes, 16) != first {
            return damaged("the parts of a file that lies in several records");
        }
        let mut at = usize::from(le16(bytes, 32));
        let mut start = 0i64;
        loop {
            let head = byte(bytes, at);
            let (count_length, start_length) = (usize::from(head & 15), usize::from(head >> 4));
            if head == 0 {
                return Ok(());
            }
            let count = signed(part(bytes, at + 1, count_length));
            let moved = signed(part(bytes, at + 1 + count_length, start_length));
            at += 1 + count_length + start_length;
            start = start.wrapping_add(moved);
            let end = u64::try_from(count)
                .ok()
                .filter(|count| *count > 0)
                .and_then(|count| first.checked_add(count));
            let Some(end) = end.filter(|_| runs.len() < RUNS_MAX && at <= bytes.len() && start >= 0) else {
                return damaged("where a file lies");
            };
            runs.push(Run {
                first,
                start: (start_length > 0).then_some(start as u64),
                count: end - first,
            });
            first = end;
        }
    }

    /// What is at a cluster of the file: how many more follow, and where.
    pub(super) fn at(&self, cluster: u64) -> (Option<u64>, u64) {
        let Place::Runs(runs) = &self.place else {
            return (None, u64::MAX);
        };
        let index = runs.partition_point(|run| run.first <= cluster).saturating_sub(1);
        match runs.get(index) {
            Some(run) if cluster >= run.first && cluster - run.first < run.count => {
                let inside = cluster - run.first;
                (
                    run.start.and_then(|start| start.checked_add(inside)),
                    run.count - inside,
                )
            }
            _ => (None, u64::MAX),
        }
    }
}

/// A number of up to eight bytes, with its sign.
fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut number = [if negative { 0xff } else { 0 }; 8];
    let length = bytes.len().min(8);
    number[..length].copy_from_slice(&bytes[..length]);
    i64::from_le_bytes(number)
}

/// What the table's first record says of the table by itself.
pub(super) fn beginning(record: &[u8]) -> Result<Stream> {
    let Some(found) = attributes(record).find(|attribute| attribute.is(Type::Data, b"")) else {
        return damaged("its table");
    };
    let mut stream = Stream::new(found);
    stream.extend(found)?;
    Ok(stream)
}

/// An attribute's contents by its type and its name (UTF-16).
pub(super) fn stream(ntfs: &Ntfs, record: &[u8], kind: Type, name: &[u8]) -> Result<Option<Stream>> {
    let list = attributes(record).find(|attribute| attribute.is(Type::List, b""));
    let Some(list) = list.filter(|_| kind != Type::List) else {
        return attributes(record)
            .find(|attribute| attribute.is(kind, name))
            .map(whole)
            .transpose();
    };
    listed(ntfs, record, list, kind, name)
}

fn whole(attribute: Attribute<'_>) -> Result<Stream> {
    let mut stream = Stream::new(attribute);
    stream.extend(attribute)?;
    Ok(stream)
}

/// Where a file has too many attributes for one record, a list says which record has which.
fn listed(ntfs: &Ntfs, record: &[u8], list: Attribute<'_>, kind: Type, name: &[u8]) -> Result<Option<Stream>> {
    let list = whole(list)?;
    if list.size > LIST_MAX {
        return damaged("a list of attributes longer than any");
    }
    let mut bytes = vec![0; list.size as usize];
    read(ntfs, &list, 0, &mut bytes)?;
    let own = u64::from(le32(record, 44));
    let mut found: Option<Stream> = None;
    let mut at = 0;
    while at < bytes.len() {
        let entry = part(&bytes, at, usize::from(le16(&bytes, at + 4)));
        if entry.len() < 26 {
            break;
        }
        at += entry.len();
        let named = part(entry, usize::from(byte(entry, 7)), usize::from(byte(entry, 6)) * 2);
        if le32(entry, 0) != kind as u32 || named != name {
            continue;
        }
        let reference = le64(entry, 16);
        let other;
        let holder = if reference & NUMBER == own {
            record
        } else {
            other = ntfs.record(reference)?;
            &other
        };
        let start = le64(entry, 8);
        let fits = |one: &Attribute<'_>| one.is(kind, name) && (one.is_resident() || le64(one.bytes, 16) == start);
        let Some(one) = attributes(holder).find(fits) else {
            return damaged("a list of attributes that are not there");
        };
        let stream = found.get_or_insert_with(|| Stream::new(one));
        stream.extend(one)?;
    }
    Ok(found)
}

/// The size of a file's contents. A folder's record has none.
pub(super) fn size(ntfs: &Ntfs, record: &[u8]) -> Result<u64> {
    Ok(stream(ntfs, record, Type::Data, b"")?.map_or(0, |stream| stream.size))
}

/// Fills the buffer with contents from a place on; what has never been written, or lies beyond the end, is zeros.
pub(super) fn read(ntfs: &Ntfs, stream: &Stream, offset: u64, buffer: &mut [u8]) -> Result<()> {
    if stream.flags & ENCRYPTED != 0 {
        return unsupported("this file is encrypted by Windows");
    }
    if let Place::Resident(bytes) = &stream.place {
        let found = part(bytes, usize::try_from(offset).unwrap_or(usize::MAX), buffer.len());
        buffer[..found.len()].copy_from_slice(found);
        buffer[found.len()..].fill(0);
        return Ok(());
    }
    let written = stream.written.saturating_sub(offset).min(buffer.len() as u64) as usize;
    buffer[written..].fill(0);
    let buffer = &mut buffer[..written];
    if stream.flags & COMPRESSED != 0 {
        return compressed::read(ntfs, stream, offset, buffer);
    }
    clusters(ntfs, stream, offset, buffer)
}

/// The clusters as they stand on the disk.
pub(super) fn clusters(ntfs: &Ntfs, stream: &Stream, mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
    while !buffer.is_empty() {
        let (start, count) = stream.at(offset / ntfs.cluster_size);
        let inside = offset % ntfs.cluster_size;
        let length = count
            .saturating_mul(ntfs.cluster_size)
            .saturating_sub(inside)
            .min(buffer.len() as u64) as usize;
        let (now, later) = buffer.split_at_mut(length);
        match start {
            None => now.fill(0),
            Some(start) => match start
                .checked_mul(ntfs.cluster_size)
                .and_then(|at| at.checked_add(inside))
            {
                Some(at) => fill(&*ntfs.disk, at, now)?,
                None => return damaged("where a file lies"),
            },
        }
        offset = offset.saturating_add(length as u64);
        buffer = later;
    }
    Ok(())
}
