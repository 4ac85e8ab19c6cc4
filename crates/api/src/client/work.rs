//! What a machine calls to get work and to tell of it.

use strongroom_model::{JobId, Operation};

use super::call::Call;
use super::{Client, ClientError};
use crate::routes::RouteId;
use crate::{BeginJob, FinishJob, JobView, LinkAnswer, LinkRequest, ReportJob, Reported};

impl Client {
    /// Waits for work, at most as long as the request says.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn link(&self, request: &LinkRequest) -> Result<LinkAnswer, ClientError> {
        self.send_for_json(Call::new(RouteId::Link, &[]).json(request).repeatable())
            .await
    }

    /// Begins a job that somebody at the machine asked for.
    ///
    /// # Errors
    /// [`crate::Code::ItemState`] among others.
    pub async fn begin_job(&self, operation: Operation) -> Result<JobView, ClientError> {
        let call = Call::new(RouteId::BeginJob, &[]).json(&BeginJob { operation });
        self.send_for_json(call.repeatable()).await
    }

    /// Says how far the machine is with its job, and that it lives.
    ///
    /// # Errors
    /// [`crate::Code::JobNotFound`] when it is over, among others.
    pub async fn report_job(&self, job: JobId, report: &ReportJob) -> Result<Reported, ClientError> {
        self.send_for_json(Call::new(RouteId::ReportJob, &[&job]).json(report).repeatable())
            .await
    }

    /// Says how the machine's job ended.
    ///
    /// # Errors
    /// [`crate::Code::JobNotFound`] among others.
    pub async fn finish_job(&self, job: JobId, finish: &FinishJob) -> Result<JobView, ClientError> {
        self.send_for_json(Call::new(RouteId::FinishJob, &[&job]).json(finish).repeatable())
            .await
    }
}
