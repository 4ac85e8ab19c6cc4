//! The visible part of a page, which the vault parses without a key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::page::{parse_visible, put_visible};

fuzz_target!(|data: &[u8]| {
    let Ok(page) = parse_visible(data) else { return };
    let refs: Vec<_> = page.refs.iter().collect();
    let mut again = Vec::new();
    put_visible(&mut again, page.level, &refs);
    assert_eq!(again, page.head);
    assert_eq!([page.head, page.sealed].concat(), data);
    assert!(page.refs.get(refs.len()).is_none());
});
