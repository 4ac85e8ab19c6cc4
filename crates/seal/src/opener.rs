//! From a sealed blob back to plain bytes.

use zeroize::Zeroizing;

use crate::encoding::Decoder;
use crate::envelope::{Bound, EnvelopeKeys, OVERHEAD};
use crate::{DataKeys, SealKind};

/// Opens sealed blobs. Holds a decompressor and its buffers for reuse: make one per thread and keep it.
///
/// Keys are wiped when dropped. Plain bytes are not: the client's memory is full of them anyway.
pub struct Opener {
    keys: EnvelopeKeys,
    decoder: Decoder,
    bound: Bound,
    /// The decrypted payload. It only grows, to the longest blob seen, which callers bound by what they fetch.
    payload: Vec<u8>,
}

/// Why a blob does not open. None of these is a matter of chance: somebody altered, swapped or mixed up bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than the shortest sealed blob.
    #[error("the sealed blob is cut short: it has only {length} bytes")]
    TooShort {
        /// Bytes found.
        length: usize,
    },
    /// Other bytes, another kind, other additional data or another key than when it was sealed.
    #[error("the sealed blob is not authentic: it was altered, swapped for another, or sealed with other keys")]
    NotAuthentic,
    /// Authentic, but not written as the format says: a faulty or newer program, or a member of the key set who cheats.
    #[error("the sealed blob is authentic but not properly encoded: {why}")]
    Encoding {
        /// What is wrong.
        why: &'static str,
    },
    /// The plain bytes would be longer than the caller allows.
    #[error("the sealed blob would open to {declared} bytes, more than the {max} expected here")]
    TooLong {
        /// Bytes that it says it holds.
        declared: u64,
        /// Bytes allowed.
        max: usize,
    },
}

impl Opener {
    /// An opener for one key set.
    pub fn new(keys: &DataKeys) -> Opener {
        Opener {
            keys: keys.blobs().clone(),
            decoder: Decoder::new(),
            bound: Bound::default(),
            payload: Vec::new(),
        }
    }

    /// Checks `sealed` and appends its plain bytes, at most `plain_max`, to `out`.
    ///
    /// Nothing is decompressed before it is authenticated, and nothing allocated before its length is bounded. Hostile
    /// bytes give an error, never a panic. After an error `out` is as it was.
    ///
    /// # Errors
    /// [`OpenError`] says in which of four ways the blob is not what was sealed.
    pub fn open(
        &mut self,
        kind: SealKind,
        aad: &[u8],
        sealed: &[u8],
        plain_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), OpenError> {
        let length = payload_length(sealed)?;
        if self.payload.len() < length {
            self.payload.resize(length, 0);
        }
        let payload = &mut self.payload[..length];
        self.bound.set(kind, aad);
        self.keys
            .open(&self.bound, sealed, payload)
            .map_err(|_| OpenError::NotAuthentic)?;
        self.decoder.decode(payload, plain_max, out)
    }
}

/// Opens one secret under keys other than a key set's; every buffer that held it is wiped.
pub(crate) fn open_with(
    keys: &EnvelopeKeys,
    kind: SealKind,
    aad: &[u8],
    sealed: &[u8],
    plain_max: usize,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let mut payload = Zeroizing::new(vec![0; payload_length(sealed)?]);
    keys.open(&Bound::new(kind, aad), sealed, &mut payload)
        .map_err(|_| OpenError::NotAuthentic)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(plain_max));
    Decoder::new().decode(&payload, plain_max, &mut plain)?;
    Ok(plain)
}

fn payload_length(sealed: &[u8]) -> Result<usize, OpenError> {
    sealed
        .len()
        .checked_sub(OVERHEAD)
        .ok_or(OpenError::TooShort { length: sealed.len() })
}
