//! Sealing and opening again; and with one bit changed somewhere, not opening.
#![no_main]

use std::cell::RefCell;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use strongroom_seal::{Level, MasterKey, Opener, SealKind, Sealer, sealed_length_max};

thread_local! {
    static BOTH: RefCell<(Sealer, Opener)> = {
        let keys = MasterKey::from_bytes([7; 32]).keys();
        RefCell::new((Sealer::new(&keys, Level::default()), Opener::new(&keys)))
    };
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    bit: usize,
    repeat: u8,
    aad: &'a [u8],
    plain: &'a [u8],
}

fuzz_target!(|input: Input| BOTH.with_borrow_mut(|(sealer, opener)| {
    let plain = input.plain.repeat(1 + usize::from(input.repeat));
    let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    sealer.seal(SealKind::Page, input.aad, &plain, &mut sealed);
    assert!(sealed.len() <= sealed_length_max(plain.len()));
    opener
        .open(SealKind::Page, input.aad, &sealed, plain.len(), &mut opened)
        .expect("it was just sealed");
    assert_eq!(opened, plain);
    if !plain.is_empty() {
        assert!(
            opener
                .open(SealKind::Page, input.aad, &sealed, plain.len() - 1, &mut opened)
                .is_err(),
            "the bound"
        );
    }
    let bit = input.bit % (sealed.len() * 8);
    sealed[bit / 8] ^= 1 << (bit % 8);
    assert!(
        opener
            .open(SealKind::Page, input.aad, &sealed, plain.len(), &mut opened)
            .is_err(),
        "bit {bit}"
    );
}));
