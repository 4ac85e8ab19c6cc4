//! A file of a snapshot, being read: its blobs one after the other, the next ones ahead in another thread.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use strongroom_sources::files::{Meta, ReadError, ReadErrorKind, Segment, Xattrs};
use strongroom_sources::source::Contents;

use crate::blobs::Blobs;
use crate::error::ResticError;
use crate::id::Id;
use crate::index::BlobKind;
use crate::walk::SnapshotEntry;

/// Blobs that wait to be asked for, beside the one that is being read and the one that is asked for.
const AHEAD: usize = 1;

/// A file of a snapshot.
#[derive(Debug)]
pub struct SnapshotFile {
    entry: SnapshotEntry,
    meta: Meta,
    parts: Arc<[Part]>,
    ahead: RefCell<Option<Ahead>>,
}

/// A blob in its place.
#[derive(Clone, Copy, Debug)]
struct Part {
    offset: u64,
    length: u64,
    id: Id,
    is_hole: bool,
}

/// The blob that is being read, and those that come.
#[derive(Debug)]
struct Ahead {
    at: usize,
    contents: Vec<u8>,
    coming: Receiver<(usize, Result<Vec<u8>, ResticError>)>,
}

impl SnapshotFile {
    /// Finds all blobs of a file, and reads none.
    pub(crate) fn open(entry: &SnapshotEntry) -> Result<Self, ReadError> {
        let ids = entry.node().content.as_deref().unwrap_or_default();
        let (mut parts, mut offset) = (Vec::with_capacity(ids.len()), 0u64);
        for id in ids {
            let length = entry.blobs().length(id).map_err(|error| failed(entry, error))?;
            parts.push(Part {
                offset,
                length,
                id: *id,
                is_hole: entry.blobs().is_zeros(id),
            });
            offset = offset.saturating_add(length);
        }
        let mut meta = entry.facts();
        // restic sets the size to what it could read; should it differ, the contents are what there is.
        meta.size = offset;
        Ok(Self {
            entry: entry.clone(),
            meta,
            parts: parts.into(),
            ahead: RefCell::default(),
        })
    }

    /// All of it.
    pub(crate) fn read_to_end(&self, into: &mut Vec<u8>) -> Result<(), ReadError> {
        for part in &*self.parts {
            into.extend(read(self.entry.blobs(), part).map_err(|error| failed(&self.entry, error))?);
        }
        Ok(())
    }

    /// Copies from a part; `offset` is within it.
    fn copy(&self, index: usize, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let part = &self.parts[index];
        let length = buffer.len().min((part.length - offset) as usize);
        if part.is_hole || length == 0 {
            buffer[..length].fill(0);
            return Ok(length);
        }
        let mut ahead = self.ahead.borrow_mut();
        let ahead = self.move_to(&mut ahead, index)?;
        let from = offset as usize;
        buffer[..length].copy_from_slice(&ahead.contents[from..from + length]);
        Ok(length)
    }

    /// Makes a part the present one: what comes next if it is that, else begins again there.
    fn move_to<'a>(&self, ahead: &'a mut Option<Ahead>, index: usize) -> Result<&'a Ahead, ReadError> {
        if ahead.as_ref().is_none_or(|ahead| index < ahead.at) {
            *ahead = Some(self.begin(index));
        }
        let present = ahead.as_mut().expect("it was begun");
        while present.at < index || present.contents.is_empty() {
            let (at, contents) = present.coming.recv().map_err(|_| self.gone())?;
            present.at = at;
            present.contents = contents.map_err(|error| failed(&self.entry, error))?;
        }
        Ok(present)
    }

    fn begin(&self, index: usize) -> Ahead {
        let (send, coming) = sync_channel(AHEAD);
        let (parts, blobs) = (self.parts.clone(), self.entry.blobs().clone());
        thread::spawn(move || {
            for (at, part) in parts
                .iter()
                .enumerate()
                .skip(index)
                .filter(|(_, part)| !part.is_hole && part.length > 0)
            {
                let contents = read(&blobs, part);
                let is_last = contents.is_err();
                if send.send((at, contents)).is_err() || is_last {
                    return;
                }
            }
        });
        Ahead {
            at: index,
            contents: Vec::new(),
            coming,
        }
    }

    fn gone(&self) -> ReadError {
        failed(
            &self.entry,
            ResticError::damaged("the list of its blobs", "it ends early"),
        )
    }
}

/// A blob of the length that the index says: offsets count on it.
fn read(blobs: &Blobs, part: &Part) -> Result<Vec<u8>, ResticError> {
    let contents = blobs.read(BlobKind::Data, &part.id)?;
    match contents.len() as u64 == part.length {
        true => Ok(contents),
        false => Err(ResticError::damaged(
            format!("the index entry of blob {}", part.id),
            "its length is wrong",
        )),
    }
}

fn failed(entry: &SnapshotEntry, error: ResticError) -> ReadError {
    ReadError {
        action: "read",
        path: entry.path_bytes().to_vec(),
        kind: ReadErrorKind::Failed,
        source: io::Error::other(error),
    }
}

impl Contents for SnapshotFile {
    fn stat(&self) -> Meta {
        self.meta
    }

    fn fill_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut done = 0;
        let mut index = self.parts.partition_point(|part| part.offset + part.length <= offset);
        while done < buffer.len() && index < self.parts.len() {
            let within = offset + done as u64 - self.parts[index].offset;
            done += self.copy(index, within, &mut buffer[done..])?;
            index += 1;
        }
        Ok(done)
    }

    fn segments(&self) -> impl Iterator<Item = Result<Segment, ReadError>> {
        let runs = self.parts.chunk_by(|before, next| before.is_hole == next.is_hole);
        let segments = runs.map(|run| {
            let offset = run[0].offset;
            let len = run.iter().map(|part| part.length).sum();
            match run[0].is_hole {
                true => Segment::Hole { offset, len },
                false => Segment::Data { offset, len },
            }
        });
        segments
            .filter(|segment| !matches!(segment, Segment::Data { len: 0, .. }))
            .map(Ok)
    }

    fn unchanged_since(&self, _: &Meta) -> Result<bool, ReadError> {
        Ok(true)
    }

    fn xattrs(&self) -> Result<Xattrs, ReadError> {
        Ok(self.entry.node().attributes())
    }
}
