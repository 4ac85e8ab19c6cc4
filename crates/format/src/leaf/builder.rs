//! Writes leaves.

use std::collections::HashMap;

use strongroom_model::BlobId;

use super::{
    BLOCK_DEVICE, Before, CHAR_DEVICE, CONTINUES, DIRECTORY, FIFO, FILE, HARD_LINK, HAS_ATTRIBUTES, MORE, SAME_DEVICE,
    SAME_MODE, SAME_MTIME, SAME_OWNER, SOCKET, SYMLINK, VERSION,
};
use crate::entry::{Attribute, Chunk, Content, Entry, Extent, Kind, Node, Owner, Record};
use crate::wire::{put_counted, put_path, put_varint, put_zigzag};

/// Collects the records of one leaf.
#[derive(Debug, Default)]
pub struct LeafBuilder {
    records: Vec<u8>,
    count: u64,
    path_bytes: usize,
    chunks: Vec<Chunk>,
    positions: HashMap<BlobId, usize>,
    before: Before,
}

impl LeafBuilder {
    /// Appends a record that passes [`Entry::check`]. Records come in path order; a [`Record::More`] directly follows
    /// the record that it continues.
    pub fn push(&mut self, entry: &Entry) {
        debug_assert_eq!(entry.check(), Ok(()), "a page takes only what it can give back");
        put_path(&mut self.records, &self.before.path, &entry.path);
        match &entry.record {
            Record::Node(node) => self.put_node(node),
            Record::More(content) => {
                put_varint(&mut self.records, MORE | continues(content));
                self.put_content(content);
            }
        }
        self.before.path.clone_from(&entry.path);
        self.path_bytes += entry.path.len();
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

    /// Bytes of the paths of its records, each counted in full.
    pub fn path_bytes(&self) -> usize {
        self.path_bytes
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
