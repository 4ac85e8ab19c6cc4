//! Which long-term points an item has missed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Policy;
use super::retention::{Tag, Tags};

/// What an item's next successful backup takes over.
///
/// A backup that should have become weekly, monthly or yearly and failed, or did not run, leaves its tag to the next one
/// that succeeds, once per tag however many were missed (SEMANTICS.md §11.4). A tag is owed from the moment it was
/// wanted; so a backup that runs as it should just pays a debt of the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Moments until then, itself included, are in `tags` or were paid.
    pub until: Timestamp,
    /// What was missed until then.
    pub tags: Tags,
}

impl Owed {
    /// Of an item that comes under a policy now.
    pub fn nothing(now: Timestamp) -> Self {
        Self {
            until: now,
            tags: Tags::default(),
        }
    }

    /// The same, a while later. To be called before an item's policy changes, and before its rules do.
    pub fn at(mut self, policy: &Policy, now: Timestamp) -> Self {
        let missed = Tag::LONG_TERM
            .into_iter()
            .filter(|tag| (policy.retention).occurs(*tag, &policy.schedule, &policy.zone, self.until, now));
        missed.for_each(|tag| self.tags.insert(tag));
        self.until = self.until.max(now);
        self
    }

    /// The tags of a recovery point that was made for the moment `due`; then nothing is owed until that moment. A tag whose
    /// rule is gone meanwhile is not paid.
    pub fn pay(self, policy: &Policy, due: Timestamp) -> (Tags, Self) {
        let tags = self.at(policy, due).tags;
        let paid = tags.iter().filter(|tag| policy.retention.keep(*tag).is_some());
        let owed = Self {
            until: self.until.max(due),
            tags: Tags::default(),
        };
        (paid.collect(), owed)
    }
}
