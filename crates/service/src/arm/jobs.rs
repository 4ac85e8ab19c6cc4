//! Jobs: list, show, cancel.

use serde_json::{Value, json};
use strongroom_model::policy::Workload;
use strongroom_model::{JobId, JobState, Operation};
use strongroom_vault::{JobQuery, JobRow, VaultError};

use super::call::Call;
use super::containers::management;
use super::error::{ArmError, ArmResult};
use super::names::short_machine_name;
use super::reply::Reply;
use super::times;
use super::tracked::{self, Outcome};
use super::vault::{self, Vault};

/// Jobs of a page.
const PAGE: u32 = 200;

/// `GET …/backupJobs`, newest first.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let Some(query) = query(call)? else {
        return Ok(Reply::ok(json!({ "value": [] })));
    };
    let (jobs, next) = call.shared.vaults.jobs(vault.info.vault.id, &query).await?;
    let views: Vec<Value> = jobs.iter().map(|job| view(call, &vault, job, false)).collect();
    let mut body = json!({ "value": views });
    if let Some(next) = next {
        body["nextLink"] = call.next_link(&next.to_string()).into();
    }
    Ok(Reply::ok(body))
}

/// Which jobs are asked for; `None`: such as there are none of.
fn query(call: &Call) -> ArmResult<Option<JobQuery>> {
    let mut filter = call.filter()?;
    let workload = filter.take("backupManagementType").map(|kind| {
        let mut all = Workload::ALL.iter().copied();
        all.find(|workload| kind.eq_ignore_ascii_case(management(*workload)))
    });
    let states = filter.take("status").map(|text| states(&text));
    let operation = filter.take("operation").map(|text| {
        Operation::ALL
            .iter()
            .copied()
            .find(|known| known.as_str().eq_ignore_ascii_case(&text))
    });
    let (since, until) = (filter.take_moment("startTime")?, filter.take_moment("endTime")?);
    filter.finish()?;
    let before = call.query.skip_token.as_deref().map(|token| {
        let number = token.parse();
        number.map_err(|_| ArmError::bad("InvalidSkipToken", "The $skipToken is not one of this service"))
    });
    let nothing = workload == Some(None) || operation == Some(None) || states.as_ref().is_some_and(Vec::is_empty);
    let limit = call.query.top.and_then(|top| u32::try_from(top).ok()).unwrap_or(PAGE);
    let query = JobQuery {
        before: before.transpose()?,
        limit: limit.clamp(1, PAGE),
        states: states.unwrap_or_default(),
        operation: operation.flatten(),
        workload: workload.flatten(),
        item: None,
        since,
        until,
    };
    Ok((!nothing).then_some(query))
}

/// The states that Azure means by a word.
fn states(text: &str) -> Vec<JobState> {
    let meant = |state: &JobState| status(*state).eq_ignore_ascii_case(text);
    JobState::ALL.iter().copied().filter(meant).collect()
}

/// Azure's word for a state.
fn status(state: JobState) -> &'static str {
    match state {
        JobState::Queued => JobState::InProgress.as_str(),
        state => state.as_str(),
    }
}

/// `GET` of a job.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let job = find(call, &vault).await?;
    Ok(Reply::ok(view(call, &vault, &job, true)))
}

async fn find(call: &Call, vault: &Vault) -> ArmResult<JobRow> {
    let name = call.parameter("jobName");
    let absent = || {
        ArmError::not_found(
            "BMSUserErrorJobNotFound",
            format!("There is no job '{name:.80}' in this vault."),
        )
    };
    let id: JobId = name.parse().map_err(|_| absent())?;
    match call.shared.vaults.job(vault.info.vault.id, id).await {
        Err(VaultError::JobNotFound) => Err(absent()),
        found => Ok(found?),
    }
}

/// `POST …/cancel`: the job's machine is told; whether it has stopped, the job says.
pub(crate) async fn cancel(call: &Call) -> ArmResult<Reply> {
    let begun = call.shared.clock.now();
    let vault = vault::find(call).await?;
    let job = find(call, &vault).await?;
    call.shared.vaults.cancel_job(vault.info.vault.id, job.id).await?;
    call.shared.calls.call(job.container);
    let id = tracked::keep(call, &vault.path, begun, Outcome::default()).await?;
    let below = vault.path.job(&job.id.to_string());
    Ok(tracked::accepted(call, &below, None, "operationResults", id))
}

fn view(call: &Call, vault: &Vault, job: &JobRow, whole: bool) -> Value {
    let name = job.id.to_string();
    let begun = job.started.unwrap_or(job.created);
    let until = job.ended.unwrap_or_else(|| call.shared.clock.now());
    let can_be_cancelled = matches!(job.state, JobState::Queued | JobState::InProgress);
    let errors: Vec<Value> = (job.errors.iter())
        .map(|error| json!({ "errorString": error.message, "recommendations": error.recommendations }))
        .collect();
    let mut properties = json!({
        "jobType": "MabJob",
        "entityFriendlyName": job.name,
        "backupManagementType": "MAB",
        "operation": job.operation.as_str(),
        "status": status(job.state),
        "startTime": times::moment(begun),
        "activityId": name,
        "duration": times::duration(until.duration_since(begun)),
        "actionsInfo": if can_be_cancelled { json!(["Cancellable"]) } else { json!([]) },
        "mabServerName": job.name,
        "mabServerType": "Windows",
        "workloadType": "FileFolder",
        "errorDetails": errors,
    });
    if job.workload == Workload::VirtualMachine {
        let group = vault.info.vault.resource_group.as_str();
        properties["jobType"] = "AzureIaaSVMJob".into();
        properties["backupManagementType"] = management(job.workload).into();
        properties["workloadType"] = "VM".into();
        properties["containerName"] = short_machine_name(group, &job.name).into();
        properties["virtualMachineVersion"] = "Compute".into();
        for of_files in ["mabServerName", "mabServerType"] {
            properties.as_object_mut().expect("it is an object").remove(of_files);
        }
    }
    if let Some(ended) = job.ended {
        properties["endTime"] = times::moment(ended).into();
    }
    if whole {
        properties["extendedInfo"] = extended(job);
    }
    json!({
        "id": vault.path.job(&name),
        "name": name,
        "type": "Microsoft.RecoveryServices/vaults/backupJobs",
        "properties": properties,
    })
}

fn extended(job: &JobRow) -> Value {
    let tasks: Vec<Value> = (job.tasks.iter())
        .map(|task| {
            let mut view = json!({ "taskId": task.name, "status": task.state.as_str() });
            if let Some(started) = task.started {
                view["startTime"] = times::moment(started).into();
                if let Some(ended) = task.ended {
                    view["endTime"] = times::moment(ended).into();
                    view["duration"] = times::duration(ended.duration_since(started)).into();
                }
            }
            view
        })
        .collect();
    let mut bag = json!({ "Machine": job.name, "Triggered by": job.trigger.as_str() });
    if job.progress.moved_bytes > 0 {
        bag["Data Transferred (in bytes)"] = job.progress.moved_bytes.to_string().into();
    }
    if let Some(point) = job.point {
        bag["Recovery Point"] = point.to_string().into();
    }
    json!({ "tasksList": tasks, "propertyBag": bag })
}
