//! Policies: list, show, make, change, delete.

use axum::http::StatusCode;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use strongroom_model::PolicyName;
use strongroom_vault::{PolicyRow, VaultError};

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::loose::Loose;
use super::policy::{management_type, read, write};
use super::reply::Reply;
use super::vault::{self, Vault};
use super::{access, page, tracked};

/// `GET …/backupPolicies`.
pub(crate) async fn list(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let mut filter = call.filter()?;
    let kind = filter.take("backupManagementType");
    let workload = filter.take("workloadType");
    filter.finish()?;
    let policies = call.shared.vaults.policies(vault.info.vault.id).await?;
    let wanted = |policy: &&PolicyRow| {
        let is = |wanted: &Option<String>, has: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(has))
        };
        is(&kind, management_type(policy.workload)) && is(&workload, workload_type(policy))
    };
    let members = policies.iter().filter(wanted);
    page::list(
        call,
        members
            .map(|policy| (policy.name.folded(), view(&vault, policy)))
            .collect(),
    )
}

/// `GET` of a policy.
pub(crate) async fn get(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    let policy = call.shared.vaults.policy(vault.info.vault.id, &name(call)?).await?;
    Ok(Reply::ok(view(&vault, &policy)))
}

/// `PUT` of a policy. What it means for items is done when it is answered.
pub(crate) async fn put(call: &Call) -> ArmResult<Reply> {
    let body = call.json()?;
    let vault = vault::find(call).await?;
    let (id, name) = (vault.info.vault.id, name(call)?);
    let (workload, policy) = read(&Loose::new(&body).need("properties")?)?;
    let vaults = &call.shared.vaults;
    let row = match vaults.policy(id, &name).await {
        Err(VaultError::PolicyNotFound { .. }) => vaults.create_policy(id, &name, workload, &policy).await?,
        Ok(known) if known.workload != workload => {
            return Err(ArmError::bad(
                "BMSUserErrorInvalidPolicyInput",
                format!(
                    "The policy is for {} already: make another one for {}.",
                    management_type(known.workload),
                    management_type(workload)
                ),
            ));
        }
        Ok(_) => {
            vaults
                .change_policy(&access::actor(call)?, id, &name, &policy, None)
                .await?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Reply::ok(view(&vault, &row)))
}

/// `DELETE` of a policy.
pub(crate) async fn delete(call: &Call) -> ArmResult<Reply> {
    let vault = vault::find(call).await?;
    match call
        .shared
        .vaults
        .delete_policy(vault.info.vault.id, &name(call)?, None)
        .await
    {
        Err(VaultError::PolicyNotFound { .. }) => Ok(Reply::no_content()),
        deleted => deleted.map(|()| Reply::empty(StatusCode::OK)).map_err(ArmError::from),
    }
}

/// `GET …/operationResults/{operationId}`: the policy as it is.
pub(crate) async fn result(call: &Call) -> ArmResult<Reply> {
    tracked::find(call).await?;
    get(call).await
}

fn name(call: &Call) -> ArmResult<PolicyName> {
    let text = call.parameter("policyName");
    text.parse()
        .map_err(|error| ArmError::bad("BMSUserErrorInvalidPolicyName", format!("{error}.")))
}

fn workload_type(policy: &PolicyRow) -> &'static str {
    match policy.workload {
        strongroom_model::policy::Workload::VirtualMachine => "VM",
        strongroom_model::policy::Workload::FilesAndFolders => "FileFolder",
        strongroom_model::policy::Workload::Database => "SQLDataBase",
    }
}

fn view(vault: &Vault, policy: &PolicyRow) -> Value {
    let day = TimeZone::UTC.to_datetime(policy.created).date();
    json!({
        "id": vault.path.policy(policy.name.as_str()),
        "name": policy.name,
        "type": "Microsoft.RecoveryServices/vaults/backupPolicies",
        "eTag": format!("\"{}\"", policy.version),
        "properties": write(policy.workload, &policy.policy, policy.items, day),
    })
}
