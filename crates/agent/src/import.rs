//! Snapshots of another program's repository become recovery points of this machine.
//!
//! An import is no backup of the machine: it has no job, it does not count as one, and what the machine knows of its own
//! files stays. Each recovery point names the snapshot that it was made of in its sealed part, so that an import that is
//! made again, or goes on, knows what is there.

use std::sync::Arc;

use strongroom_api::{PointFilter, PointView};
use strongroom_engine::backup::{BackupOptions, BackupReport, Past, back_up};
use strongroom_engine::{OpenPoint, Progress, Scratch};
use strongroom_model::{Digest, PointId};
use strongroom_restic::{Blobs, Id, Repository, Snapshot, SnapshotSource, Snapshots};
use strongroom_seal::Level;

use crate::error::AgentError;
use crate::machine::{Machine, PROGRAM};

/// What stands between the program's name and the snapshot's id in the body of an imported point.
const ORIGIN: &str = ", import of restic snapshot ";

/// Which snapshots are meant; all, if nothing is said.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Those of these hosts.
    pub hosts: Vec<String>,
    /// Those that backed up one of these paths.
    pub paths: Vec<String>,
    /// Those whose ids begin like this.
    pub snapshots: Vec<String>,
}

/// A snapshot that is meant.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The recovery point that was made of it, if one was.
    pub point: Option<PointId>,
}

impl Choice {
    /// The snapshots that are meant, oldest first.
    ///
    /// # Errors
    /// If an id fits no snapshot or several, or nothing is meant at all.
    fn choose(&self, all: &[Snapshot]) -> Result<Vec<Snapshot>, AgentError> {
        let ids = self.snapshots.iter().map(|text| find(text, all));
        let ids = ids.collect::<Result<Vec<Id>, _>>()?;
        let is_meant = |snapshot: &&Snapshot| {
            (ids.is_empty() || ids.contains(&snapshot.id))
                && (self.hosts.is_empty() || self.hosts.contains(&snapshot.host))
                && (self.paths.is_empty() || self.paths.iter().any(|path| snapshot.paths.contains(path)))
        };
        let chosen: Vec<Snapshot> = all.iter().filter(is_meant).cloned().collect();
        match chosen.is_empty() {
            true => Err(AgentError::NoSuchSnapshot(
                "the repository has no such snapshot: `restic snapshots` lists what it has".to_owned(),
            )),
            false => Ok(chosen),
        }
    }
}

fn find(text: &str, all: &[Snapshot]) -> Result<Id, AgentError> {
    let mut fitting = all.iter().filter(|snapshot| snapshot.id.to_string().starts_with(text));
    let why = match (fitting.next(), fitting.next()) {
        (Some(snapshot), None) => return Ok(snapshot.id),
        (Some(_), Some(_)) => format!("several snapshots begin with \"{text}\": give more digits"),
        (None, _) => format!("the repository has no snapshot \"{text}\": `restic snapshots` lists what it has"),
    };
    Err(AgentError::NoSuchSnapshot(why))
}

impl Machine {
    /// Which snapshots of a repository are meant, and which of them are in the vault already.
    pub async fn plan_import(&self, all: &Snapshots, choice: &Choice) -> Result<Vec<Planned>, AgentError> {
        let chosen = choice.choose(&all.snapshots)?;
        let points = self.points(&PointFilter::Own).await?;
        let mut planned = Vec::new();
        for snapshot in chosen {
            let point = self.point_of(&snapshot, &points).await?;
            planned.push(Planned { snapshot, point });
        }
        Ok(planned)
    }

    /// The recovery point that was made of a snapshot. Only those of its moment are looked into.
    async fn point_of(&self, snapshot: &Snapshot, points: &[PointView]) -> Result<Option<PointId>, AgentError> {
        for point in points.iter().filter(|point| point.created == snapshot.time) {
            if self.origin(point.id).await? == Some(snapshot.original) {
                return Ok(Some(point.id));
            }
        }
        Ok(None)
    }

    /// The snapshot that a recovery point of this machine was made of. Of one that this machine's keys do not open, or
    /// that is damaged, nobody knows.
    async fn origin(&self, point: PointId) -> Result<Option<Id>, AgentError> {
        let object = self.client().point_object(point).await?;
        let open = OpenPoint::from_object(&object, self.keys()).ok();
        Ok(open.and_then(|open| origin(&open.body.program)))
    }

    /// Begins an import. No other backup of this machine can run until it ends.
    pub async fn import(
        &self,
        repository: Repository,
        all: &Snapshots,
        level: Level,
    ) -> Result<Import<'_>, AgentError> {
        self.wait_for_seed().await?;
        let own = self.scratch()?;
        let folder = self.folder().import_scratch();
        let scratch = Arc::new(Scratch::open(&folder)?);
        let loading = tokio::task::spawn_blocking(move || Blobs::load(repository, &folder));
        let blobs = loading.await.expect("reading an index does not panic")?;
        let mut import = Import {
            machine: self,
            own,
            scratch,
            blobs: Arc::new(blobs),
            level,
            before: None,
            newest: None,
        };
        // In the order in which they came: the last one is what the next builds on.
        if let Some(newest) = self.client().points(&PointFilter::Own).await?.points.pop() {
            let origin = self.origin(newest.id).await?;
            import.newest = Some(newest.digest);
            import.before = (all.snapshots.iter())
                .find(|snapshot| Some(snapshot.original) == origin)
                .cloned();
        }
        Ok(import)
    }
}

/// An import that is under way.
pub struct Import<'a> {
    machine: &'a Machine,
    /// The machine's own, locked meanwhile.
    own: Arc<Scratch>,
    scratch: Arc<Scratch>,
    blobs: Arc<Blobs>,
    level: Level,
    /// The snapshot that the vault's newest point was made of.
    before: Option<Snapshot>,
    /// The vault's newest point.
    newest: Option<Digest>,
}

impl Import<'_> {
    /// What is wrong with the repository's index and packs, as far as it has shown.
    pub fn remarks(&self) -> &[String] {
        self.blobs.remarks()
    }

    /// Makes a recovery point of a snapshot. Its moment is the snapshot's.
    pub async fn take(&mut self, snapshot: &Snapshot, progress: Progress) -> Result<BackupReport, AgentError> {
        let options = self.options(snapshot)?;
        let source = SnapshotSource::new(self.blobs.clone(), snapshot.clone(), self.before.clone());
        let parts = self.machine.writing(None, progress);
        let report = back_up(&parts, self.scratch.clone(), source, &options).await?;
        let report = self.machine.remembered(report);
        if let Some(before) = self.newest.replace(report.digest) {
            self.own.follow(before, report.digest)?;
        }
        self.before = Some(snapshot.clone());
        Ok(report)
    }

    fn options(&self, snapshot: &Snapshot) -> Result<BackupOptions, AgentError> {
        let usual = self.machine.backup_options(self.level)?;
        let machine = match snapshot.host.is_empty() {
            true => usual.machine,
            false => snapshot.host.clone(),
        };
        Ok(BackupOptions {
            machine,
            program: format!("{PROGRAM}{ORIGIN}{}", snapshot.original),
            past: Some(Past {
                moment: snapshot.time,
                compared_with: self.before.as_ref().and(self.newest),
                frozen: None,
            }),
            ..usual
        })
    }

    /// Ends it when everything is there: what it kept for going on is not needed any more.
    pub fn finish(self) -> Result<(), AgentError> {
        Ok(self.scratch.discard()?)
    }
}

/// The snapshot that the program's name in a point's body tells of.
fn origin(program: &str) -> Option<Id> {
    program.split_once(ORIGIN)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_tells_what_it_was_made_of() {
        let id = Id::of(b"a snapshot");
        assert_eq!(origin(&format!("{PROGRAM}{ORIGIN}{id}")), Some(id));
        assert_eq!(origin(PROGRAM), None);
        assert_eq!(origin(&format!("{PROGRAM}{ORIGIN}x")), None);
    }
}
