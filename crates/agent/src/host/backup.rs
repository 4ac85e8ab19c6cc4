//! A backup of a virtual machine: a snapshot, then the transfer of what changed.

use std::sync::atomic::Ordering;

use strongroom_engine::backup::{BackupOptions, BackupReport, Past, back_up};
use strongroom_engine::{EngineError, Progress};
use strongroom_format::point::Issue;
use strongroom_hypervisor::Description;
use strongroom_model::{JobId, Operation};
use strongroom_seal::Level;

use super::Host;
use super::shot::Shot;
use super::state::Tracked;
use crate::error::AgentError;
use crate::job;
use crate::machine::Machine;
use crate::tasks::Tasks;

/// What Azure calls the parts of it.
const SNAPSHOT: &str = "Take Snapshot";
const TRANSFER: &str = "Transfer data to vault";

/// A backup of a virtual machine that was made.
#[derive(Clone, Debug)]
pub struct MachineBackup {
    /// What came of it.
    pub report: BackupReport,
    /// How many bytes of its disks were read.
    pub read_bytes: u64,
}

impl MachineBackup {
    /// For the log.
    pub(crate) fn in_words(&self) -> String {
        let report = &self.report;
        let issues = report.issues.len() as u64 + report.issues_omitted;
        format!(
            "recovery point {}: {} bytes of disks, {} bytes read, {} bytes new, {issues} warnings",
            report.point, report.bytes, self.read_bytes, report.new_bytes
        )
    }
}

impl job::Outcome for MachineBackup {
    fn issues(&self) -> (&[Issue], u64) {
        self.report.issues()
    }
}

impl Host {
    /// Makes a backup of one of its virtual machines now. The service knows of it as a job.
    pub async fn back_up_now(&self, machine: &Machine, progress: Progress) -> Result<MachineBackup, AgentError> {
        let job = machine.client().begin_job(Operation::Backup).await?;
        self.back_up(machine, job.id, progress).await
    }

    /// Makes a backup of one of its virtual machines, for a job.
    pub(crate) async fn back_up(
        &self,
        machine: &Machine,
        job: JobId,
        progress: Progress,
    ) -> Result<MachineBackup, AgentError> {
        let tasks = Tasks::new(&[SNAPSHOT, TRANSFER]);
        let work = self.make_point(machine, job, progress.clone(), tasks.clone());
        machine.job_of(job, tasks).run(&progress, work).await
    }

    async fn make_point(
        &self,
        machine: &Machine,
        job: JobId,
        progress: Progress,
        tasks: Tasks,
    ) -> Result<MachineBackup, AgentError> {
        let description = self.description(&machine.state().name)?;
        let tracked = machine.folder().tracked()?;
        let shot = Shot::take(self, &description, tracked.as_ref(), machine.now()).await?;
        let made = match progress.is_cancelled() {
            true => Err(EngineError::Cancelled.into()),
            false => {
                tasks.next(machine.now());
                transfer(machine, job, progress, &description, tracked.as_ref(), &shot).await
            }
        };
        let made = match made {
            Ok(made) => Ok(noted(machine, &shot, tracked.as_ref(), made).await),
            Err(error) => Err(error),
        };
        shot.release().await;
        made
    }
}

/// Sends what the vault does not have.
async fn transfer(
    machine: &Machine,
    job: JobId,
    progress: Progress,
    description: &Description,
    tracked: Option<&Tracked>,
    shot: &Shot,
) -> Result<MachineBackup, AgentError> {
    let options = BackupOptions {
        past: Some(Past {
            moment: shot.moment,
            compared_with: tracked.map(|tracked| tracked.digest),
            frozen: Some(shot.consistency),
        }),
        ..machine.backup_options(Level::default())?
    };
    let scratch = machine.scratch()?;
    let disks = shot.disks(description).await?;
    let read = disks.bytes_read();
    let report = back_up(&machine.writing(Some(job), progress), scratch, disks, &options).await?;
    Ok(MachineBackup {
        report: machine.remembered(report),
        read_bytes: read.load(Ordering::Relaxed),
    })
}

/// Remembers the recovery point, which is in the vault, as the one that the next is told by.
async fn noted(machine: &Machine, shot: &Shot, before: Option<&Tracked>, mut made: MachineBackup) -> MachineBackup {
    let mut warn = |why: String| made.report.issues.push(Issue { path: Vec::new(), why });
    if let Some(why) = shot.warning() {
        warn(why);
    }
    let tracked = Tracked {
        base: shot.base(before),
        digest: made.report.digest,
    };
    match machine.folder().keep_tracked(&tracked) {
        Ok(()) => shot.commit().await,
        // The next one still goes by an older point, whose bitmaps it needs.
        Err(error) => warn(format!(
            "{error}; the recovery point is whole, but the next backup reads the disks as a whole"
        )),
    }
    made
}
