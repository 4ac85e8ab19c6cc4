//! Opening bytes that nobody sealed: an error, nothing appended.
//!
//! Input: kind, length of the additional data, additional data, blob.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use strongroom_seal::{MasterKey, Opener, SealKind};

thread_local! {
    static OPENER: RefCell<Opener> = RefCell::new(Opener::new(&MasterKey::from_bytes([7; 32]).keys()));
}

const KINDS: [SealKind; 4] = [
    SealKind::Chunk,
    SealKind::Page,
    SealKind::PointBody,
    SealKind::MasterKey,
];

fuzz_target!(|data: &[u8]| {
    let Some((&[kind, length], rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (aad, sealed) = rest.split_at(rest.len().min(usize::from(length)));
    let mut out = b"before".to_vec();
    let opened =
        OPENER.with_borrow_mut(|opener| opener.open(KINDS[usize::from(kind) % 4], aad, sealed, 1 << 20, &mut out));
    assert!(opened.is_ok() || out == b"before");
});
