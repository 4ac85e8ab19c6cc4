//! A job as its machine does it: the service is told how far it is, hears that the machine lives, and may stop it.

use std::time::Duration;

use strongroom_api::{Client, ClientError, Code, FinishJob, ReportJob};
use strongroom_engine::backup::BackupReport;
use strongroom_engine::restore::RestoreReport;
use strongroom_engine::{EngineError, Figures, Progress};
use strongroom_format::point::Issue;
use strongroom_model::{Clock, JobError, JobId, JobProgress, JobState};
use tokio::time::timeout;

use crate::error::AgentError;
use crate::tasks::Tasks;

/// How often the service is told.
const REPORT: Duration = Duration::from_secs(5);

/// How long telling the end may take.
const FAREWELL: Duration = Duration::from_secs(10);

/// The most warnings that are told of; the machine has them all.
const WARNINGS_MAX: usize = 20;

/// What came of a job, as far as the service wants to know.
pub(crate) trait Outcome {
    /// What could not be done as it should have been.
    fn issues(&self) -> (&[Issue], u64);
}

impl Outcome for BackupReport {
    fn issues(&self) -> (&[Issue], u64) {
        (&self.issues, self.issues_omitted)
    }
}

impl Outcome for RestoreReport {
    fn issues(&self) -> (&[Issue], u64) {
        (&self.issues, self.issues_omitted)
    }
}

/// A job of this machine that the service knows of.
pub(crate) struct Job<'a> {
    pub(crate) client: &'a Client,
    pub(crate) clock: &'a Clock,
    pub(crate) id: JobId,
    /// Its parts.
    pub(crate) tasks: Tasks,
}

impl Job<'_> {
    /// Does the work; tells the service meanwhile, and then how it ended. That the service cannot be told is no reason to
    /// stop: it is told in the end.
    pub(crate) async fn run<T: Outcome>(
        &self,
        progress: &Progress,
        work: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<T, AgentError> {
        self.tasks.next(self.clock.now());
        let mut stopped_by_service = false;
        tokio::pin!(work);
        let result = {
            let reports = self.reports(progress, &mut stopped_by_service);
            tokio::pin!(reports);
            tokio::select! {
                result = &mut work => result,
                () = &mut reports => unreachable!("reports go on until the work is done"),
            }
        };
        let (state, errors) = ending(&result);
        let finish = FinishJob {
            state,
            errors,
            progress: said(progress.figures()),
            tasks: self.tasks.finish(state, self.clock.now()),
        };
        // If it cannot be told now, it will notice: by the recovery point, or by the silence.
        match timeout(FAREWELL, self.client.finish_job(self.id, &finish)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::info!(job = %self.id, %error, "could not tell the service how the job ended"),
            Err(_) => tracing::info!(job = %self.id, "the service does not hear how the job ended"),
        }
        match (result, stopped_by_service) {
            (Err(AgentError::Engine(EngineError::Cancelled)), true) => Err(AgentError::StoppedByService),
            (result, _) => result,
        }
    }

    /// Tells the service again and again; asks the work to stop when the service wants so. Does not return.
    async fn reports(&self, progress: &Progress, stopped: &mut bool) {
        loop {
            let report = ReportJob {
                progress: said(progress.figures()),
                tasks: self.tasks.now(),
            };
            match self.client.report_job(self.id, &report).await {
                Ok(reported) if reported.state == JobState::Cancelling => {
                    *stopped = true;
                    progress.cancel();
                }
                // Somebody ended it: by a stop of the item's protection, or because nothing was heard of us.
                Err(ClientError::Refused(problem)) if problem.code == Code::JobNotFound => {
                    *stopped = true;
                    progress.cancel();
                    return std::future::pending().await;
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(job = %self.id, %error, "could not tell how far the job is"),
            }
            tokio::time::sleep(REPORT).await;
        }
    }
}

fn said(figures: Figures) -> JobProgress {
    JobProgress {
        entries: figures.entries,
        bytes: figures.bytes,
        moved_bytes: figures.new_bytes,
        expected_bytes: figures.bytes_expected,
    }
}

fn ending<T: Outcome>(result: &Result<T, AgentError>) -> (JobState, Vec<JobError>) {
    match result {
        Ok(outcome) => match outcome.issues() {
            ([], 0) => (JobState::Completed, Vec::new()),
            (issues, omitted) => (JobState::CompletedWithWarnings, warnings(issues, omitted)),
        },
        Err(AgentError::Engine(EngineError::Cancelled)) => (JobState::Cancelled, Vec::new()),
        Err(error) => (JobState::Failed, vec![failure(error)]),
    }
}

/// What could not be taken. Paths are not told: the service must not learn names.
fn warnings(issues: &[Issue], omitted: u64) -> Vec<JobError> {
    let count = issues.len() as u64 + omitted;
    let mut kinds: Vec<(String, u64)> = Vec::new();
    for issue in issues {
        let why = kind_of(&issue.why);
        match kinds.iter_mut().find(|(known, _)| *known == why) {
            Some((_, times)) => *times += 1,
            None => kinds.push((why, 1)),
        }
    }
    kinds.truncate(WARNINGS_MAX);
    let told = kinds.into_iter().map(|(why, times)| format!("{times} × {why}"));
    let told: Vec<String> = told.collect();
    vec![JobError {
        code: "SomeEntriesWithWarnings".to_owned(),
        message: format!(
            "{count} entries could not be handled as they should have been: {}",
            told.join("; ")
        ),
        recommendations: vec!["The machine's own output, or its log, names them".to_owned()],
    }]
}

/// The beginning of a reason, up to where it may name a thing.
fn kind_of(why: &str) -> String {
    let end = why.find(['/', '"', '\'', '`', ':', '(']).unwrap_or(why.len());
    let kind = why[..end].trim();
    if kind.is_empty() {
        "other reasons".to_owned()
    } else {
        kind.to_owned()
    }
}

fn failure(error: &AgentError) -> JobError {
    let (code, message) = match error {
        AgentError::Client(ClientError::Refused(problem)) => (problem.code.as_str(), problem.detail.clone()),
        AgentError::Client(_) => ("ServiceUnreachable", "The service could not be reached".to_owned()),
        AgentError::NothingSelected => ("NothingSelected", error.to_string()),
        AgentError::Volume(_) => (
            "VolumeNotAllowed",
            "What is selected lies on a volume that is absent, or not backed up unless somebody allows it; the machine's log says which"
                .to_owned(),
        ),
        AgentError::Snapshot(_) => (
            "NoSnapshot",
            "What is selected has no snapshot, and is not to be read without one; the machine's log says why".to_owned(),
        ),
        AgentError::PreCommand(_) | AgentError::CommandsOfOthers { .. } => (
            "PreCommandFailed",
            "The command that this machine runs before a backup failed, so nothing was backed up; the machine's log says how"
                .to_owned(),
        ),
        // What else there is may name files.
        _ => (
            "OperationFailed",
            "The machine could not do it; its own output, or its log, says why".to_owned(),
        ),
    };
    JobError {
        code: code.to_owned(),
        message,
        recommendations: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_name_no_files() {
        let issue = |why: &str| Issue {
            path: b"/home/secret-name".to_vec(),
            why: why.to_owned(),
        };
        let issues = [
            issue("cannot read: permission denied"),
            issue("cannot read: I/O error on secret-name"),
            issue("/home/secret-name changed while it was read"),
        ];
        let told = warnings(&issues, 4);
        assert_eq!(told.len(), 1);
        let message = &told[0].message;
        assert!(
            message.starts_with("7 entries") && message.contains("2 × cannot read"),
            "{message}"
        );
        assert!(!message.contains("secret"), "{message}");
    }
}
