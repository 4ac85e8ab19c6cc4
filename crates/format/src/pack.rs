//! A pack: many sealed blobs in one object.
//!
//! ```text
//! pack  := blob* toc toc_length:u32 "SRPACK01"
//! toc   := "SRT1" count:u32 entry*
//! entry := identity[32] kind:u8 length:u32          (kind 1 = chunk, 2 = page)
//! ```
//!
//! Blobs lie back to back from offset 0, so the table says where each one is. A pack is named by the BLAKE3 of its table
//! of contents. As the table holds the identity (BLAKE3) and length of every blob, the name commits to every byte of the
//! object, and nothing is hashed twice (`docs/decisions/2026-11-21-pack-name.md`).

use std::ops::Range;

use strongroom_model::{BlobId, PackId};

use crate::wire::{Malformed, Reader};

/// A pack is closed when its blobs reach this many bytes.
pub const PACK_BYTES_TARGET: usize = 16 << 20;
/// No pack is larger; a reader refuses it before reading it.
pub const PACK_BYTES_MAX: usize = 40 << 20;
/// No sealed blob is larger.
pub const BLOB_BYTES_MAX: usize = 8 << 20;
/// The fixed end of a pack: the length of the table, and the magic.
pub const FOOTER_LENGTH: usize = 12;

const MAGIC: &[u8; 8] = b"SRPACK01";
pub(crate) const TOC_MAGIC: &[u8; 4] = b"SRT1";
pub(crate) const TOC_HEADER: usize = 8;
pub(crate) const TOC_ENTRY: usize = 37;

/// What a blob holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BlobKind {
    /// A piece of contents, or many small ones.
    Chunk = 1,
    /// A node of a recovery point's tree.
    Page = 2,
}

impl BlobKind {
    /// The kind that this number stands for, if any.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Chunk),
            2 => Some(Self::Page),
            _ => None,
        }
    }
}

/// Why bytes are no pack, or not the pack they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Footer or table of contents are not as a writer makes them.
    #[error("the pack's structure is damaged: {0}")]
    Structure(&'static str),
    /// The table of contents does not have the hash that names the pack.
    #[error("the pack's table of contents does not match its name {name}")]
    Name {
        /// The name that was expected.
        name: PackId,
    },
    /// A blob's bytes do not have the hash that names it.
    #[error("blob {id} at offset {offset} of the pack is damaged")]
    Blob {
        /// The identity in the table of contents.
        id: BlobId,
        /// Where it begins.
        offset: u64,
    },
}

impl From<Malformed> for PackError {
    fn from(_: Malformed) -> Self {
        Self::Structure("it ends too early")
    }
}

/// Where one blob lies in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TocEntry {
    /// BLAKE3 of the blob's bytes.
    pub id: BlobId,
    /// What it holds.
    pub kind: BlobKind,
    /// First byte, counted from the start of the pack.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
}

impl TocEntry {
    /// The bytes of the pack that are this blob.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.length)
    }
}

/// The table of contents of a pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toc {
    entries: Vec<TocEntry>,
}

impl Toc {
    /// The blobs in the order in which they lie.
    pub fn entries(&self) -> &[TocEntry] {
        &self.entries
    }

    /// The name of the pack with this table.
    pub fn pack_id(&self) -> PackId {
        PackId::from_bytes(*blake3::hash(&self.encode()).as_bytes())
    }

    /// Bytes of all blobs together.
    pub fn blobs_length(&self) -> u64 {
        self.entries.last().map_or(0, |last| last.range().end)
    }

    /// Bytes of the whole pack.
    pub fn pack_length(&self) -> u64 {
        self.blobs_length() + (TOC_HEADER + TOC_ENTRY * self.entries.len() + FOOTER_LENGTH) as u64
    }

    fn push(&mut self, kind: BlobKind, id: BlobId, length: u32) {
        let offset = self.blobs_length();
        self.entries.push(TocEntry {
            id,
            kind,
            offset,
            length,
        });
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TOC_HEADER + TOC_ENTRY * self.entries.len());
        out.extend_from_slice(TOC_MAGIC);
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            out.extend_from_slice(entry.id.as_bytes());
            out.push(entry.kind as u8);
            out.extend_from_slice(&entry.length.to_le_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, PackError> {
        let mut reader = Reader::new(bytes);
        if reader.array::<4>()? != *TOC_MAGIC {
            return Err(PackError::Structure("its table of contents does not begin as one"));
        }
        let count = reader.u32()? as usize;
        if reader.rest().len() != count.saturating_mul(TOC_ENTRY) {
            return Err(PackError::Structure(
                "its table of contents has another length than it says",
            ));
        }
        let mut toc = Self {
            entries: Vec::with_capacity(count),
        };
        for _ in 0..count {
            let id = BlobId::from_bytes(reader.array()?);
            let kind = BlobKind::from_number(reader.u8()?).ok_or(PackError::Structure("it holds an unknown kind"))?;
            let length = reader.u32()?;
            if length as usize > BLOB_BYTES_MAX {
                return Err(PackError::Structure("it holds a blob above the largest size"));
            }
            toc.push(kind, id, length);
        }
        Ok(toc)
    }
}

/// The identity of a sealed blob: BLAKE3 of its bytes.
pub fn blob_id(bytes: &[u8]) -> BlobId {
    BlobId::from_bytes(*blake3::hash(bytes).as_bytes())
}

/// Collects blobs into a pack.
#[derive(Debug, Default)]
pub struct PackBuilder {
    bytes: Vec<u8>,
    toc: Toc,
}

impl PackBuilder {
    /// An empty pack.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a blob. `id` must be [`blob_id`] of `bytes`, and `bytes` at most [`BLOB_BYTES_MAX`].
    pub fn push(&mut self, kind: BlobKind, id: BlobId, bytes: &[u8]) {
        debug_assert_eq!(id, blob_id(bytes));
        debug_assert!(bytes.len() <= BLOB_BYTES_MAX);
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(PACK_BYTES_TARGET + (PACK_BYTES_TARGET >> 4));
        }
        self.bytes.extend_from_slice(bytes);
        self.toc.push(kind, id, bytes.len() as u32);
    }

    /// Bytes of the blobs so far.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many blobs it holds.
    pub fn len(&self) -> usize {
        self.toc.entries.len()
    }

    /// Whether it holds no blob yet.
    pub fn is_empty(&self) -> bool {
        self.toc.entries.is_empty()
    }

    /// Closes the pack: its name, its bytes, its table of contents.
    pub fn finish(self) -> (PackId, Vec<u8>, Toc) {
        let Self { mut bytes, toc } = self;
        let table = toc.encode();
        let name = PackId::from_bytes(*blake3::hash(&table).as_bytes());
        bytes.extend_from_slice(&table);
        bytes.extend_from_slice(&(table.len() as u32).to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        (name, bytes, toc)
    }
}

/// Where the table of contents lies in a pack of `pack_length` bytes that ends in `footer`.
pub fn toc_range(pack_length: u64, footer: &[u8; FOOTER_LENGTH]) -> Result<Range<u64>, PackError> {
    let (length, magic) = footer.split_first_chunk::<4>().expect("a footer has twelve bytes");
    if magic != MAGIC {
        return Err(PackError::Structure(not_ours(magic)));
    }
    if pack_length > PACK_BYTES_MAX as u64 {
        return Err(PackError::Structure("it is above the largest size"));
    }
    let end = pack_length
        .checked_sub(FOOTER_LENGTH as u64)
        .ok_or(PackError::Structure("it ends too early"))?;
    let start = end
        .checked_sub(u64::from(u32::from_le_bytes(*length)))
        .ok_or(PackError::Structure("its table of contents is longer than the pack"))?;
    Ok(start..end)
}

/// Reads the table of contents (the bytes of [`toc_range`]) of pack `name`, which has `pack_length` bytes in all.
pub fn parse_toc(name: PackId, pack_length: u64, toc: &[u8]) -> Result<Toc, PackError> {
    if blake3::hash(toc) != *name.as_bytes() {
        return Err(PackError::Name { name });
    }
    decode_toc(pack_length, toc)
}

/// Why a magic is refused: a newer one differs in its last two digits.
fn not_ours(magic: &[u8]) -> &'static str {
    if magic.starts_with(&MAGIC[..6]) {
        "it has another format than this program reads: use a newer strongroom"
    } else {
        "it does not end as a pack"
    }
}

fn decode_toc(pack_length: u64, toc: &[u8]) -> Result<Toc, PackError> {
    let toc = Toc::decode(toc)?;
    if toc.pack_length() != pack_length {
        return Err(PackError::Structure("its blobs do not fill it exactly"));
    }
    Ok(toc)
}

/// Reads a pack's structure. Neither its name nor its blobs are checked: see [`verify_pack`].
pub fn parse_pack(bytes: &[u8]) -> Result<Toc, PackError> {
    decode_toc(bytes.len() as u64, toc_bytes(bytes)?)
}

/// Checks a pack completely: structure, name, and the identity of every blob.
pub fn verify_pack(name: PackId, bytes: &[u8]) -> Result<Toc, PackError> {
    let toc = parse_toc(name, bytes.len() as u64, toc_bytes(bytes)?)?;
    for entry in &toc.entries {
        let range = entry.range();
        if blob_id(&bytes[range.start as usize..range.end as usize]) != entry.id {
            return Err(PackError::Blob {
                id: entry.id,
                offset: entry.offset,
            });
        }
    }
    Ok(toc)
}

fn toc_bytes(bytes: &[u8]) -> Result<&[u8], PackError> {
    let footer = bytes.last_chunk().ok_or(PackError::Structure("it ends too early"))?;
    let range = toc_range(bytes.len() as u64, footer)?;
    Ok(&bytes[range.start as usize..range.end as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small_pack() -> (PackId, Vec<u8>, Toc) {
        let mut builder = PackBuilder::new();
        for (kind, blob) in [
            (BlobKind::Chunk, &b"first"[..]),
            (BlobKind::Page, b""),
            (BlobKind::Chunk, b"third"),
        ] {
            builder.push(kind, blob_id(blob), blob);
        }
        builder.finish()
    }

    #[test]
    fn packs_round_trip() {
        let (name, bytes, toc) = small_pack();
        assert_eq!(verify_pack(name, &bytes).as_ref(), Ok(&toc));
        assert_eq!(parse_pack(&bytes).as_ref(), Ok(&toc));
        assert_eq!((toc.pack_id(), toc.pack_length()), (name, bytes.len() as u64));
        assert_eq!(toc.entries()[2].range(), 5..10);
        let empty = PackBuilder::new().finish();
        assert!(verify_pack(empty.0, &empty.1).unwrap().entries().is_empty());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (name, bytes, _) = small_pack();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(verify_pack(name, &damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_and_extension_is_noticed() {
        let (name, bytes, _) = small_pack();
        for length in 0..bytes.len() {
            assert!(verify_pack(name, &bytes[..length]).is_err(), "length {length}");
            assert!(
                verify_pack(name, &bytes[bytes.len() - length..]).is_err(),
                "last {length}"
            );
        }
        assert!(verify_pack(name, &[&bytes[..], b"x"].concat()).is_err());
    }

    #[test]
    fn a_damaged_blob_is_named() {
        let (name, mut bytes, toc) = small_pack();
        bytes[7] ^= 1;
        let expected = PackError::Blob {
            id: toc.entries()[2].id,
            offset: 5,
        };
        assert_eq!(verify_pack(name, &bytes), Err(expected));
    }
}
