//! The outside of a page, which the vault reads: what the page refers to.
//!
//! ```text
//! page := "SRP1" level:u8 ref_count:u32 identity[32]* sealed
//! ```
//!
//! Level 0 is a leaf, which refers to chunks; level n refers to pages of level n − 1. The sealed part authenticates
//! everything before it ([`VisiblePage::head`] is its associated data), so that no reference can be changed unnoticed.

use strongroom_model::BlobId;

use crate::wire::{Malformed, Reader};

/// The highest level that a page may have: with 64 children to a page, far above 2⁶⁴ entries.
pub const LEVEL_MAX: u8 = 16;
/// No page refers to more blobs.
pub const REFS_MAX: usize = 1 << 16;

const MAGIC: &[u8; 4] = b"SRP1";
const HEAD: usize = 9;

/// Why bytes are no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The bytes do not begin with the page magic.
    #[error("the bytes do not begin as a page")]
    Magic,
    /// The magic is that of another version.
    #[error("the page has another format than this program reads: use a newer strongroom")]
    Version,
    /// The level is above [`LEVEL_MAX`].
    #[error("the page has level {0}, above the highest")]
    Level(u8),
    /// The references are more than [`REFS_MAX`], or the bytes end inside them.
    #[error("the page ends inside its references")]
    Refs,
}

impl From<Malformed> for PageError {
    fn from(_: Malformed) -> Self {
        Self::Refs
    }
}

/// A page as anyone can read it.
#[derive(Clone, Copy, Debug)]
pub struct VisiblePage<'a> {
    /// 0 for a leaf.
    pub level: u8,
    /// Chunks (level 0) or pages of the level below.
    pub refs: Refs<'a>,
    /// Everything before the sealed part: its associated data.
    pub head: &'a [u8],
    /// The entries, readable with the key set only.
    pub sealed: &'a [u8],
}

/// The identities that a page refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refs<'a>(&'a [u8]);

impl<'a> Refs<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len() / 32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The reference at this position.
    pub fn get(&self, position: usize) -> Option<BlobId> {
        self.0
            .as_chunks::<32>()
            .0
            .get(position)
            .copied()
            .map(BlobId::from_bytes)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = BlobId> + 'a {
        self.0.as_chunks::<32>().0.iter().copied().map(BlobId::from_bytes)
    }
}

/// Reads the visible part of a page.
pub fn parse_visible(bytes: &[u8]) -> Result<VisiblePage<'_>, PageError> {
    let mut reader = Reader::new(bytes);
    match reader.array::<4>() {
        Ok(magic) if magic == *MAGIC => {}
        Ok(magic) if magic.starts_with(&MAGIC[..3]) => return Err(PageError::Version),
        _ => return Err(PageError::Magic),
    }
    let level = reader.u8()?;
    if level > LEVEL_MAX {
        return Err(PageError::Level(level));
    }
    let count = reader.u32()? as usize;
    if count > REFS_MAX {
        return Err(PageError::Refs);
    }
    let refs = Refs(reader.bytes(count * 32)?);
    let head = &bytes[..HEAD + count * 32];
    Ok(VisiblePage {
        level,
        refs,
        head,
        sealed: reader.rest(),
    })
}

/// Writes the visible part; the sealed part, made with these bytes as associated data, is to be appended.
///
/// # Panics
/// If `level` is above [`LEVEL_MAX`] or `refs` has more than [`REFS_MAX`] members.
pub fn put_visible(out: &mut Vec<u8>, level: u8, refs: &[BlobId]) {
    assert!(
        level <= LEVEL_MAX && refs.len() <= REFS_MAX,
        "a page is closed before it is too large"
    );
    out.reserve(HEAD + refs.len() * 32);
    out.extend_from_slice(MAGIC);
    out.push(level);
    out.extend_from_slice(&(refs.len() as u32).to_le_bytes());
    for id in refs {
        out.extend_from_slice(id.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visible_part_round_trips() {
        let refs: Vec<BlobId> = (0..3).map(|n| BlobId::from_bytes([n; 32])).collect();
        let mut bytes = Vec::new();
        put_visible(&mut bytes, 2, &refs);
        let head = bytes.clone();
        bytes.extend_from_slice(b"sealed");
        let page = parse_visible(&bytes).unwrap();
        assert_eq!((page.level, page.head, page.sealed), (2, &head[..], &b"sealed"[..]));
        assert_eq!(page.refs.iter().collect::<Vec<_>>(), refs);
        assert_eq!(
            (page.refs.len(), page.refs.get(1), page.refs.get(3)),
            (3, Some(refs[1]), None)
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let mut good = Vec::new();
        put_visible(&mut good, 0, &[BlobId::from_bytes([1; 32])]);
        for length in 0..good.len() {
            assert!(parse_visible(&good[..length]).is_err(), "length {length}");
        }
        let mut high = good.clone();
        high[4] = LEVEL_MAX + 1;
        assert_eq!(parse_visible(&high).unwrap_err(), PageError::Level(17));
        let mut newer = good.clone();
        newer[3] = b'2';
        assert_eq!(parse_visible(&newer).unwrap_err(), PageError::Version);
        let mut many = good.clone();
        many[8] = 0xff;
        assert_eq!(parse_visible(&many).unwrap_err(), PageError::Refs);
    }
}
