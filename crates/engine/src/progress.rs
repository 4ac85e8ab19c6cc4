//! Figures that a running job keeps, and that whoever watches reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared counters. All are totals since the job began.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    entries: AtomicU64,
    bytes: AtomicU64,
    new_bytes: AtomicU64,
    issues: AtomicU64,
    entries_expected: AtomicU64,
    bytes_expected: AtomicU64,
    cancelled: AtomicBool,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Names handled.
    pub entries: u64,
    /// Bytes of files handled, unchanged ones included.
    pub bytes: u64,
    /// Bytes sent to or received from the vault.
    pub new_bytes: u64,
    /// Issues so far.
    pub issues: u64,
    /// How many names to expect in all; 0 if unknown.
    pub entries_expected: u64,
    /// How many bytes to expect in all; 0 if unknown.
    pub bytes_expected: u64,
}

impl Progress {
    /// The figures now.
    pub fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            entries: read(&self.0.entries),
            bytes: read(&self.0.bytes),
            new_bytes: read(&self.0.new_bytes),
            issues: read(&self.0.issues),
            entries_expected: read(&self.0.entries_expected),
            bytes_expected: read(&self.0.bytes_expected),
        }
    }

    /// Asks the job to stop at the next safe place.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the job was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// How many names and bytes there will be.
    pub fn expect(&self, entries: u64, bytes: u64) {
        self.0.entries_expected.store(entries, Ordering::Relaxed);
        self.0.bytes_expected.store(bytes, Ordering::Relaxed);
    }

    /// So many more names were handled.
    pub fn add_entries(&self, entries: u64) {
        self.0.entries.fetch_add(entries, Ordering::Relaxed);
    }

    /// So many more bytes were handled.
    pub fn add_bytes(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many more bytes were sent or received.
    pub fn add_new_bytes(&self, bytes: u64) {
        self.0.new_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_issue(&self) {
        self.0.issues.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn restart(&self) {
        for counter in [&self.0.entries, &self.0.bytes, &self.0.issues] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}
