//! Does it pay to compress?
//!
//! Pictures, films and archives do not shrink, and finding that out by compressing them costs more than all the rest
//! of sealing. So a payload is looked at in two steps. Few samples tell at once that most payloads are worth
//! compressing. Where they show nothing, one of zstd's fastest modes runs over the whole, because what shrinks may lie
//! between the samples.
//!
//! Measured on 190 MiB of /usr and 46 MiB of archives and pictures, in pieces of 1 MiB: samples alone, of whatever
//! number and size, store pieces plain that would shrink, and lose 0.1 to 1.0 % of the total; both steps together lose
//! 0.00 to 0.05 %. The first takes 20 to 70 µs, the second 200 to 300 µs (where level 3 takes 1,000 to 4,000).

use zstd::bulk::Compressor;

use crate::encoding::append_compressed;

/// Shorter payloads are simply compressed: that costs about as much as looking.
const PROBED_BYTES_MIN: usize = 64 << 10;
/// How many samples are taken, evenly spread.
const SAMPLES: usize = 32;
const SAMPLE_BYTES: usize = 1 << 10;

/// Tells whether compressing a payload can pay. Owns its contexts and buffer; one per thread.
pub(crate) struct Probe {
    /// Level 1, the fastest that still codes literals: lower ones would miss hexadecimal and base64 text.
    thorough: Compressor<'static>,
    /// Level -5, which finds near repeats and nothing else, and hurries over noise.
    fast: Compressor<'static>,
    gathered: Vec<u8>,
}

impl Probe {
    pub(crate) fn new() -> Probe {
        Probe {
            thorough: Compressor::new(1).expect("zstd has a level 1"),
            fast: Compressor::new(-5).expect("zstd has a level -5"),
            gathered: Vec::with_capacity(SAMPLES * SAMPLE_BYTES),
        }
    }

    /// False when samples shrink by less than 1 % and the whole by less than 0.3 %. `spare` is left as it was: only
    /// its room beyond the end is used.
    pub(crate) fn pays(&mut self, plain: &[u8], spare: &mut Vec<u8>) -> bool {
        if plain.len() < PROBED_BYTES_MIN {
            return true;
        }
        self.gather(plain);
        shrinks(&mut self.thorough, &self.gathered, spare, 10) || shrinks(&mut self.fast, plain, spare, 3)
    }

    fn gather(&mut self, plain: &[u8]) {
        self.gathered.clear();
        let stride = plain.len() / SAMPLES;
        let start = (stride - SAMPLE_BYTES) / 2;
        for piece in plain.chunks_exact(stride).take(SAMPLES) {
            self.gathered.extend_from_slice(&piece[start..start + SAMPLE_BYTES]);
        }
    }
}

/// Whether `plain` loses at least so many thousandths of its length.
fn shrinks(compressor: &mut Compressor, plain: &[u8], spare: &mut Vec<u8>, thousandths: usize) -> bool {
    let start = spare.len();
    let length = append_compressed(compressor, plain, spare);
    spare.truncate(start);
    plain.len().saturating_sub(length) >= plain.len() / 1000 * thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without pattern, from BLAKE3's extended output.
    fn random(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(b"probe").finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn judges_by_content() {
        let noise = random(1 << 20);
        let text = b"It was the best of times, it was the worst of times. ".repeat(20_000);
        let hex: Vec<u8> = noise
            .iter()
            .map(|byte| b"0123456789abcdef"[(byte & 15) as usize])
            .collect();
        let mut mixed = noise.clone();
        mixed[300_000..600_000].copy_from_slice(&text[..300_000]);
        let mut between_samples = noise.clone();
        between_samples[510_000..530_000].copy_from_slice(&text[..20_000]);
        let cases: [(&str, &[u8], bool); 7] = [
            ("random", &noise, false),
            ("random, odd length", &noise[..777_777], false),
            ("random, but short", &noise[..PROBED_BYTES_MIN - 1], true),
            ("text", &text, true),
            ("hex digits, without repeats", &hex, true),
            ("a third is text", &mixed, true),
            ("2 % are text, between two samples", &between_samples, true),
        ];
        let mut probe = Probe::new();
        for (name, plain, expected) in cases {
            assert_eq!(probe.pays(plain, &mut Vec::new()), expected, "{name}");
        }
        let mut spare = b"before".to_vec();
        assert!(
            !probe.pays(&noise[..PROBED_BYTES_MIN], &mut spare),
            "shortest that is looked at"
        );
        assert_eq!(spare, b"before");
    }
}
