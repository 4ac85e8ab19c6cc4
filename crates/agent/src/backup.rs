//! A backup of the machine's own files: what has to be there for it, and what is done around it.

use std::sync::Arc;

use strongroom_api::JobView;
use strongroom_engine::backup::{BackupOptions, BackupParts, BackupReport, back_up};
use strongroom_engine::{EngineError, Progress, Scratch};
use strongroom_format::point::Issue;
use strongroom_model::{JobId, Operation, Priority, SnapshotUse, Trigger};
use strongroom_seal::Level;
use strongroom_sources::files::{Files, Kind, Selection, SnapshotNote, Snapshots, Walker, remove_left};
use tokio::task::spawn_blocking;

use crate::commands::{CommandError, Commands};
use crate::error::AgentError;
use crate::machine::Machine;
use crate::settings::Wanted;

/// What Azure calls its one part.
const TRANSFER: &str = "Transfer data to vault";

/// What to back up, and how.
#[derive(Clone, Debug)]
pub struct Backup {
    /// What to take.
    pub selection: Selection,
    /// How hard to compress.
    pub level: Level,
    /// Whether it reads from snapshots.
    pub snapshot: SnapshotUse,
    /// Reads every file, whatever size and times say.
    pub force_rehash: bool,
    /// Whether the machine's commands are run before and after it.
    pub runs_commands: bool,
    /// How far it stands back behind other programs.
    pub priority: Priority,
}

/// A backup for which everything is there.
pub(crate) struct Prepared {
    backup: Backup,
    scratch: Arc<Scratch>,
    snapshots: Snapshots,
    pub(crate) commands: Commands,
}

impl Machine {
    /// Makes a backup now. The service knows of it as a job.
    pub async fn back_up(&self, backup: Backup, progress: Progress) -> Result<BackupReport, AgentError> {
        // Before the service is told: whoever else backs up this machine just now goes on with his job.
        let prepared = self.prepare(backup)?;
        let id = self.client().begin_job(Operation::Backup).await?.id;
        self.back_up_as(id, prepared, progress).await
    }

    /// Makes the backup that the machine's settings describe, for a job that came down the link. Returns what to tell.
    pub(crate) async fn back_up_as_set(&self, job: &JobView, progress: Progress) -> Result<String, AgentError> {
        let (id, is_scheduled) = (job.id, job.trigger == Trigger::Schedule);
        let prepared = self
            .settings_now()
            .await
            .and_then(|settings| {
                let priority = match is_scheduled {
                    true => settings.priority,
                    false => Priority::Normal,
                };
                let backup = Wanted::from(settings).backup()?;
                Ok(Backup { priority, ..backup })
            })
            .and_then(|backup| self.prepare(backup));
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let job = self.job(id, TRANSFER);
                return job
                    .run(&progress, async { Err::<BackupReport, _>(error) })
                    .await
                    .map(|_| String::new());
            }
        };
        let report = self.back_up_as(id, prepared, progress).await?;
        let issues = report.issues.len() as u64 + report.issues_omitted;
        Ok(format!(
            "recovery point {}: {} entries, {} bytes, {} of them new, {issues} warnings; {}",
            report.point,
            report.entries,
            report.bytes,
            report.new_bytes,
            report.volumes.in_words().join("; ")
        ))
    }

    /// Takes the scratch folder, removes what an earlier backup has left, and refuses what cannot be backed up as it should.
    pub(crate) fn prepare(&self, backup: Backup) -> Result<Prepared, AgentError> {
        backup.selection.check_volumes()?;
        let scratch = self.scratch()?;
        let snapshots = self.snapshots(backup.snapshot)?;
        snapshots.check(&backup.selection)?;
        let commands = match backup.runs_commands {
            true => self.commands()?,
            false => Commands::default(),
        };
        Ok(Prepared {
            backup,
            scratch,
            snapshots,
            commands,
        })
    }

    async fn back_up_as(&self, id: JobId, prepared: Prepared, progress: Progress) -> Result<BackupReport, AgentError> {
        let commands = prepared.commands.clone();
        let work = self.make_point(id, prepared, progress.clone());
        let work = async {
            // Before anything is run for it.
            self.wait_for_seed().await?;
            self.between(commands, &progress, work).await
        };
        self.job(id, TRANSFER).run(&progress, work).await
    }

    /// Does the work between the machine's commands. What ran before has its counterpart run after, whatever became of it and
    /// of the work.
    pub(crate) async fn between(
        &self,
        commands: Commands,
        progress: &Progress,
        work: impl Future<Output = Result<BackupReport, AgentError>>,
    ) -> Result<BackupReport, AgentError> {
        let result = match commands.pre {
            None => work.await,
            Some(pre) => match pre.run(&self.environment("pre"), Some(progress)).await {
                Ok(()) => work.await,
                Err(error @ CommandError::NotStarted { .. }) => return Err(AgentError::PreCommand(error)),
                Err(CommandError::Stopped(_)) => Err(EngineError::Cancelled.into()),
                Err(error) => Err(AgentError::PreCommand(error)),
            },
        };
        let Some(post) = commands.post else { return result };
        let mut environment = self.environment("post");
        environment.extend(outcome(&result));
        let ended = post.run(&environment, None).await;
        let why = ended.err().map(|error| format!("the command after the backup {error}"));
        match (result, why) {
            (Ok(mut report), Some(why)) => {
                let why = format!("the recovery point is whole, but {why}");
                report.issues.push(Issue { path: Vec::new(), why });
                Ok(report)
            }
            (Err(error), Some(why)) => {
                tracing::warn!("{why}");
                Err(error)
            }
            (result, None) => result,
        }
    }

    /// What its commands are told.
    fn environment(&self, phase: &str) -> Vec<(&'static str, String)> {
        vec![
            ("STRONGROOM_PHASE", phase.to_owned()),
            ("STRONGROOM_OPERATION", "backup".to_owned()),
            ("STRONGROOM_VAULT", self.state().vault_name.to_string()),
            ("STRONGROOM_MACHINE", self.state().name.to_string()),
        ]
    }

    /// Removes the snapshots that a backup has left which was killed. While another one is under way there is nothing to do:
    /// it has done that.
    pub fn remove_left_snapshots(&self) -> Result<(), AgentError> {
        match self.scratch() {
            Ok(_locked) => self.still_left().map(drop),
            Err(AgentError::Engine(EngineError::Busy)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The snapshots of one backup. To be called by who has the scratch folder, as nobody else then makes any.
    fn snapshots(&self, using: SnapshotUse) -> Result<Snapshots, AgentError> {
        let left = self.still_left()?;
        let (owner, run) = (self.state().container.to_string(), uuid::Uuid::new_v4().to_string());
        let folder = self.folder().clone();
        let keep = move |notes: &[SnapshotNote]| folder.keep_snapshots(notes).map_err(|error| error.to_string());
        Ok(Snapshots::new(
            using,
            self.clock().clone(),
            &owner,
            &run,
            left,
            Box::new(keep),
        ))
    }

    /// Removes snapshots that were left; returns those that cannot be removed now.
    fn still_left(&self) -> Result<Vec<SnapshotNote>, AgentError> {
        let notes = self.folder().snapshots()?;
        if notes.is_empty() {
            return Ok(notes);
        }
        let left = remove_left(&self.state().container.to_string(), notes);
        for (note, why) in &left {
            tracing::warn!(
                "the snapshot {} of an earlier backup is not removed yet: {why}",
                note.name
            );
        }
        let left: Vec<SnapshotNote> = left.into_iter().map(|(note, _)| note).collect();
        self.folder().keep_snapshots(&left)?;
        Ok(left)
    }

    /// Whether the scratch folder has room for a backup, told as an issue if it has not: the recovery point is whole all the
    /// same. The first time, what there is to back up is counted; later the last recovery point tells.
    async fn room(
        &self,
        scratch: &Scratch,
        selection: &Selection,
        progress: &Progress,
    ) -> Result<Option<Issue>, AgentError> {
        let (entries, bytes) = match scratch.last_size() {
            Some(size) => size,
            None => {
                let (selection, progress) = (selection.clone(), progress.clone());
                let counted = spawn_blocking(move || count(selection, &progress));
                counted.await.expect("counting does not panic")
            }
        };
        let lacking = scratch.lacks(entries, bytes)?;
        let path = self.scratch_path()?;
        Ok(lacking.map(|lacking| Issue {
            path: Vec::new(),
            why: format!(
                "the scratch folder {} may lack {} MiB of room for {entries} entries: free it there, or move it with \
                 `strongroom agent settings --scratch DIR`; without it the next backup reads more than what changed",
                path.display(),
                lacking.div_ceil(1 << 20)
            ),
        }))
    }

    async fn make_point(&self, job: JobId, prepared: Prepared, progress: Progress) -> Result<BackupReport, AgentError> {
        let no_room = self
            .room(&prepared.scratch, &prepared.backup.selection, &progress)
            .await?;
        let report = self.write_point(&self.writing(Some(job), progress), prepared).await?;
        let mut report = self.remembered(report);
        report.issues.extend(no_room);
        Ok(report)
    }

    /// Makes the recovery point, wherever `parts` bring it.
    pub(crate) async fn write_point(
        &self,
        parts: &BackupParts,
        prepared: Prepared,
    ) -> Result<BackupReport, AgentError> {
        let Prepared {
            backup,
            scratch,
            snapshots,
            ..
        } = prepared;
        let options = BackupOptions {
            force_rehash: backup.force_rehash,
            priority: backup.priority,
            ..self.backup_options(backup.level)?
        };
        let snapshots = Arc::new(snapshots);
        let source = Files::new(backup.selection, snapshots.clone());
        let mut report = back_up(parts, scratch, source, &options).await?;
        report.issues.extend(overflows(snapshots).await);
        Ok(report)
    }
}

/// What is to be said of snapshots that were full before all of them was read.
async fn overflows(snapshots: Arc<Snapshots>) -> Vec<Issue> {
    let volumes = spawn_blocking(move || snapshots.overflowed()).await;
    let issue = |volume| Issue {
        path: Vec::new(),
        why: format!(
            "more was overwritten during the backup than the snapshot of {volume} has room for, and what could not be read of it is \
             missing: leave more of the volume group free, or back up when less is written"
        ),
    };
    volumes.unwrap_or_default().into_iter().map(issue).collect()
}

/// What the command after a backup is told of it.
fn outcome(result: &Result<BackupReport, AgentError>) -> Vec<(&'static str, String)> {
    let (word, point) = match result {
        Ok(report) if report.issues.is_empty() => ("succeeded", Some(report.point)),
        Ok(report) => ("succeeded-with-warnings", Some(report.point)),
        Err(AgentError::Engine(EngineError::Cancelled)) => ("cancelled", None),
        Err(_) => ("failed", None),
    };
    let point = point.map(|point| ("STRONGROOM_POINT", point.to_string()));
    [("STRONGROOM_RESULT", word.to_owned())]
        .into_iter()
        .chain(point)
        .collect()
}

/// How many names and bytes there are; what cannot be looked at does not count.
fn count(selection: Selection, progress: &Progress) -> (u64, u64) {
    let walker = Walker::new(selection).into_iter().flatten();
    let found = walker.take_while(|_| !progress.is_cancelled()).filter_map(Result::ok);
    found.fold((0, 0), |(entries, bytes), found| {
        let size = if found.meta.kind == Kind::File {
            found.meta.size
        } else {
            0
        };
        (entries + 1, bytes + size)
    })
}
