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
//!
//! One list of records has exactly one encoding, which the reader insists on: what can be left out or shared is, and
//! chunks are listed once each, in the order in which records first use them.

mod builder;
mod reader;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

pub use builder::LeafBuilder;
pub use reader::LeafReader;

use crate::entry::{Owner, Time};

/// No leaf is longer when opened.
pub const LEAF_BYTES_MAX: usize = 4 << 20;
/// The paths of one leaf, written out, have no more bytes: `shared` must not turn a small page into a large one.
pub const LEAF_PATH_BYTES_MAX: usize = 2 << 20;

const VERSION: u8 = 1;

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
