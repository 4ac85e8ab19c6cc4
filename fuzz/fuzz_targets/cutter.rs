//! The cutter against its definition, on inputs long enough to be cut.
//!
//! Input: key, two bytes and a factor for the length, and a pattern that is repeated, each time with another byte added.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::cutter::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Cutter};

fuzz_target!(|data: &[u8]| {
    let Some((key, rest)) = data.split_first_chunk::<32>() else {
        return;
    };
    let Some((&[low, high, wide], pattern)) = rest.split_first_chunk::<3>() else {
        return;
    };
    // Most inputs are a little longer than the smallest chunk, for speed; some exceed the largest.
    let step = if wide == 0 { 25 } else { 1 };
    let beyond = usize::from(u16::from_le_bytes([low, high])) * step;
    let input = tiles(pattern, CHUNK_BYTES_MIN - 16 + beyond);
    assert_eq!(Cutter::new(key).cut(&input), definition(key, &input));
});

fn tiles(pattern: &[u8], length: usize) -> Vec<u8> {
    let mut input = Vec::with_capacity(length + pattern.len());
    for round in (0..=255u8).cycle() {
        if input.len() >= length || pattern.is_empty() {
            break;
        }
        input.extend(pattern.iter().map(|byte| byte.wrapping_add(round)));
    }
    input.resize(length, 0);
    input
}

/// Word for word as in `docs/format.md`.
fn definition(key: &[u8; 32], data: &[u8]) -> usize {
    if data.len() <= CHUNK_BYTES_MIN + 4 {
        return data.len();
    }
    let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let (whiten, multiplier) = (word(key), word(&key[4..]) | 1);
    let hash = |at: usize| (word(&data[at..]) ^ whiten).wrapping_mul(multiplier);
    let last = data.len().min(CHUNK_BYTES_MAX) - 4;
    (CHUNK_BYTES_MIN..=last)
        .min_by_key(|at| (hash(*at), *at))
        .expect("the window is not empty")
}
