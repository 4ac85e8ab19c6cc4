//! The header at the end of a pack, which says what is in it: for packs that no index knows.
//!
//! ```text
//! pack   := blob* sealed_header header_length:u32
//! header := (type:u8 sealed_length:u32 plain_length:u32? sha256[32])*      plain_length: types 2 and 3 only
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::cipher::Keys;
use crate::error::ResticError;
use crate::id::Id;
use crate::index::{BlobKind, Located};

/// No header is longer: a pack of 128 MiB, the largest of restic's, with a blob in every 64 bytes.
const HEADER_BYTES_MAX: u64 = 96 << 20;
const LENGTH_BYTES: u64 = 4;

/// What is in a pack, by its own header.
pub(crate) fn read_header(keys: &Keys, pack: u32, path: &Path) -> Result<Vec<Located>, ResticError> {
    let damaged = |why: &str| ResticError::damaged(format!("pack {}", path.display()), why);
    let io = || ResticError::io("read", path);
    let file = File::open(path).map_err(ResticError::io("open", path))?;
    let size = file.metadata().map_err(io())?.len();
    let end = size
        .checked_sub(LENGTH_BYTES)
        .ok_or_else(|| damaged("it is too short"))?;
    let mut length = [0; 4];
    file.read_exact_at(&mut length, end).map_err(io())?;
    let length = u64::from(u32::from_le_bytes(length));
    let start = end.checked_sub(length).filter(|_| length <= HEADER_BYTES_MAX);
    let start = start.ok_or_else(|| damaged("its end does not say where its header begins: it is cut off, perhaps"))?;
    let mut sealed = vec![0; length as usize];
    file.read_exact_at(&mut sealed, start).map_err(io())?;
    let header = keys
        .open(sealed)
        .ok_or_else(|| damaged("the repository's key does not open its header"))?;
    parse(pack, &header, start).ok_or_else(|| damaged("its header does not fit what comes before it"))
}

/// `None` if the header does not describe exactly the `size` bytes before it.
fn parse(pack: u32, mut header: &[u8], size: u64) -> Option<Vec<Located>> {
    let (mut blobs, mut offset) = (Vec::new(), 0u32);
    while let Some((&kind, rest)) = header.split_first() {
        let (length, mut rest) = number(rest)?;
        let (kind, is_compressed) = match kind {
            0 => (BlobKind::Data, false),
            1 => (BlobKind::Tree, false),
            2 => (BlobKind::Data, true),
            3 => (BlobKind::Tree, true),
            _ => return None,
        };
        let mut plain_length = None;
        if is_compressed {
            let (length, behind) = number(rest)?;
            (plain_length, rest) = (Some(length), behind);
        }
        let (id, behind) = rest.split_first_chunk::<32>()?;
        blobs.push(Located {
            id: Id::from_bytes(*id),
            kind,
            pack,
            offset,
            length,
            plain_length,
        });
        offset = offset.checked_add(length)?;
        header = behind;
    }
    (u64::from(offset) == size).then_some(blobs)
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_is_where() {
        let header = [
            &[0, 40, 0, 0, 0][..],
            &[1; 32],
            &[3, 50, 0, 0, 0, 99, 0, 0, 0],
            &[2; 32],
        ]
        .concat();
        let blobs = parse(7, &header, 90).unwrap();
        let said = blobs
            .iter()
            .map(|blob| (blob.kind, blob.offset, blob.length, blob.plain_length));
        assert_eq!(
            said.collect::<Vec<_>>(),
            [(BlobKind::Data, 0, 40, None), (BlobKind::Tree, 40, 50, Some(99))]
        );
        assert!(parse(7, &header, 91).is_none());
        for length in (1..header.len()).filter(|length| *length != 37) {
            assert!(parse(7, &header[..length], 90).is_none(), "length {length}");
        }
        assert!(parse(7, &[&[4][..], &header[1..]].concat(), 90).is_none());
    }
}
