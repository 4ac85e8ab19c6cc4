//! The inside of an inner page: refused, or the one encoding of its children.
//!
//! Input: a page whose sealed part is plain.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::page::parse_visible;
use strongroom_format::tree::{encode_inner, parse_inner};

fuzz_target!(|data: &[u8]| {
    let Ok(page) = parse_visible(data) else { return };
    let Ok(children) = parse_inner(page.refs, page.sealed) else {
        return;
    };
    assert_eq!(children.len(), page.refs.len());
    assert_eq!(encode_inner(&children), page.sealed);
});
