//! The inside of a leaf page: records in path order.
//!
//! ```text
//! leaf     := version:u8 chunk_length:varint* (one for each reference of the visible part) count:varint record*
//! record   := shared:varint suffix:counted flags:varint fields
//! fields   := node fields, or for a continuation: extents
//! node     := mode:varint? owner? mtime? ctime:zigzag inode:zigzag device:varint? attributes? kind fields
//! owner    := uid:varint gid:varint user:counted group:counted
//! mtime    := seconds:zigzag nanoseconds:varint
//! attributes := count:varint (name:counted value:counted)*
//! kind     := file: size:varint extents · link: target:counted · device: major:varint minor:varint
//! extents  := count:varint extent*
//! extent   := 0 length                            hole
//!           | 1 length                            zeros
//!           | 2 fingerprint[16] chunk offset length   piece
//!           | 3 fingerprint[16] length            piece right after the last one, in the same chunk
//!           | 4 chunk offset length fingerprint[16]*  blocks of 64 KiB
//! ```
//!
//! `shared` is how many bytes the path has in common with the path before it. Fields marked `?` are left out when the
//! flags say that they equal those of the record before; `seconds`, `ctime` and `inode` are differences to it. So a leaf
//! of ordinary files takes about 30 bytes a file before compression, 16 of them the fingerprint.

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_model::BlobId;

use crate::entry::{
    Attribute, BLOCK_BYTES, Chunk, Content, Entry, Extent, Fingerprint, Kind, MalformedEntry, Node, Owner,
    PATH_BYTES_MAX, Record, Time, compare_paths, is_plain_path,
};
use crate::page::Refs;
use crate::wire::{Malformed, Reader, put_counted, put_varint, put_zigzag};

/// No leaf is longer when opened.
pub const LEAF_BYTES_MAX: usize = 4 << 20;

const VERSION: u8 = 1;
const NAME_MAX: usize = 256;
const VALUE_MAX: usize = 1 << 20;
const EXTENTS_MAX: u64 = 1 << 16;

const KIND_MASK: u64 = 0xf;
const SAME_MODE: u64 = 1 << 4;
const SAME_OWNER: u64 = 1 << 5;
const SAME_MTIME: u64 = 1 << 6;
const SAME_DEVICE: u64 = 1 << 7;
const HAS_ATTRIBUTES: u64 = 1 << 8;
const CONTINUES: u64 = 1 << 9;
const FLAGS_MAX: u64 = (1 << 10) - 1;

const FILE: u64 = 0;
const DIRECTORY: u64 = 1;
const SYMLINK: u64 = 2;
const HARD_LINK: u64 = 3;
const FIFO: u64 = 4;
const SOCKET: u64 = 5;
const CHAR_DEVICE: u64 = 6;
const BLOCK_DEVICE: u64 = 7;
const MORE: u64 = 8;

/// What a record is encoded relative to.
#[derive(Clone, Debug, Default)]
struct Before {
    path: Vec<u8>,
    mode: u32,
    owner: Arc<Owner>,
    mtime: Time,
    ctime: i64,
    inode: u64,
    device: u64,
    /// Position of the last chunk, and the end of the last piece in it.
    piece: Option<(usize, u32)>,
    continues: bool,
}

/// Collects the records of one leaf.
#[derive(Debug, Default)]
pub struct LeafBuilder {
    records: Vec<u8>,
    count: u64,
    chunks: Vec<Chunk>,
    positions: HashMap<BlobId, usize>,
    before: Before,
}

impl LeafBuilder {
    /// Appends a record. Records come in path order; a [`Record::More`] directly follows the record that it continues.
    pub fn push(&mut self, entry: &Entry) {
        let shared = self
            .before
            .path
            .iter()
            .zip(&entry.path)
            .take_while(|(a, b)| a == b)
            .count();
        put_varint(&mut self.records, shared as u64);
        put_counted(&mut self.records, &entry.path[shared..]);
        match &entry.record {
            Record::Node(node) => self.put_node(node),
            Record::More(content) => {
                put_varint(&mut self.records, MORE | continues(content));
                self.put_content(content);
            }
        }
        self.before.path.truncate(shared);
        self.before.path.extend_from_slice(&entry.path[shared..]);
        self.count += 1;
    }

    /// How many records it holds.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether it holds no record yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the records so far.
    pub fn len_bytes(&self) -> usize {
        self.records.len()
    }

    /// How many chunks it refers to.
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// Closes the leaf: what it refers to, and its plain bytes.
    pub fn finish(self) -> (Vec<BlobId>, Vec<u8>) {
        let mut plain = Vec::with_capacity(self.records.len() + self.chunks.len() * 4 + 8);
        plain.push(VERSION);
        self.chunks
            .iter()
            .for_each(|chunk| put_varint(&mut plain, u64::from(chunk.length)));
        put_varint(&mut plain, self.count);
        plain.extend_from_slice(&self.records);
        (self.chunks.into_iter().map(|chunk| chunk.id).collect(), plain)
    }

    fn put_node(&mut self, node: &Node) {
        let flags = self.node_flags(node);
        let out = &mut self.records;
        let before = &mut self.before;
        put_varint(out, flags);
        if flags & SAME_MODE == 0 {
            put_varint(out, u64::from(node.mode));
        }
        if flags & SAME_OWNER == 0 {
            put_owner(out, &node.owner);
        }
        if flags & SAME_MTIME == 0 {
            put_zigzag(out, node.mtime.seconds.wrapping_sub(before.mtime.seconds));
            put_varint(out, u64::from(node.mtime.nanoseconds));
        }
        put_zigzag(out, node.ctime.wrapping_sub(before.ctime));
        put_zigzag(out, node.inode.wrapping_sub(before.inode) as i64);
        if flags & SAME_DEVICE == 0 {
            put_varint(out, node.device);
        }
        if flags & HAS_ATTRIBUTES != 0 {
            put_attributes(out, &node.attributes);
        }
        before.mode = node.mode;
        before.owner.clone_from(&node.owner);
        (before.mtime, before.ctime) = (node.mtime, node.ctime);
        (before.inode, before.device) = (node.inode, node.device);
        self.put_kind(&node.kind);
    }

    fn node_flags(&self, node: &Node) -> u64 {
        let before = &self.before;
        let flag = |condition, flag| if condition { flag } else { 0 };
        let number = kind_number(&node.kind);
        number
            | flag(node.mode == before.mode, SAME_MODE)
            | flag(node.owner == before.owner, SAME_OWNER)
            | flag(node.mtime == before.mtime, SAME_MTIME)
            | flag(node.device == before.device, SAME_DEVICE)
            | flag(!node.attributes.is_empty(), HAS_ATTRIBUTES)
            | match &node.kind {
                Kind::File { content, .. } => continues(content),
                _ => 0,
            }
    }

    fn put_kind(&mut self, kind: &Kind) {
        match kind {
            Kind::File { size, content } => {
                put_varint(&mut self.records, *size);
                self.put_content(content);
            }
            Kind::Symlink { target } | Kind::HardLink { target } => put_counted(&mut self.records, target),
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                put_varint(&mut self.records, u64::from(*major));
                put_varint(&mut self.records, u64::from(*minor));
            }
            Kind::Directory | Kind::Fifo | Kind::Socket => {}
        }
    }

    fn put_content(&mut self, content: &Content) {
        put_varint(&mut self.records, content.extents.len() as u64);
        content.extents.iter().for_each(|extent| self.put_extent(extent));
        self.before.continues = content.continues;
    }

    fn put_extent(&mut self, extent: &Extent) {
        match extent {
            Extent::Hole { length } => self.put_numbers(&[0, *length]),
            Extent::Zero { length } => self.put_numbers(&[1, *length]),
            Extent::Piece {
                fingerprint,
                chunk,
                offset,
                length,
            } => {
                let position = self.position(*chunk);
                if self.before.piece == Some((position, *offset)) {
                    self.records.push(3);
                    self.records.extend_from_slice(&fingerprint.0);
                    self.put_numbers(&[u64::from(*length)]);
                } else {
                    self.records.push(2);
                    self.records.extend_from_slice(&fingerprint.0);
                    self.put_numbers(&[position as u64, u64::from(*offset), u64::from(*length)]);
                }
                self.before.piece = Some((position, offset + length));
            }
            Extent::Blocks {
                fingerprints,
                chunk,
                offset,
                length,
            } => {
                let position = self.position(*chunk);
                self.put_numbers(&[4, position as u64, u64::from(*offset), u64::from(*length)]);
                fingerprints
                    .iter()
                    .for_each(|fingerprint| self.records.extend_from_slice(&fingerprint.0));
                self.before.piece = Some((position, offset + length));
            }
        }
    }

    fn put_numbers(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| put_varint(&mut self.records, *number));
    }

    fn position(&mut self, chunk: Chunk) -> usize {
        *self.positions.entry(chunk.id).or_insert_with(|| {
            self.chunks.push(chunk);
            self.chunks.len() - 1
        })
    }
}

fn continues(content: &Content) -> u64 {
    if content.continues { CONTINUES } else { 0 }
}

fn kind_number(kind: &Kind) -> u64 {
    match kind {
        Kind::File { .. } => FILE,
        Kind::Directory => DIRECTORY,
        Kind::Symlink { .. } => SYMLINK,
        Kind::HardLink { .. } => HARD_LINK,
        Kind::Fifo => FIFO,
        Kind::Socket => SOCKET,
        Kind::CharDevice { .. } => CHAR_DEVICE,
        Kind::BlockDevice { .. } => BLOCK_DEVICE,
    }
}

fn put_owner(out: &mut Vec<u8>, owner: &Owner) {
    put_varint(out, u64::from(owner.uid));
    put_varint(out, u64::from(owner.gid));
    put_counted(out, &owner.user);
    put_counted(out, &owner.group);
}

fn put_attributes(out: &mut Vec<u8>, attributes: &[Attribute]) {
    put_varint(out, attributes.len() as u64);
    for (name, value) in attributes {
        put_counted(out, name);
        put_counted(out, value);
    }
}

/// Reads the records of an opened leaf, one after the other. After an error it ends.
#[derive(Debug)]
pub struct LeafReader<'a> {
    reader: Reader<'a>,
    chunks: Vec<Chunk>,
    left: u64,
    first: bool,
    before: Before,
}

impl<'a> LeafReader<'a> {
    /// Begins with the references of the visible part and the opened bytes of the sealed one.
    pub fn new(refs: Refs<'_>, plain: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(plain);
        if reader.u8()? != VERSION {
            return Err(MalformedEntry::Kind.into());
        }
        let chunks = refs
            .iter()
            .map(|id| {
                Ok(Chunk {
                    id,
                    length: reader.bounded(u64::from(u32::MAX))? as u32,
                })
            })
            .collect::<Result<_, Malformed>>()?;
        let left = reader.bounded(plain.len() as u64)?;
        Ok(Self {
            reader,
            chunks,
            left,
            first: true,
            before: Before::default(),
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
        self.before.path.clone_from(&path);
        self.first = false;
        Ok(Entry { path, record })
    }

    fn path(&mut self) -> Result<Vec<u8>, Malformed> {
        let shared = self.reader.bounded(self.before.path.len() as u64)? as usize;
        let suffix = self.reader.counted(PATH_BYTES_MAX)?;
        let path = [&self.before.path[..shared], suffix].concat();
        if is_plain_path(&path) {
            Ok(path)
        } else {
            Err(MalformedEntry::Path.into())
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
            before.mode = reader.bounded(0o7777)? as u32;
        }
        if flags & SAME_OWNER == 0 {
            before.owner = Arc::new(owner(reader)?);
        }
        if flags & SAME_MTIME == 0 {
            before.mtime.seconds = before.mtime.seconds.wrapping_add(reader.zigzag()?);
            before.mtime.nanoseconds = nanoseconds(reader)?;
        }
        before.ctime = before.ctime.wrapping_add(reader.zigzag()?);
        before.inode = before.inode.wrapping_add(reader.zigzag()? as u64);
        if flags & SAME_DEVICE == 0 {
            before.device = reader.varint()?;
        }
        Ok(())
    }

    fn attributes(&mut self) -> Result<Vec<Attribute>, Malformed> {
        let count = self.reader.bounded(self.reader.rest().len() as u64)?;
        let attribute =
            |reader: &mut Reader<'_>| Ok((reader.counted(NAME_MAX)?.to_vec(), reader.counted(VALUE_MAX)?.to_vec()));
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
            SYMLINK => Kind::Symlink {
                target: self.reader.counted(PATH_BYTES_MAX)?.to_vec(),
            },
            HARD_LINK => Kind::HardLink {
                target: self.link_target()?,
            },
            FIFO => Kind::Fifo,
            SOCKET => Kind::Socket,
            CHAR_DEVICE => Kind::CharDevice {
                major: self.number()?,
                minor: self.number()?,
            },
            BLOCK_DEVICE => Kind::BlockDevice {
                major: self.number()?,
                minor: self.number()?,
            },
            _ => return Err(MalformedEntry::Kind.into()),
        })
    }

    fn link_target(&mut self) -> Result<Vec<u8>, Malformed> {
        let target = self.reader.counted(PATH_BYTES_MAX)?.to_vec();
        if is_plain_path(&target) {
            Ok(target)
        } else {
            Err(MalformedEntry::Path.into())
        }
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        Ok(self.reader.bounded(u64::from(u32::MAX))? as u32)
    }

    fn content(&mut self, flags: u64) -> Result<Content, Malformed> {
        let count = self.reader.bounded(EXTENTS_MAX.min(self.reader.rest().len() as u64))?;
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
                length: self.reader.bounded(i64::MAX as u64)?,
            }),
            1 => Ok(Extent::Zero {
                length: self.reader.bounded(i64::MAX as u64)?,
            }),
            tag @ (2 | 3) => self.piece(tag),
            4 => self.blocks(),
            _ => Err(MalformedEntry::Kind.into()),
        }
    }

    fn piece(&mut self, tag: u8) -> Result<Extent, Malformed> {
        let fingerprint = Fingerprint(self.reader.array()?);
        let (position, offset) = match tag {
            2 => (self.number()? as usize, self.number()?),
            _ => self.before.piece.ok_or(MalformedEntry::Reference)?,
        };
        let (chunk, length) = self.within_chunk(position, offset)?;
        Ok(Extent::Piece {
            fingerprint,
            chunk,
            offset,
            length,
        })
    }

    fn blocks(&mut self) -> Result<Extent, Malformed> {
        let (position, offset) = (self.number()? as usize, self.number()?);
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

    /// Reads a length and checks that so many bytes lie in the chunk from `offset` on.
    fn within_chunk(&mut self, position: usize, offset: u32) -> Result<(Chunk, u32), Malformed> {
        let chunk = *self.chunks.get(position).ok_or(MalformedEntry::Reference)?;
        let length = self.number()?;
        let end = offset.checked_add(length).ok_or(MalformedEntry::Extent)?;
        if length == 0 || end > chunk.length {
            return Err(MalformedEntry::Extent.into());
        }
        self.before.piece = Some((position, end));
        Ok((chunk, length))
    }
}

impl Iterator for LeafReader<'_> {
    type Item = Result<Entry, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let end = self.reader.end();
            self.reader = Reader::new(&[]);
            return end.err().map(Err);
        }
        self.left -= 1;
        let record = self.record();
        if record.is_err() {
            self.left = 0;
            self.reader = Reader::new(&[]);
        }
        Some(record)
    }
}

fn owner(reader: &mut Reader<'_>) -> Result<Owner, Malformed> {
    let number = |reader: &mut Reader<'_>| Ok::<_, Malformed>(reader.bounded(u64::from(u32::MAX))? as u32);
    Ok(Owner {
        uid: number(reader)?,
        gid: number(reader)?,
        user: reader.counted(NAME_MAX)?.to_vec(),
        group: reader.counted(NAME_MAX)?.to_vec(),
    })
}

fn nanoseconds(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    let value = reader.varint()?;
    if value < 1_000_000_000 {
        Ok(value as u32)
    } else {
        Err(MalformedEntry::Time.into())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::page::{parse_visible, put_visible};

    /// Any content whose pieces lie within their chunks.
    fn any_extent() -> impl Strategy<Value = Extent> {
        let chunk = (0u8..4).prop_map(|n| Chunk {
            id: BlobId::from_bytes([n; 32]),
            length: 3 << 20,
        });
        let fingerprint = any::<[u8; 16]>().prop_map(Fingerprint);
        prop_oneof![
            (1u64..1 << 40).prop_map(|length| Extent::Hole { length }),
            (1u64..1 << 40).prop_map(|length| Extent::Zero { length }),
            (fingerprint.clone(), chunk.clone(), 0u32..1 << 20, 1u32..1 << 20).prop_map(
                |(fingerprint, chunk, offset, length)| Extent::Piece {
                    fingerprint,
                    chunk,
                    offset,
                    length
                }
            ),
            (vec(fingerprint, 1..4), chunk, 0u32..1 << 20).prop_map(|(fingerprints, chunk, offset)| {
                let length = (fingerprints.len() * BLOCK_BYTES) as u32 - 7;
                Extent::Blocks {
                    fingerprints,
                    chunk,
                    offset,
                    length,
                }
            }),
        ]
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        let content = vec(any_extent(), 0..4).prop_map(|extents| Content {
            extents,
            continues: false,
        });
        prop_oneof![
            4 => (any::<u64>(), content).prop_map(|(size, content)| Kind::File { size, content }),
            1 => Just(Kind::Directory),
            1 => vec(any::<u8>(), 0..9).prop_map(|target| Kind::Symlink { target }),
            1 => Just(Kind::HardLink { target: b"a/b".to_vec() }),
            1 => Just(Kind::Fifo),
            1 => Just(Kind::Socket),
            1 => any::<(u32, u32)>().prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
            1 => any::<(u32, u32)>().prop_map(|(major, minor)| Kind::BlockDevice { major, minor }),
        ]
    }

    prop_compose! {
        fn any_node()(
            kind in any_kind(),
            mode in 0u32..0o10000,
            uid in 0u32..3,
            seconds: i64,
            nanoseconds in 0u32..1_000_000_000,
            ctime: i64,
            inode: u64,
            device in 0u64..2,
            attributes in vec((vec(any::<u8>(), 1..5), vec(any::<u8>(), 0..5)), 0..2),
        ) -> Node {
            let owner = Arc::new(Owner { uid, gid: 0, user: b"root".to_vec(), group: vec![] });
            Node { kind, mode, owner, mtime: Time { seconds, nanoseconds }, ctime, inode, device, attributes }
        }
    }

    /// A tree of entries in path order.
    pub(crate) fn any_entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
        let path = vec(
            vec(prop_oneof![Just(b'a'), Just(b'.'), Just(0xff), Just(b'-')], 1..4),
            1..4,
        )
        .prop_map(|parts| parts.join(&b'/'))
        .prop_filter("plain", |path| is_plain_path(path));
        vec((path, any_node()), 0..most).prop_map(|mut nodes| {
            nodes.sort_by(|a, b| compare_paths(&a.0, &b.0));
            nodes.dedup_by(|a, b| a.0 == b.0);
            nodes
                .into_iter()
                .map(|(path, node)| Entry {
                    path,
                    record: Record::Node(Box::new(node)),
                })
                .collect()
        })
    }

    pub(crate) fn read(refs: &[BlobId], plain: &[u8]) -> Result<Vec<Entry>, Malformed> {
        let mut visible = Vec::new();
        put_visible(&mut visible, 0, refs);
        LeafReader::new(parse_visible(&visible).unwrap().refs, plain)?.collect()
    }

    fn build(entries: &[Entry]) -> (Vec<BlobId>, Vec<u8>) {
        let mut builder = LeafBuilder::default();
        entries.iter().for_each(|entry| builder.push(entry));
        builder.finish()
    }

    proptest! {
        #[test]
        fn leaves_round_trip(entries in any_entries(40)) {
            let (refs, plain) = build(&entries);
            prop_assert_eq!(read(&refs, &plain).unwrap(), entries);
        }

        #[test]
        fn damaged_leaves_never_panic(entries in any_entries(8), at: usize, bit in 0u8..8) {
            let (refs, mut plain) = build(&entries);
            let at = at % plain.len();
            plain[at] ^= 1 << bit;
            let _ = read(&refs, &plain);
            let _ = read(&refs, &plain[..at]);
        }

        #[test]
        fn noise_never_panics(plain in vec(any::<u8>(), 0..200)) {
            let _ = read(&[BlobId::from_bytes([0; 32])], &plain);
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let entries: Vec<Entry> = ["a", "a/b", "c"].map(|path| file(path, 9)).to_vec();
        let (refs, plain) = build(&entries);
        for length in 0..plain.len() {
            assert!(read(&refs, &plain[..length]).is_err(), "length {length}");
        }
        assert!(read(&refs, &[&plain[..], &[0]].concat()).is_err());
    }

    #[test]
    fn order_and_continuation_are_enforced() {
        let more = |path: &str, continues| Entry {
            path: path.into(),
            record: Record::More(Content {
                extents: vec![Extent::Zero { length: 1 }],
                continues,
            }),
        };
        let (refs, plain) = build(&[file("b", 1), file("a", 1)]);
        assert_eq!(read(&refs, &plain), Err(MalformedEntry::Order.into()));
        let (refs, plain) = build(&[file("a", 1), more("a", false)]);
        assert_eq!(read(&refs, &plain), Err(MalformedEntry::Continuation.into()));
        let (refs, plain) = build(&[more("a", true), more("a", false), file("b", 1)]);
        assert_eq!(read(&refs, &plain).unwrap().len(), 3);
    }

    #[test]
    fn an_ordinary_file_takes_less_than_forty_bytes() {
        let entries: Vec<Entry> = (0..1000)
            .map(|n| file(&format!("usr/include/header{n:04}.h"), 3000))
            .collect();
        let (_, plain) = build(&entries);
        assert!(plain.len() < 40 * entries.len(), "{}", plain.len() / entries.len());
    }

    pub(crate) fn file(path: &str, length: u32) -> Entry {
        let number: u32 = path.bytes().map(u32::from).sum();
        let chunk = Chunk {
            id: BlobId::from_bytes([number as u8; 32]),
            length: 1 << 20,
        };
        let piece = Extent::Piece {
            fingerprint: Fingerprint([9; 16]),
            chunk,
            offset: number % 4096,
            length,
        };
        let content = Content {
            extents: vec![piece],
            continues: false,
        };
        let node = Node {
            kind: Kind::File {
                size: length.into(),
                content,
            },
            mode: 0o644,
            owner: Arc::default(),
            mtime: Time {
                seconds: 1_700_000_000,
                nanoseconds: 0,
            },
            ctime: 1_700_000_000_000_000_000 + i64::from(number) * 20_000,
            inode: 1000 + u64::from(number),
            device: 3,
            attributes: vec![],
        };
        Entry {
            path: path.into(),
            record: Record::Node(Box::new(node)),
        }
    }
}
