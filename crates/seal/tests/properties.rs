//! Promises of sealing, for whatever bytes come.

use proptest::collection::vec;
use proptest::prelude::*;
use strongroom_seal::{
    DataKeys, Level, MasterKey, OpenError, Opener, PLAIN_BYTES_MAX, SealKind, Sealer, sealed_length_max,
};

const KINDS: [SealKind; 3] = [SealKind::Chunk, SealKind::Page, SealKind::PointBody];

fn keys(seed: u8) -> DataKeys {
    MasterKey::from_bytes([seed; 32]).keys()
}

fn seal(kind: SealKind, aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    Sealer::new(&keys(1), Level::default()).seal(kind, aad, plain, &mut sealed);
    sealed
}

fn open(keys: &DataKeys, kind: SealKind, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut plain = Vec::new();
    Opener::new(keys)
        .open(kind, aad, sealed, PLAIN_BYTES_MAX, &mut plain)
        .map(|()| plain)
}

/// Bytes without pattern.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(b"properties")
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Bytes that compress to about a quarter.
fn text(length: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|line| format!("{} is the hash of line {line}\n", line * 7919).into_bytes())
        .take(length)
        .collect()
}

/// Payloads of every sort: noise, repeats, and noise repeated, of lengths around what matters.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..300),
        2 => (0usize..200_000).prop_map(random),
        2 => (0usize..200_000).prop_map(text),
        2 => (vec(any::<u8>(), 1..100), 1usize..2000).prop_map(|(piece, times)| piece.repeat(times)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_sealed_opens(plain in payload(), aad in vec(any::<u8>(), 0..100), kind in 0usize..3) {
        let sealed = seal(KINDS[kind], &aad, &plain);
        prop_assert!(sealed.len() <= sealed_length_max(plain.len()));
        prop_assert!(open(&keys(1), KINDS[kind], &aad, &sealed) == Ok(plain));
    }

    #[test]
    fn equal_input_gives_equal_blobs_and_other_input_others(plain in payload(), other in payload()) {
        let mut used = Sealer::new(&keys(1), Level::default());
        let mut out = Vec::new();
        used.seal(SealKind::Page, b"", &other, &mut out);
        let start = out.len();
        used.seal(SealKind::Chunk, b"", &plain, &mut out);
        prop_assert_eq!(&out[start..], &seal(SealKind::Chunk, b"", &plain)[..]);
        let others_differ = seal(SealKind::Chunk, b"", &other) != out[start..];
        prop_assert_eq!(others_differ, plain != other);
    }

    #[test]
    fn any_flipped_bit_is_noticed(plain in payload(), position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut sealed = seal(SealKind::Chunk, b"aad", &plain);
        let position = position.index(sealed.len());
        sealed[position] ^= 1 << bit;
        prop_assert_eq!(open(&keys(1), SealKind::Chunk, b"aad", &sealed), Err(OpenError::NotAuthentic));
    }

    #[test]
    fn kind_data_and_key_must_be_the_same(plain in payload(), aad in vec(any::<u8>(), 0..50), more in any::<u8>()) {
        let sealed = seal(SealKind::Page, &aad, &plain);
        let other_aad = [&aad[..], &[more]].concat();
        for kind in [SealKind::Chunk, SealKind::PointBody, SealKind::MasterKey] {
            prop_assert_eq!(open(&keys(1), kind, &aad, &sealed), Err(OpenError::NotAuthentic));
        }
        prop_assert_eq!(open(&keys(1), SealKind::Page, &other_aad, &sealed), Err(OpenError::NotAuthentic));
        prop_assert_eq!(open(&keys(2), SealKind::Page, &aad, &sealed), Err(OpenError::NotAuthentic));
    }

    #[test]
    fn hostile_bytes_never_open_and_never_panic(bytes in vec(any::<u8>(), 0..4000), max in 0usize..5000) {
        let mut plain = b"before".to_vec();
        let result = Opener::new(&keys(1)).open(SealKind::Chunk, b"", &bytes, max, &mut plain);
        prop_assert!(result.is_err());
        prop_assert_eq!(plain, b"before");
    }

    #[test]
    fn lengths_show_little_and_cost_little(plain in payload()) {
        let sealed = seal(SealKind::Chunk, b"", &plain);
        prop_assert_eq!((sealed.len() - 53) % 64, 0);
        if plain.len() >= 4096 {
            prop_assert!(sealed_length_max(plain.len()) as f64 <= 53.0 + plain.len() as f64 * 1.016);
        }
    }
}

/// One blob of each codec, at most 2 KiB long.
fn small_blobs() -> [Vec<u8>; 2] {
    let blobs = [
        seal(SealKind::Chunk, b"aad", &random(1700)),
        seal(SealKind::Chunk, b"aad", &text(5000)),
    ];
    assert!(blobs.iter().all(|blob| blob.len() <= 2048));
    assert!(blobs[1].len() < 5000, "the second one is compressed");
    blobs
}

#[test]
fn every_flipped_bit_of_a_small_blob_is_noticed() {
    let mut opener = Opener::new(&keys(1));
    for mut sealed in small_blobs() {
        for bit in 0..sealed.len() * 8 {
            sealed[bit / 8] ^= 1 << (bit % 8);
            let result = opener.open(SealKind::Chunk, b"aad", &sealed, 1 << 20, &mut Vec::new());
            assert_eq!(result, Err(OpenError::NotAuthentic), "bit {bit}");
            sealed[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn every_truncation_and_extension_is_noticed() {
    let mut opener = Opener::new(&keys(1));
    for sealed in small_blobs() {
        for length in 0..sealed.len() {
            let result = opener.open(SealKind::Chunk, b"aad", &sealed[..length], 1 << 20, &mut Vec::new());
            let expected = if length < 48 {
                OpenError::TooShort { length }
            } else {
                OpenError::NotAuthentic
            };
            assert_eq!(result, Err(expected), "{length}");
        }
        let longer = [&sealed[..], &[0]].concat();
        assert_eq!(
            open(&keys(1), SealKind::Chunk, b"aad", &longer),
            Err(OpenError::NotAuthentic)
        );
    }
}

#[test]
fn an_opener_works_on_after_errors_and_after_longer_blobs() {
    let mut opener = Opener::new(&keys(1));
    let mut plain = Vec::new();
    for length in [200_000, 10, 70_000, 0] {
        for payload in [random(length), text(length)] {
            let mut sealed = seal(SealKind::Chunk, b"", &payload);
            plain.clear();
            opener.open(SealKind::Chunk, b"", &sealed, length, &mut plain).unwrap();
            assert!(plain == payload);
            sealed[40] ^= 1;
            assert!(opener.open(SealKind::Chunk, b"", &sealed, length, &mut plain).is_err());
            assert!(plain == payload);
        }
    }
}

#[test]
fn length_limit_of_the_caller_holds() {
    for payload in [random(100_000), text(100_000)] {
        let sealed = seal(SealKind::Chunk, b"", &payload);
        let result = Opener::new(&keys(1)).open(SealKind::Chunk, b"", &sealed, 99_999, &mut Vec::new());
        assert_eq!(
            result,
            Err(OpenError::TooLong {
                declared: 100_000,
                max: 99_999
            })
        );
    }
}

#[test]
fn levels_read_each_other() {
    let plain = text(100_000);
    for level in [-7, -1, 1, 19] {
        let mut sealed = Vec::new();
        Sealer::new(&keys(1), Level::new(level).unwrap()).seal(SealKind::Chunk, b"", &plain, &mut sealed);
        assert!(sealed != seal(SealKind::Chunk, b"", &plain), "level {level}");
        assert!(
            open(&keys(1), SealKind::Chunk, b"", &sealed) == Ok(plain.clone()),
            "level {level}"
        );
    }
}

/// A zstd context counts positions over its whole life and starts anew after 3.5 GiB; blobs must not show it.
#[test]
fn a_sealer_of_any_age_gives_the_same_blobs() {
    let mut used = Sealer::new(&keys(1), Level::default());
    let plain = text(1 << 20);
    let mut first = Vec::new();
    used.seal(SealKind::Chunk, b"", &plain, &mut first);
    let mut again = Vec::new();
    for round in 0..4096 {
        again.clear();
        used.seal(SealKind::Chunk, b"", &plain, &mut again);
        assert!(again == first, "round {round}");
    }
}
