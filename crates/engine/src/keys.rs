//! Where `seal` and `format` meet: fingerprints, pages and points under a key set.

use strongroom_format::entry::{Extent, Fingerprint};
use strongroom_format::page::{VisiblePage, parse_visible, put_visible};
use strongroom_model::BlobId;
use strongroom_seal::{DataKeys, SealKind, Sealer};

/// The fingerprint of plain contents.
pub fn fingerprint(keys: &DataKeys, plain: &[u8]) -> Fingerprint {
    Fingerprint(*keys.fingerprint(plain).as_bytes())
}

/// Adds what an extent says of contents to a hash. Where its chunk lies does not count, and zeros are holes, as they read
/// the same.
pub fn add_extent(hasher: &mut blake3::Hasher, extent: &Extent) {
    let (kind, prints) = match extent {
        Extent::Hole { .. } | Extent::Zero { .. } => (0, &[][..]),
        Extent::Piece { fingerprint, .. } => (1, std::slice::from_ref(fingerprint)),
        Extent::Blocks { fingerprints, .. } => (2, &fingerprints[..]),
    };
    hasher.update(&[kind]);
    hasher.update(&extent.length().to_le_bytes());
    for Fingerprint(print) in prints {
        hasher.update(print);
    }
}

/// Seals a page: the stored bytes and their identity.
pub fn seal_page(sealer: &mut Sealer, level: u8, refs: &[BlobId], plain: &[u8]) -> (BlobId, Vec<u8>) {
    let mut head = Vec::new();
    put_visible(&mut head, level, refs);
    let mut bytes = head.clone();
    sealer.seal(SealKind::Page, &head, plain, &mut bytes);
    (strongroom_format::blob_id(&bytes), bytes)
}

/// Takes apart and opens a page whose identity was checked: its visible part and its opened bytes, or why not. `level` is
/// the one that it must have where it stands, if that is known.
pub fn open_page<'a>(
    opener: &mut strongroom_seal::Opener,
    stored: &'a [u8],
    level: Option<u8>,
) -> Result<(VisiblePage<'a>, Vec<u8>), String> {
    let page = parse_visible(stored).map_err(|error| error.to_string())?;
    if level.is_some_and(|level| level != page.level) {
        return Err(format!("it has level {} in the wrong place", page.level));
    }
    let mut plain = Vec::new();
    let opened = opener.open(SealKind::Page, page.head, page.sealed, PAGE_PLAIN_MAX, &mut plain);
    opened.map(|()| (page, plain)).map_err(|error| error.to_string())
}

/// No page opens to more.
const PAGE_PLAIN_MAX: usize = 4 << 20;
