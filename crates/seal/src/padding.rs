//! How long a sealed blob looks.

/// Finest step of padded lengths. From 4 KiB upwards the share of the length decides, below it this does.
const STEP_MIN: usize = 64;

/// The length to which `length` bytes are padded: the next multiple of a step that is a 64th of the largest power of
/// two in `length`, and at least 64 bytes. Nothing is padded to one step, too.
///
/// So every doubling of size has only 64 visible lengths, at a cost of less than 1/64 (1.6 %) from 4 KiB upwards, and
/// 0.8 % on average. The idea, steps that grow with the length, is that of Padmé (Nikitin et al., PETS 2019), with a
/// fixed instead of a slowly growing number of steps per doubling.
pub(crate) fn padded_length(length: usize) -> usize {
    let length = length.max(1);
    let share = (1 << length.ilog2()) >> 6;
    length.next_multiple_of(share.max(STEP_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let cases = [
            (0, 64),
            (1, 64),
            (5, 64),
            (64, 64),
            (65, 128),
            (4095, 4096),
            (4096, 4096),
            (4097, 4160),
            (8191, 8192),
            (8192, 8192),
            (8193, 8320),
            ((1 << 20) - 1, 1 << 20),
            (1 << 20, 1 << 20),
            ((1 << 20) + 1, (1 << 20) + (16 << 10)),
        ];
        for (length, expected) in cases {
            assert_eq!(padded_length(length), expected, "{length}");
        }
    }

    #[test]
    fn bounded_monotone_and_stable() {
        let mut before = 0;
        for length in (0..70_000).chain((70_000..9 << 20).step_by(997)) {
            let padded = padded_length(length);
            assert!(padded >= length && padded >= before, "{length}");
            assert!(
                padded - length < 64.max(length / 64 + 1) || length == 0,
                "{length} became {padded}"
            );
            assert_eq!(padded_length(padded), padded, "{length}");
            before = padded;
        }
    }
}
