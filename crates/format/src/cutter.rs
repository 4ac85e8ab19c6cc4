//! The cutter: where a large file is cut into chunks. Part of the format, so it has golden vectors and never moves.
//!
//! In the window between the smallest and the largest chunk the cut falls where a keyed multiplicative hash of four bytes
//! is least, and at the first such place if there are several (the family of MinCDC). Contents alone decide, so an
//! insertion moves the cuts around it and no others. The key moves all of them: known files do not show known lengths.
//!
//! ```text
//! hash(i) = ((data[i..i+4] as u32le) xor whiten) * multiplier  mod 2³²
//! cut     = the least i in MIN ..= min(MAX, length) - 4 with the least hash(i); the chunk is data[..i]
//! ```

/// No chunk but the last of a file is smaller.
pub const CHUNK_BYTES_MIN: usize = 256 << 10;
/// No chunk is larger.
pub const CHUNK_BYTES_MAX: usize = 1792 << 10;

/// How many hashes are compared before the least of them is noted.
const BLOCK: usize = 1024;

/// Cuts with one key.
#[derive(Clone, Copy, Debug)]
pub struct Cutter {
    whiten: u32,
    multiplier: u32,
}

impl Cutter {
    /// The cutter of a key set. The first eight bytes of `key` are used.
    pub fn new(key: &[u8; 32]) -> Self {
        let word = |at: usize| u32::from_le_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
        Self {
            whiten: word(0),
            multiplier: word(4) | 1,
        }
    }

    /// The length of the first chunk of `data`, which must hold [`CHUNK_BYTES_MAX`] bytes or end where the file ends.
    pub fn cut(&self, data: &[u8]) -> usize {
        if data.len() <= CHUNK_BYTES_MIN + 4 {
            return data.len();
        }
        let end = data.len().min(CHUNK_BYTES_MAX);
        CHUNK_BYTES_MIN + self.first_least(&data[CHUNK_BYTES_MIN..end])
    }

    /// The first place with the least hash. `window` has at least four bytes.
    fn first_least(&self, window: &[u8]) -> usize {
        let places = window.len() - 3;
        let mut best = (u32::MAX, 0, 0);
        for start in (0..places).step_by(BLOCK) {
            let count = BLOCK.min(places - start);
            let least = self.least(&window[start..start + count + 3]);
            if least < best.0 || start == 0 {
                best = (least, start, count);
            }
        }
        let (least, start, count) = best;
        let found = (start..start + count).find(|&i| self.hash(&window[i..]) == least);
        found.expect("the least hash was computed from one of these places")
    }

    fn hash(&self, bytes: &[u8]) -> u32 {
        let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        (word ^ self.whiten).wrapping_mul(self.multiplier)
    }

    fn least(&self, block: &[u8]) -> u32 {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, which is all that the function asks for.
            #[allow(unsafe_code)]
            return unsafe { self.least_avx2(block) };
        }
        self.least_portable(block)
    }

    /// The portable loop, compiled for wider registers.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn least_avx2(&self, block: &[u8]) -> u32 {
        self.least_portable(block)
    }

    /// The least hash in a block of places. The four phases are loops over whole words, which compilers vectorise.
    #[inline(always)]
    fn least_portable(&self, block: &[u8]) -> u32 {
        let mut least = u32::MAX;
        for phase in 0..4.min(block.len().saturating_sub(3)) {
            let (words, _) = block[phase..].as_chunks::<4>();
            for word in words {
                let word = u32::from_le_bytes(*word);
                least = least.min((word ^ self.whiten).wrapping_mul(self.multiplier));
            }
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let mut bytes = vec![0; length];
        reader.fill(&mut bytes);
        bytes
    }

    fn cuts(cutter: Cutter, data: &[u8]) -> Vec<usize> {
        let mut ends = vec![0];
        while let Some(rest) = data.get(*ends.last().unwrap()..).filter(|rest| !rest.is_empty()) {
            ends.push(ends.last().unwrap() + cutter.cut(rest));
        }
        ends
    }

    /// The definition, word for word.
    fn reference(cutter: Cutter, data: &[u8]) -> usize {
        if data.len() <= CHUNK_BYTES_MIN + 4 {
            return data.len();
        }
        let last = data.len().min(CHUNK_BYTES_MAX) - 4;
        (CHUNK_BYTES_MIN..=last)
            .min_by_key(|&i| (cutter.hash(&data[i..]), i))
            .unwrap()
    }

    #[test]
    fn the_cuts_of_this_format_never_move() {
        let cutter = Cutter::new(&[7; 32]);
        let expected = [0, 1_342_132, 2_727_012, 3_607_089, 4_455_781, 4_975_658, 5_000_000];
        let data = noise(5_000_000, 1);
        let found = cuts(cutter, &data);
        assert_eq!(found, expected, "golden vector");
        assert_eq!(cuts(cutter, &vec![0; 600 << 10]), [0, 262_144, 524_288, 614_400]);
    }

    #[test]
    fn the_fast_loops_agree_with_the_definition() {
        let cutter = Cutter::new(&[3; 32]);
        for (length, seed) in [
            (CHUNK_BYTES_MIN + 5, 1),
            (CHUNK_BYTES_MIN + 1030, 2),
            (400_003, 3),
            (3 << 20, 4),
        ] {
            let data = noise(length, seed);
            assert_eq!(cutter.cut(&data), reference(cutter, &data), "{length}");
            let few_values: Vec<u8> = data.iter().map(|byte| byte & 1).collect();
            assert_eq!(
                cutter.cut(&few_values),
                reference(cutter, &few_values),
                "{length}, two values"
            );
        }
    }

    #[test]
    fn keys_move_the_cuts() {
        let data = noise(3 << 20, 9);
        assert_ne!(cuts(Cutter::new(&[1; 32]), &data), cuts(Cutter::new(&[2; 32]), &data));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn an_insertion_moves_few_cuts(at in 0usize..6_000_000, length in 1usize..2000, seed: u64) {
            let cutter = Cutter::new(&[5; 32]);
            let data = noise(12 << 20, seed);
            let mut edited = data.clone();
            edited.splice(at..at, noise(length, seed ^ 1));
            let before = cuts(cutter, &data);
            let after = cuts(cutter, &edited);
            let kept = before.iter().filter(|&&end| {
                after.contains(&if end > at { end + length } else { end })
            });
            prop_assert!(kept.count() + 4 >= before.len(), "{before:?} {after:?}");
        }
    }
}
