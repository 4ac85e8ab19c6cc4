//! What can still be read of a pack whose table of contents or footer is damaged.
//!
//! The blobs are most of a pack, and each carries its name in the table; so a damaged table usually costs the blob of the
//! damaged entry and no other. Whoever has a second index (the vault's database) does not need this; a rescue has none.

use std::ops::Range;

use strongroom_model::BlobId;

use crate::pack::{BLOB_BYTES_MAX, BlobKind, FOOTER_LENGTH, TOC_ENTRY, TOC_HEADER, TOC_MAGIC, TocEntry, blob_id};
use crate::page::parse_visible;

/// The blobs of a pack that are whole, each checked against its identity. `bytes` is the pack, of which anything may be
/// damaged, and nothing missing or added.
pub fn salvage(bytes: &[u8]) -> Vec<TocEntry> {
    let found = tables(bytes).take(TABLES_MAX).map(|table| read_table(bytes, &table));
    found.max_by_key(Vec::len).unwrap_or_default()
}

/// Each table that is tried costs hashing the pack up to three times. Chance makes none look like one; malice could make every
/// place do so.
const TABLES_MAX: usize = 8;

/// An entry as it stands in the table, true or not.
#[derive(Clone, Copy)]
struct Claim {
    id: BlobId,
    kind: u8,
    length: u64,
}

/// Where the table may lie: where the footer says, wherever one begins, and wherever one fits to the lengths in it.
fn tables(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let end = bytes.len().saturating_sub(FOOTER_LENGTH);
    let announced = bytes[end..]
        .first_chunk()
        .map(|length| u32::from_le_bytes(*length) as usize);
    (1..=end.saturating_sub(TOC_HEADER) / TOC_ENTRY).filter_map(move |count| {
        let table = end - TOC_HEADER - TOC_ENTRY * count..end;
        let says = bytes[table.start + TOC_MAGIC.len()..]
            .first_chunk()
            .map(|count| u32::from_le_bytes(*count));
        let begins = bytes[table.clone()].starts_with(TOC_MAGIC) && says == Some(count as u32);
        let fits = || claims(&bytes[table.clone()]).map(|claim| claim.length).sum::<u64>() == table.start as u64;
        // A table has few entries; for more, only the two cheap signs count.
        let is_one = announced == Some(table.len()) || begins || (count <= FITTED_ENTRIES_MAX && fits());
        is_one.then_some(table)
    })
}

/// Adding up the lengths of every possible table is quadratic; packs have a few hundred blobs, seldom a few thousand.
const FITTED_ENTRIES_MAX: usize = 4096;

fn claims(table: &[u8]) -> impl DoubleEndedIterator<Item = Claim> + Clone {
    table[TOC_HEADER..].chunks_exact(TOC_ENTRY).map(|entry| {
        let (id, rest) = entry
            .split_first_chunk::<32>()
            .expect("an entry begins with an identity");
        let (&[kind], length) = rest.split_first_chunk::<1>().expect("then comes the kind");
        Claim {
            id: BlobId::from_bytes(*id),
            kind,
            length: u32::from_le_bytes(length.try_into().expect("then the length")).into(),
        }
    })
}

/// Follows the table from both ends: a wrong length misplaces all that come after it, but only from its own side.
fn read_table(bytes: &[u8], table: &Range<usize>) -> Vec<TocEntry> {
    let claims: Vec<Claim> = claims(&bytes[table.clone()]).collect();
    let blobs = &bytes[..table.start];
    let mut found: Vec<Option<TocEntry>> = vec![None; claims.len()];
    let mut offset = 0;
    for (claim, found) in claims.iter().zip(&mut found) {
        *found = check(blobs, offset, claim.length, claim);
        offset = offset.saturating_add(claim.length);
    }
    let mut end = blobs.len() as u64;
    for (claim, found) in claims.iter().zip(&mut found).rev() {
        let Some(start) = end.checked_sub(claim.length) else {
            break;
        };
        *found = found.or_else(|| check(blobs, start, claim.length, claim));
        end = start;
    }
    for index in 0..claims.len() {
        found[index] = found[index].or_else(|| between(blobs, &claims, &found, index));
    }
    found.into_iter().flatten().collect()
}

/// The blob between two that were found: its own length may be what is wrong.
fn between(blobs: &[u8], claims: &[Claim], found: &[Option<TocEntry>], index: usize) -> Option<TocEntry> {
    let start = match index.checked_sub(1) {
        None => 0,
        Some(before) => found[before]?.range().end,
    };
    let end = match found.get(index + 1) {
        None => blobs.len() as u64,
        Some(after) => (*after)?.offset,
    };
    check(blobs, start, end.checked_sub(start)?, &claims[index])
}

fn check(blobs: &[u8], offset: u64, length: u64, claim: &Claim) -> Option<TocEntry> {
    let range = usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(length)?).ok()?;
    let blob = blobs.get(range).filter(|blob| blob.len() <= BLOB_BYTES_MAX)?;
    (blob_id(blob) == claim.id).then(|| TocEntry {
        id: claim.id,
        kind: BlobKind::from_number(claim.kind).unwrap_or_else(|| kind_of(blob)),
        offset,
        length: length as u32,
    })
}

fn kind_of(blob: &[u8]) -> BlobKind {
    match parse_visible(blob) {
        Ok(_) => BlobKind::Page,
        Err(_) => BlobKind::Chunk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{PackBuilder, parse_pack};

    fn pack() -> Vec<u8> {
        let mut builder = PackBuilder::new();
        for length in [900, 1, 3, 77, 4096, 78, 500] {
            let blob: Vec<u8> = (0..length).map(|byte: u32| (byte * 7 + length) as u8).collect();
            builder.push(BlobKind::Chunk, blob_id(&blob), &blob);
        }
        builder.finish().1
    }

    #[test]
    fn of_an_undamaged_pack_everything_is_found() {
        let bytes = pack();
        assert_eq!(salvage(&bytes), parse_pack(&bytes).unwrap().entries());
    }

    #[test]
    fn a_flipped_bit_costs_one_blob_at_most() {
        let bytes = pack();
        let entries = parse_pack(&bytes).unwrap().entries().to_vec();
        let table = entries.last().unwrap().range().end as usize;
        let mut lost = 0;
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let found = salvage(&damaged);
            let true_ones = found.iter().filter(|found| {
                entries
                    .iter()
                    .any(|entry| (entry.id, entry.range()) == (found.id, found.range()))
            });
            assert_eq!(true_ones.count(), found.len(), "bit {bit}");
            assert!(
                found.len() + 1 >= entries.len(),
                "bit {bit}: only {} blobs",
                found.len()
            );
            lost += usize::from(bit / 8 >= table && found.len() < entries.len());
        }
        // In the table it is the identities whose blobs are lost, and nothing else.
        assert_eq!(lost, entries.len() * 32 * 8);
    }

    #[test]
    fn two_wrong_lengths_cost_what_lies_between() {
        let mut bytes = pack();
        let table = parse_pack(&bytes).unwrap().entries().last().unwrap().range().end as usize;
        for entry in [1, 4] {
            bytes[table + TOC_HEADER + TOC_ENTRY * entry + 33] ^= 4;
        }
        let found: Vec<u32> = salvage(&bytes).iter().map(|entry| entry.length).collect();
        assert_eq!(found, [900, 78, 500]);
    }

    #[test]
    fn bytes_that_are_full_of_tables_are_read_in_time() {
        let mut bytes = vec![0; 12];
        for count in 1..40_000_u32 {
            let entry = [&TOC_MAGIC[..], &count.to_le_bytes(), &[1; 29]].concat();
            bytes.splice(..0, entry);
            if bytes.len() > 1 << 20 {
                break;
            }
        }
        assert_eq!(salvage(&bytes), []);
    }

    #[test]
    fn of_other_bytes_nothing_is_found() {
        for bytes in [&b""[..], b"SRT1", &[0; 5000], &[b'S'; 12]] {
            assert_eq!(salvage(bytes), [], "{} bytes", bytes.len());
        }
    }
}
