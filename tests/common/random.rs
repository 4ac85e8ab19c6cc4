//! Chance from a seed. A seed that failed is given again with `STRONGROOM_SEED`.

use std::fs::File;
use std::io::Read as _;

/// SplitMix64: small, fast, and the same everywhere.
pub struct Random(u64);

impl Random {
    /// Begins with a seed that nobody chose, and prints it; or with the one that the environment names.
    pub fn new() -> Self {
        let given = std::env::var("STRONGROOM_SEED").ok();
        let seed = given.map_or_else(fresh, |seed| seed.parse().expect("STRONGROOM_SEED is a number"));
        println!("STRONGROOM_SEED={seed}");
        Self(seed)
    }

    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Bytes that do not compress.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes()).take(length.div_ceil(8));
        let mut bytes: Vec<u8> = words.flatten().collect();
        bytes.truncate(length);
        bytes
    }

    /// Letters and digits.
    pub fn text(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        (0..length)
            .map(|_| char::from(LETTERS[self.below(LETTERS.len() as u64) as usize]))
            .collect()
    }
}

fn fresh() -> u64 {
    let mut seed = [0; 8];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed));
    read.expect("Linux has /dev/urandom");
    u64::from_le_bytes(seed)
}
