//! New ids and salts.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// Fills bytes with randomness that nobody can predict. Handed in, so that a test is the same run each time.
pub type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// A version-7 UUID: it sorts by `now`, and 74 of its bits are random.
pub(crate) fn uuid(now: Timestamp, entropy: &Entropy) -> Uuid {
    let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(milliseconds, &bytes(entropy)).into_uuid()
}

/// Random bytes.
pub(crate) fn bytes<const N: usize>(entropy: &Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy(&mut bytes);
    bytes
}
