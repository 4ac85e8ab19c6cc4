//! From plain bytes to a sealed blob.

use crate::encoding::{Encoder, HEAD_LENGTH, PLAIN_BYTES_MAX, encode_plain};
use crate::envelope::{Bound, EnvelopeKeys, OVERHEAD, TAG_LENGTH};
use crate::padding::padded_length;
use crate::{DataKeys, Level, SealKind};

/// Bytes that follow the payload in a blob; room for them is reserved together with the payload's.
pub(crate) const AFTER_PAYLOAD: usize = OVERHEAD - TAG_LENGTH;

/// Seals payloads. Holds a compressor and its buffers for reuse: make one per thread and keep it.
pub struct Sealer {
    keys: EnvelopeKeys,
    encoder: Encoder,
    bound: Bound,
}

impl Sealer {
    /// A sealer for one key set. Takes some MiB of memory at level 3, and tens of MiB at the highest ones.
    pub fn new(keys: &DataKeys, level: Level) -> Sealer {
        Sealer {
            keys: keys.blobs().clone(),
            encoder: Encoder::new(level),
            bound: Bound::default(),
        }
    }

    /// Appends the sealed blob of `plain` to `out`; `aad` is authenticated with it, but not stored.
    ///
    /// Equal kind, `aad` and `plain` give equal bytes (for one level and one version of zstd). Nothing is allocated
    /// but what `out` has to grow; reserve [`sealed_length_max`] and a little more, or reuse it, for speed.
    ///
    /// # Panics
    /// When `plain` is longer than [`PLAIN_BYTES_MAX`]: callers cut long before that.
    pub fn seal(&mut self, kind: SealKind, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
        assert!(
            plain.len() <= PLAIN_BYTES_MAX,
            "a payload of {} bytes cannot be sealed in one piece",
            plain.len()
        );
        let start = out.len();
        out.extend_from_slice(&[0; TAG_LENGTH]);
        self.encoder.encode(plain, out);
        self.bound.set(kind, aad);
        self.keys.seal(&self.bound, out, start);
    }
}

/// Seals without trying to compress, for small secrets under keys other than a key set's.
pub(crate) fn seal_plain(keys: &EnvelopeKeys, kind: SealKind, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; TAG_LENGTH]);
    encode_plain(plain, out);
    keys.seal(&Bound::new(kind, aad), out, start);
}

/// Most bytes that a sealed blob of `plain_length` bytes can have: what it has when they do not compress.
pub fn sealed_length_max(plain_length: usize) -> usize {
    OVERHEAD + HEAD_LENGTH + padded_length(plain_length)
}
