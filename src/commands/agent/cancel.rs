//! `strongroom agent cancel`: stops a job of this machine.

use clap::Args;
use strongroom_agent::Machine;
use strongroom_api::{JobView, PageFilter, RetryPolicy};
use strongroom_model::JobId;

use super::open;
use crate::cli::Global;
use crate::commands::block_on;
use crate::commands::job::sentence;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// Stop what this machine does just now
///
/// Whichever process of this machine does the job hears of it within some seconds. What a backup has sent so far is kept, and
/// the next one goes on from there; what a restore has written stays.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom agent cancel
  strongroom agent cancel 019aa5e2-5d3c-7c61-9f0e-3f1d7e3c2b1a")]
pub(crate) struct Cancel {
    /// The job's id, where several are under way (`strongroom agent status` shows them)
    #[arg(value_name = "JOB")]
    job: Option<JobId>,
}

impl Cancel {
    pub(super) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let machine = open(global, RetryPolicy::NONE)?;
        let job = block_on(async {
            let job = match self.job {
                Some(job) => job,
                None => only_one(&machine).await?.id,
            };
            Ok(machine.client().cancel_own_job(job).await?)
        })?;
        terminal.done(&job, sentence)?;
        Ok(Outcome::Done)
    }
}

/// The one job that is under way.
async fn only_one(machine: &Machine) -> Result<JobView, Failure> {
    let jobs = machine.client().own_jobs(PageFilter::default()).await?.jobs;
    let mut open: Vec<JobView> = jobs.into_iter().filter(|job| job.state.is_open()).collect();
    match (open.pop(), &open[..]) {
        (Some(job), []) => Ok(job),
        (None, _) => Err(Failure::new(
            "there is nothing to cancel: no job of this machine is under way",
        )),
        (Some(last), others) => {
            let all = others.iter().chain([&last]);
            let names: Vec<String> = all.map(|job| format!("{} ({})", job.id, job.operation)).collect();
            let names = names.join(", ");
            Err(Failure::new(format!(
                "several jobs are under way, so say which one to cancel: {names}"
            )))
        }
    }
}
