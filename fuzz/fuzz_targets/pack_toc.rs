//! A table of contents by itself, as the vault reads it from the end of a pack; with the name and the length that fit it,
//! so that the fuzzer gets past both checks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::pack::{FOOTER_LENGTH, PACK_BYTES_MAX, parse_toc};
use strongroom_model::PackId;

fuzz_target!(|data: &[u8]| {
    let name = PackId::from_bytes(*blake3::hash(data).as_bytes());
    let entries = data.get(8..).unwrap_or_default().chunks_exact(37);
    let length = |entry: &[u8]| u64::from(u32::from_le_bytes(entry[33..].try_into().expect("four bytes")));
    let pack_length = entries.map(length).sum::<u64>() + (data.len() + FOOTER_LENGTH) as u64;
    let Ok(toc) = parse_toc(name, pack_length, data) else {
        return;
    };
    assert!(toc.pack_id() == name && toc.pack_length() == pack_length);
    assert!(toc.entries().len() * 37 < data.len() && pack_length <= PACK_BYTES_MAX as u64);
    assert!(parse_toc(name, pack_length + 1, data).is_err());
});
