//! A recovery point object, which the vault parses without a key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::point::{parse_point, put_head};

fuzz_target!(|data: &[u8]| {
    let Ok(parts) = parse_point(data) else { return };
    let mut head = Vec::new();
    put_head(&mut head, &parts.header);
    assert_eq!(head, parts.head);
    assert_eq!([parts.head, parts.sealed].concat(), data);
});
