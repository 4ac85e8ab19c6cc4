//! Reads leaves.

use std::sync::Arc;

use super::{
    BLOCK_DEVICE, Before, CHAR_DEVICE, CONTINUES, DIRECTORY, FIFO, FILE, FLAGS_MAX, HARD_LINK, HAS_ATTRIBUTES,
    KIND_MASK, LEAF_BYTES_MAX, LEAF_PATH_BYTES_MAX, MORE, SAME_DEVICE, SAME_MODE, SAME_MTIME, SAME_OWNER, SOCKET,
    SYMLINK, VERSION,
};
use crate::entry::{
    Attribute, BLOCK_BYTES, CHUNK_PLAIN_BYTES_MAX, Chunk, Content, Entry, Extent, Fingerprint, Kind, MalformedEntry,
    NAME_BYTES_MAX, Node, Owner, PATH_BYTES_MAX, Record, VALUE_BYTES_MAX, compare_paths,
};
use crate::page::Refs;
use crate::rules::EXTENTS_MAX;
use crate::wire::{Malformed, Reader};

/// Reads the records of an opened leaf, one after the other. After an error it ends.
///
/// One record takes at most 80 times the bytes that it is encoded in, plus its path.
#[derive(Debug)]
pub struct LeafReader<'a> {
    reader: Reader<'a>,
    chunks: Vec<Chunk>,
    /// How many of the chunks the records so far refer to: always the first ones.
    used: usize,
    left: u64,
    first: bool,
    path_bytes: usize,
    before: Before,
    /// Bytes that the continuations of the last record must stand for, if its beginning is on this page.
    missing: Option<u64>,
}

impl<'a> LeafReader<'a> {
    /// Begins with the references of the visible part and the opened bytes of the sealed one.
    pub fn new(refs: Refs<'_>, plain: &'a [u8]) -> Result<Self, Malformed> {
        if plain.len() > LEAF_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        let mut reader = Reader::new(plain);
        reader.version(VERSION)?;
        let chunks = chunks(refs, &mut reader)?;
        let left = reader.bounded(plain.len() as u64)?;
        Ok(Self {
            reader,
            chunks,
            used: 0,
            left,
            first: true,
            path_bytes: 0,
            before: Before::default(),
            missing: None,
        })
    }

    /// The chunks that the leaf refers to.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    fn record(&mut self) -> Result<Entry, Malformed> {
        let path = self.path()?;
        let flags = self.reader.bounded(FLAGS_MAX)?;
        let record = if flags & KIND_MASK == MORE {
            self.more(&path, flags)?
        } else {
            self.node(&path, flags)?
        };
        let entry = Entry { path, record };
        entry.check()?;
        self.cover(&entry.record)?;
        self.before.path.clone_from(&entry.path);
        self.first = false;
        Ok(entry)
    }

    fn path(&mut self) -> Result<Vec<u8>, Malformed> {
        let path = self.reader.path(&self.before.path, PATH_BYTES_MAX)?;
        self.path_bytes += path.len();
        if self.path_bytes <= LEAF_PATH_BYTES_MAX {
            Ok(path)
        } else {
            Err(Malformed::TooLong)
        }
    }

    fn more(&mut self, path: &[u8], flags: u64) -> Result<Record, Malformed> {
        // The first record of a page may continue the last one of the page before.
        if !(self.first || self.before.continues && path == self.before.path) {
            return Err(MalformedEntry::Continuation.into());
        }
        if flags & !(MORE | CONTINUES) != 0 {
            return Err(MalformedEntry::Kind.into());
        }
        Ok(Record::More(self.content(flags)?))
    }

    fn node(&mut self, path: &[u8], flags: u64) -> Result<Record, Malformed> {
        if self.before.continues {
            return Err(MalformedEntry::Continuation.into());
        }
        if !self.first && compare_paths(&self.before.path, path).is_ge() {
            return Err(MalformedEntry::Order.into());
        }
        self.inherited_fields(flags)?;
        let attributes = if flags & HAS_ATTRIBUTES != 0 {
            self.attributes()?
        } else {
            Vec::new()
        };
        let kind = self.kind(flags)?;
        let before = &self.before;
        let (mode, mtime, ctime) = (before.mode, before.mtime, before.ctime);
        let (inode, device, owner) = (before.inode, before.device, before.owner.clone());
        Ok(Record::Node(Box::new(Node {
            kind,
            mode,
            owner,
            mtime,
            ctime,
            inode,
            device,
            attributes,
        })))
    }

    fn inherited_fields(&mut self, flags: u64) -> Result<(), Malformed> {
        let (reader, before) = (&mut self.reader, &mut self.before);
        if flags & SAME_MODE == 0 {
            let mode = reader.bounded(0o7777)? as u32;
            replace(&mut before.mode, mode)?;
        }
        if flags & SAME_OWNER == 0 {
            replace(&mut before.owner, Arc::new(owner(reader)?))?;
        }
        if flags & SAME_MTIME == 0 {
            let mut mtime = before.mtime;
            mtime.seconds = mtime.seconds.wrapping_add(reader.zigzag()?);
            mtime.nanoseconds = reader.number()?;
            replace(&mut before.mtime, mtime)?;
        }
        before.ctime = before.ctime.wrapping_add(reader.zigzag()?);
        before.inode = before.inode.wrapping_add(reader.zigzag()? as u64);
        if flags & SAME_DEVICE == 0 {
            let device = reader.varint()?;
            replace(&mut before.device, device)?;
        }
        Ok(())
    }

    fn attributes(&mut self) -> Result<Vec<Attribute>, Malformed> {
        // Every member takes at least one byte, so a count cannot ask for more memory than was sent.
        let count = self.reader.bounded(self.reader.rest().len() as u64)?;
        if count == 0 {
            return Err(Malformed::Form);
        }
        let attribute = |reader: &mut Reader<'_>| {
            let name = reader.counted(NAME_BYTES_MAX)?.to_vec();
            Ok((name, reader.counted(VALUE_BYTES_MAX)?.to_vec()))
        };
        (0..count).map(|_| attribute(&mut self.reader)).collect()
    }

    fn kind(&mut self, flags: u64) -> Result<Kind, Malformed> {
        let number = flags & KIND_MASK;
        if flags & CONTINUES != 0 && number != FILE {
            return Err(MalformedEntry::Kind.into());
        }
        Ok(match number {
            FILE => Kind::File {
                size: self.reader.varint()?,
                content: self.content(flags)?,
            },
            DIRECTORY => Kind::Directory,
            SYMLINK => Kind::Symlink { target: self.target()? },
            HARD_LINK => Kind::HardLink { target: self.target()? },
            FIFO => Kind::Fifo,
            SOCKET => Kind::Socket,
            CHAR_DEVICE => Kind::CharDevice {
                major: self.reader.number()?,
                minor: self.reader.number()?,
            },
            BLOCK_DEVICE => Kind::BlockDevice {
                major: self.reader.number()?,
                minor: self.reader.number()?,
            },
            _ => return Err(MalformedEntry::Kind.into()),
        })
    }

    fn target(&mut self) -> Result<Vec<u8>, Malformed> {
        Ok(self.reader.counted(PATH_BYTES_MAX)?.to_vec())
    }

    fn content(&mut self, flags: u64) -> Result<Content, Malformed> {
        let count = self.reader.bounded(EXTENTS_MAX.min(self.reader.rest().len()) as u64)?;
        let extents = (0..count).map(|_| self.extent()).collect::<Result<_, _>>()?;
        self.before.continues = flags & CONTINUES != 0;
        Ok(Content {
            extents,
            continues: self.before.continues,
        })
    }

    fn extent(&mut self) -> Result<Extent, Malformed> {
        match self.reader.u8()? {
            0 => Ok(Extent::Hole {
                length: self.reader.varint()?,
            }),
            1 => Ok(Extent::Zero {
                length: self.reader.varint()?,
            }),
            tag @ (2 | 3) => self.piece(tag),
            4 => self.blocks(),
            _ => Err(MalformedEntry::Kind.into()),
        }
    }

    fn piece(&mut self, tag: u8) -> Result<Extent, Malformed> {
        let fingerprint = Fingerprint(self.reader.array()?);
        let (position, offset) = match tag {
            2 => self.place()?,
            _ => self.before.piece.ok_or(MalformedEntry::Reference)?,
        };
        if tag == 2 && self.before.piece == Some((position, offset)) {
            return Err(Malformed::Form);
        }
        let (chunk, length) = self.within_chunk(position, offset)?;
        Ok(Extent::Piece {
            fingerprint,
            chunk,
            offset,
            length,
        })
    }

    fn blocks(&mut self) -> Result<Extent, Malformed> {
        let (position, offset) = self.place()?;
        let (chunk, length) = self.within_chunk(position, offset)?;
        let count = (length as usize).div_ceil(BLOCK_BYTES);
        let bytes = self.reader.bytes(count * size_of::<Fingerprint>())?;
        let fingerprints = bytes.as_chunks::<16>().0.iter().copied().map(Fingerprint).collect();
        Ok(Extent::Blocks {
            fingerprints,
            chunk,
            offset,
            length,
        })
    }

    /// Position of a chunk, and an offset in it. A chunk's first use comes after the first uses of those listed before.
    fn place(&mut self) -> Result<(usize, u32), Malformed> {
        let (position, offset) = (self.reader.number()? as usize, self.reader.number()?);
        if position > self.used {
            return Err(MalformedEntry::Reference.into());
        }
        self.used = self.used.max(position + 1);
        Ok((position, offset))
    }

    /// Reads a length and checks that so many bytes lie in the chunk from `offset` on.
    fn within_chunk(&mut self, position: usize, offset: u32) -> Result<(Chunk, u32), Malformed> {
        let chunk = *self.chunks.get(position).ok_or(MalformedEntry::Reference)?;
        let length = self.reader.number()?;
        let end = offset.checked_add(length).ok_or(MalformedEntry::Extent)?;
        if end > chunk.length {
            return Err(MalformedEntry::Extent.into());
        }
        self.before.piece = Some((position, end));
        Ok((chunk, length))
    }

    /// Checks that the extents of a file and of its continuations add up to its size.
    fn cover(&mut self, record: &Record) -> Result<(), Malformed> {
        let (content, expected) = match record {
            Record::More(content) => (content, self.missing),
            Record::Node(node) => match &node.kind {
                Kind::File { size, content } => (content, Some(*size)),
                _ => return Ok(()),
            },
        };
        self.missing = expected
            .map(|expected| expected.checked_sub(content.length()).ok_or(MalformedEntry::Size))
            .transpose()?;
        if !content.continues && self.missing.take().is_some_and(|missing| missing > 0) {
            return Err(MalformedEntry::Size.into());
        }
        Ok(())
    }

    /// What must hold after the last record.
    fn end(&mut self) -> Result<(), Malformed> {
        self.reader.end()?;
        if self.used < self.chunks.len() {
            return Err(MalformedEntry::Reference.into());
        }
        Ok(())
    }

    fn stop(&mut self) {
        (self.left, self.used) = (0, self.chunks.len());
        self.reader = Reader::new(&[]);
    }
}

impl Iterator for LeafReader<'_> {
    type Item = Result<Entry, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = if self.left == 0 {
            self.end().err().map(Err)
        } else {
            self.left -= 1;
            Some(self.record())
        };
        if matches!(found, None | Some(Err(_))) {
            self.stop();
        }
        found
    }
}

/// The chunks behind the references, each listed once.
fn chunks(refs: Refs<'_>, reader: &mut Reader<'_>) -> Result<Vec<Chunk>, Malformed> {
    let mut ids: Vec<_> = refs.iter().collect();
    let chunks = ids.iter().map(|id| {
        let length = reader.bounded(CHUNK_PLAIN_BYTES_MAX as u64)? as u32;
        Ok(Chunk { id: *id, length })
    });
    let chunks = chunks.collect::<Result<_, Malformed>>()?;
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(MalformedEntry::Reference.into());
    }
    Ok(chunks)
}

/// Takes over a field that is written only because it differs from the record before.
fn replace<T: PartialEq>(field: &mut T, value: T) -> Result<(), Malformed> {
    if *field == value {
        return Err(Malformed::Form);
    }
    *field = value;
    Ok(())
}

fn owner(reader: &mut Reader<'_>) -> Result<Owner, Malformed> {
    Ok(Owner {
        uid: reader.number()?,
        gid: reader.number()?,
        user: reader.counted(NAME_BYTES_MAX)?.to_vec(),
        group: reader.counted(NAME_BYTES_MAX)?.to_vec(),
    })
}
