//! What a machine calls to get work and to tell of it.

use strongroom_model::{JobId, Operation};

use super::call::Call;
use super::{Client, ClientError};
use crate::routes::RouteId;
use crate::{
    AlertList, BeginJob, FinishJob, FoundMachines, HostedMachines, JobList, JobView, LinkAnswer, LinkRequest,
    OwnProtection, PageFilter, ReportJob, Reported,
};

impl Client {
    /// Waits for work, at most as long as the request says.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn link(&self, request: &LinkRequest) -> Result<LinkAnswer, ClientError> {
        self.send_for_json(Call::new(RouteId::Link, &[]).json(request).repeatable())
            .await
    }

    /// Tells of all virtual machines that the calling machine has.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn found_machines(&self, found: &FoundMachines) -> Result<HostedMachines, ClientError> {
        self.send_for_json(Call::new(RouteId::FoundMachines, &[]).json(found).repeatable())
            .await
    }

    /// What the calling machine's item is under.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn own_protection(&self) -> Result<OwnProtection, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowOwnProtection, &[])).await
    }

    /// Lists alerts about the calling machine that stand, newest first: one page.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn own_alerts(&self, page: PageFilter) -> Result<AlertList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListOwnAlerts, &[]).query(&page))
            .await
    }

    /// Lists jobs of the calling machine, newest first: one page.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn own_jobs(&self, page: PageFilter) -> Result<JobList, ClientError> {
        self.send_for_json(Call::new(RouteId::ListOwnJobs, &[]).query(&page))
            .await
    }

    /// Shows one job of the calling machine.
    ///
    /// # Errors
    /// [`crate::Code::JobNotFound`] among others.
    pub async fn own_job(&self, job: JobId) -> Result<JobView, ClientError> {
        self.send_for_json(Call::new(RouteId::ShowOwnJob, &[&job])).await
    }

    /// Tells a job of the calling machine to stop.
    ///
    /// # Errors
    /// [`crate::Code::JobNotFound`], [`crate::Code::JobOver`] among others.
    pub async fn cancel_own_job(&self, job: JobId) -> Result<JobView, ClientError> {
        self.send_for_json(Call::new(RouteId::CancelOwnJob, &[&job]).repeatable())
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
