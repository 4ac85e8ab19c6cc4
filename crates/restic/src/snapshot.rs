//! Snapshots: what restic backed up at one moment.

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::ResticError;
use crate::id::Id;
use crate::repository::Repository;

/// One snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its id in the repository. It changes when its tags do.
    pub id: Id,
    /// The id that it was made with.
    pub original: Id,
    /// When it was begun, by the clock of the machine that made it.
    pub time: Timestamp,
    /// The host that made it.
    pub host: String,
    /// What was backed up.
    pub paths: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The topmost tree.
    pub(crate) tree: Id,
}

/// The snapshots of a repository.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    /// Those that can be read, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// What is wrong with each of the others.
    pub damaged: Vec<String>,
}

#[derive(Deserialize)]
struct SnapshotFile {
    time: Timestamp,
    tree: Id,
    #[serde(default)]
    paths: Option<Vec<String>>,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    original: Option<Id>,
}

impl Repository {
    /// All snapshots. To be called before the index is read: what a snapshot needs is there before it is.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn snapshots(&self) -> Result<Snapshots, ResticError> {
        let mut all = Snapshots::default();
        for id in self.list("snapshots")? {
            match self.load("snapshots", id) {
                Ok(file) => all.snapshots.push(snapshot(id, file)),
                Err(error) => all.damaged.push(error.to_string()),
            }
        }
        all.snapshots.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
        all.damaged.sort_unstable();
        Ok(all)
    }
}

fn snapshot(id: Id, file: SnapshotFile) -> Snapshot {
    Snapshot {
        id,
        original: file.original.unwrap_or(id),
        time: file.time,
        host: file.hostname,
        paths: file.paths.unwrap_or_default(),
        tags: file.tags.unwrap_or_default(),
        tree: file.tree,
    }
}
