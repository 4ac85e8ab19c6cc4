//! The inside of a leaf: refused, or the one encoding of its records.
//!
//! Input: a page whose sealed part is plain.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::entry::Entry;
use strongroom_format::leaf::{LeafBuilder, LeafReader};
use strongroom_format::page::parse_visible;

fuzz_target!(|data: &[u8]| {
    let Ok(page) = parse_visible(data) else { return };
    let Ok(records) = LeafReader::new(page.refs, page.sealed) else {
        return;
    };
    let Ok(entries) = records.collect::<Result<Vec<Entry>, _>>() else {
        return;
    };
    let mut builder = LeafBuilder::default();
    entries.iter().for_each(|entry| builder.push(entry));
    let (refs, plain) = builder.finish();
    assert!(
        refs.iter().copied().eq(page.refs.iter()),
        "the same chunks in the same order"
    );
    assert_eq!(plain, page.sealed);
});
