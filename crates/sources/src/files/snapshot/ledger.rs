//! Notes of the snapshots that may exist.

use super::{Keep, Place, SnapshotNote};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

/// Notes each snapshot, durably and before it exists, and forgets it when its removal lasts.
pub(super) struct Ledger {
    /// Whose they are.
    pub(super) owner: String,
    /// Which backup of his makes them.
    run: String,
    keep: Keep,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    there: BTreeSet<SnapshotNote>,
    numbered: u64,
}

impl Ledger {
    /// `left` are those that were there before.
    pub(super) fn new(owner: &str, run: &str, left: Vec<SnapshotNote>, keep: Keep) -> Self {
        let notes = Notes {
            there: left.into_iter().collect(),
            numbered: 0,
        };
        Self {
            owner: owner.to_owned(),
            run: run.to_owned(),
            keep,
            notes: Mutex::new(notes),
        }
    }

    /// Notes a snapshot that is to be made.
    pub(super) fn announce(&self, place: Place) -> Result<SnapshotNote, String> {
        let mut notes = self.notes();
        notes.numbered += 1;
        let name = place.name(&self.owner, &self.run, notes.numbered);
        let note = SnapshotNote { place, name };
        notes.there.insert(note.clone());
        self.keep(&notes).inspect_err(|_| {
            notes.there.remove(&note);
        })?;
        Ok(note)
    }

    /// Forgets one that does not exist.
    pub(super) fn forget(&self, note: &SnapshotNote) {
        let mut notes = self.notes();
        notes.there.remove(note);
        // If it stays noted, the next start finds that there is nothing to remove.
        let _ = self.keep(&notes);
    }

    fn keep(&self, notes: &Notes) -> Result<(), String> {
        let all: Vec<SnapshotNote> = notes.there.iter().cloned().collect();
        (self.keep)(&all)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("nobody panics with it")
    }
}
