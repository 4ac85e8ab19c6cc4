//! Somebody who writes while something else is tested.

use std::sync::atomic::{AtomicBool, Ordering};

/// Tells whoever writes to stop, also when the test has failed.
pub struct AtTheEnd<'a>(pub &'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
