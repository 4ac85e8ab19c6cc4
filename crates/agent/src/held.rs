//! A scheduled job that waits for mains power.

use std::sync::Arc;
use std::time::Duration;

use strongroom_api::{ClientError, Code, JobView, ReportJob, RetryPolicy};
use strongroom_model::{JobProgress, JobState, Task, TaskState, Trigger};
use tokio::task::JoinHandle;

use crate::machine::Machine;
use crate::power::is_on_battery;

/// How often it is looked whether there is power again, and the service told that the machine lives.
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
    /// Whether a job has to wait until there is mains power: a scheduled one, unless the settings have it begin.
    pub(crate) fn must_wait(&self, job: &JobView) -> bool {
        job.trigger == Trigger::Schedule && self.waits_on_battery() && is_on_battery()
    }

    /// Whether scheduled backups of this machine wait on battery.
    pub fn waits_on_battery(&self) -> bool {
        self.settings().map_or(true, |copy| !copy.settings.on_battery)
    }
}

async fn wait(machine: &Machine, job: &JobView) -> bool {
    let client = machine.client().with_retry(RetryPolicy::NONE);
    let waiting = Task {
        name: "Wait for mains power".to_owned(),
        state: TaskState::InProgress,
        started: Some(machine.now()),
        ended: None,
    };
    let report = ReportJob {
        progress: JobProgress::default(),
        tasks: vec![waiting],
    };
    while machine.must_wait(job) {
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
