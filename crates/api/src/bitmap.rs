//! The answer to `missing`: one bit for each identity that was asked about, least significant bit first.

/// The answer has another length than the question, or bits behind the end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer about {asked} blobs has {got} bytes or bits that belong to none")]
pub struct BitmapError {
    asked: usize,
    got: usize,
}

/// Packs the answers, one bit each.
pub fn bitmap_from_bools(bools: &[bool]) -> Vec<u8> {
    let byte = |bits: &[bool]| {
        bits.iter()
            .enumerate()
            .fold(0, |byte, (i, &bit)| byte | u8::from(bit) << i)
    };
    bools.chunks(8).map(byte).collect()
}

/// Unpacks the answers to a question about `count` blobs.
///
/// # Errors
/// When the bitmap does not have exactly the length for `count`, or a bit behind the end is set.
pub fn bools_from_bitmap(bitmap: &[u8], count: usize) -> Result<Vec<bool>, BitmapError> {
    let error = BitmapError {
        asked: count,
        got: bitmap.len(),
    };
    if bitmap.len() != count.div_ceil(8) {
        return Err(error);
    }
    let bit = |i: usize| bitmap[i / 8] >> (i % 8) & 1 == 1;
    if (count..bitmap.len() * 8).any(bit) {
        return Err(error);
    }
    Ok((0..count).map(bit).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bitmaps_round_trip(bools in proptest::collection::vec(any::<bool>(), 0..100)) {
            let bitmap = bitmap_from_bools(&bools);
            prop_assert_eq!(bools_from_bitmap(&bitmap, bools.len()).unwrap(), bools);
        }
    }

    #[test]
    fn the_first_blob_is_the_least_significant_bit() {
        assert_eq!(
            bitmap_from_bools(&[true, false, false, false, false, false, false, false, true]),
            [1, 1]
        );
    }

    #[test]
    fn a_bitmap_of_another_length_is_refused() {
        for (bitmap, count) in [(&[0u8][..], 9), (&[0, 0], 8), (&[2], 1), (&[], 1)] {
            assert!(bools_from_bitmap(bitmap, count).is_err(), "{bitmap:?} {count}");
        }
    }
}
