//! A scheduled job that waits for mains power, or for a connection that is not metered.

use std::sync::Arc;
use std::time::Duration;

use strongroom_api::{ClientError, Code, JobView, ReportJob, RetryPolicy};
use strongroom_model::{JobProgress, JobState, MachineSettings, Task, TaskState, Trigger};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::machine::Machine;
use crate::metered::is_metered;
use crate::power::is_on_battery;

/// What a scheduled backup waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The machine runs on battery.
    MainsPower,
    /// What it sends is paid for by the byte.
    UnmeteredConnection,
}

impl WaitsFor {
    /// The first thing that a scheduled backup would wait for just now, by these settings. Asks other programs, and takes two
    /// seconds at most.
    fn by(settings: &MachineSettings) -> Option<Self> {
        match () {
            () if !settings.on_battery && is_on_battery() => Some(Self::MainsPower),
            () if !settings.on_metered && is_metered() => Some(Self::UnmeteredConnection),
            () => None,
        }
    }

    /// As a sentence has it, after "waits for".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MainsPower => "mains power",
            Self::UnmeteredConnection => "a connection that is not metered",
        }
    }
}

/// How often it is looked whether it is there, and the service told that the machine lives.
const LOOK: Duration = Duration::from_secs(15);

/// A job that waits. It waits no longer when this is dropped.
pub(crate) struct Held {
    pub(crate) job: JobView,
    /// Whether the job may begin, or is over.
    waiting: JoinHandle<bool>,
}

impl Held {
    /// Holds a job back.
    pub(crate) fn new(machine: Arc<Machine>, job: JobView) -> Self {
        let waited = job.clone();
        let waiting = tokio::spawn(async move { wait(&machine, &waited).await });
        Self { job, waiting }
    }

    /// Returns the job when it may begin; `None` if it is over.
    pub(crate) async fn released(held: &mut Option<Self>) -> Option<JobView> {
        let Some(Self { job, waiting }) = held else {
            return std::future::pending().await;
        };
        let may_begin = waiting.await.unwrap_or(true);
        let job = job.clone();
        *held = None;
        may_begin.then_some(job)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

impl Machine {
    /// What a job has to wait for: a scheduled one, unless the settings have it begin.
    pub(crate) async fn waits_for(&self, job: &JobView) -> Option<WaitsFor> {
        if job.trigger != Trigger::Schedule {
            return None;
        }
        let settings = self.settings().map(|copy| copy.settings).unwrap_or_default();
        spawn_blocking(move || WaitsFor::by(&settings)).await.ok().flatten()
    }
}

async fn wait(machine: &Machine, job: &JobView) -> bool {
    let client = machine.client().with_retry(RetryPolicy::NONE);
    let since = machine.now();
    while let Some(waits_for) = machine.waits_for(job).await {
        let waiting = Task {
            name: format!("Wait for {}", waits_for.as_str()),
            state: TaskState::InProgress,
            started: Some(since),
            ended: None,
        };
        let report = ReportJob {
            progress: JobProgress::default(),
            tasks: vec![waiting],
        };
        match client.report_job(job.id, &report).await {
            Ok(reported) if reported.state == JobState::Cancelling => return false,
            Err(ClientError::Refused(problem)) if problem.code == Code::JobNotFound => return false,
            Ok(_) => {}
            Err(error) => tracing::debug!(job = %job.id, %error, "could not tell that the job waits"),
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}
